"""``eigenwalk evaluate`` from the command line: its files, resuming, wrong names, failing cells."""

# ruff: noqa: F811
from __future__ import annotations

import csv
import io
import re
import signal
import time
from pathlib import Path

import pytest

from command_line import Here, begin, here, place  # noqa: F401

BOX = "mask(box=(0, 0, 1, 0.5))"
SHORT = ["--methods", "rayleigh,random", "--directions", "2", "--seeds", "0-2"]
PAIR = ["evaluate", "./my_generator.py:build", "--fix", BOX, "--vary", f"~{BOX}", *SHORT]
GRID = f'''
seeds = "0-1"
directions = 2
methods = ["rayleigh", "random"]
limit = false

[[generators]]
generator = "./my_generator.py:build"
name = "toy"
judges = ["./my_feature.py:raising"]

[[generators.pairs]]
name = "top held"
fix = ["{BOX}"]
vary = ["~{BOX}"]

[[generators.pairs]]
name = "light held"
fix = ["luminance"]
vary = ["~luminance"]
judges = ["pixels"]
'''
NUMBERS = """
def left(images):
    return images[..., :4].mean((1, 2, 3))


def right(images):
    return images[..., 4:].mean((1, 2, 3))
"""


def rows(folder: Path, name: str = "cells.csv") -> list[dict[str, str]]:
    """The lines of a CSV of an evaluation."""
    return list(csv.DictReader(io.StringIO((folder / name).read_text(encoding="utf-8"))))


def cells(folder: Path) -> dict[str, int]:
    """Every saved cell, and when it was written."""
    return {file.name: file.stat().st_mtime_ns for file in (folder / "cells").iterdir()}


def test_a_pair_is_evaluated_once_and_only_damaged_cells_again(here: Here, place: Path) -> None:
    code, said = here(*PAIR, "--judge", "luminance", "-o", "out")
    assert code == 0, said
    assert "5 of 5: limit my_generator/" in said and "random (best of 2)" in said and "out/index.html" in said
    out = place / "out"
    names = {entry.name for entry in out.iterdir()}
    plot = "01-my_generator-mask-box-0-0-1-0.5-held-mask-box-0-0-1-0.5-varied.png"
    others = {"cells", "grid.toml", "evaluation.md", "cells.csv", "curves.csv", "index.html", "summary.png"}
    assert names == {plot, *others}
    assert (out / plot).read_bytes()[:4] == b"\x89PNG"

    table = rows(out)
    assert [row["method"] for row in table] == ["rayleigh", "random (mean of 2)", "random (best of 2)", "limit"]
    ours, mean, best, limit = (float(row["drift at 0.3"]) for row in table)
    assert limit <= ours < mean and best <= mean
    # No path can keep the promise as far as half: the least drift there is beyond it.
    assert (
        float(table[3]["drift at 0.5"]) > 0.35 and table[0]["drift at 0.5"] == "" and table[0]["arrived at 0.5"] == "0"
    )
    assert table[0]["outside"] == "0" and int(table[0]["waypoints"]) > 10
    for row in table[:3]:
        assert float(row["drift at 0.3 low"]) <= float(row["drift at 0.3"]) <= float(row["drift at 0.3 high"])
        assert float(row["arrived at 0.3"]) == 1
    assert float(table[1]["judge luminance at 0.5"]) > 0
    curves = [row for row in rows(out, "curves.csv") if row["method"] == "rayleigh"]
    assert len(curves) == 21 and float(curves[0]["median"]) == 0 and curves[-1]["varied"] == "0.5"
    middle = [[float(row[name]) for name in ("lower quartile", "median", "upper quartile")] for row in curves[:13]]
    assert all(low <= median <= high for low, median, high in middle) and curves[-1]["median"] == ""

    told = (out / "evaluation.md").read_text()
    assert "| rayleigh |" in told and "| limit |" in told and f"]({plot})" in told and "| luminance |" in told
    page = (out / "index.html").read_text()
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    # Two plots; of two seeds six pictures by random, and by rayleigh those of the levels that it reaches.
    assert page.count('src="data:image/png') + page.count("<small>ended</small>") == 2 + 2 * 2 * 6
    assert page.count("<small>ended</small>") == 2
    assert "eigenwalk-masks" in page and 'content="width=device-width' in page

    before = cells(out)
    code, said = here(*PAIR, "--judge", "luminance", "-o", "out")
    assert code == 0 and " of 5" not in said and cells(out) == before
    code, said = here(*PAIR, "--judge", "luminance", "-o", "out", "--methods", "rayleigh,quotient,random")
    assert "quotient" in said and before.items() <= cells(out).items() and len(cells(out)) == len(before) + 3
    judged = next(file for file in (out / "cells").iterdir() if b"judged" in file.read_bytes()[:300])
    whole = judged.read_bytes()
    judged.write_bytes(whole[: len(whole) // 2])
    code, said = here("evaluate", "out/grid.toml", "-o", "out", "--trust")
    assert code == 0 and len(cells(out)) == len(before) + 3
    assert said.count(" of 7: ") == 1 and judged.read_bytes() == whole, "a damaged cell is computed again"


def test_a_killed_evaluation_resumes(place: Path) -> None:
    process = begin(place, *PAIR, "--judge", "pixels", "-o", "out", slow=0.02)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and len(list(place.glob("out/cells/*.safetensors"))) < 2:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    before = cells(place / "out")
    assert 2 <= len(before) < 5 and not (place / "out" / "cells.csv").exists()
    process = begin(place, *PAIR, "--judge", "pixels", "-o", "out")
    _, said = process.communicate(timeout=180)
    assert process.returncode == 0, said
    kept = {name: when for name, when in before.items() if name.endswith(".safetensors")}
    assert f"{len(kept)} cells were computed before" in said and "1 of 5" not in said
    assert kept.items() <= cells(place / "out").items() and len(rows(place / "out")) == 4


def test_two_processes_share_a_folder_and_both_report_everything(place: Path) -> None:
    (place / "grid.toml").write_text(GRID.replace('judges = ["./my_feature.py:raising"]', "").replace("= false", "= 1"))
    processes = [begin(place, "evaluate", "grid.toml", "-o", "out", "--trust", slow=0.005) for _ in range(2)]
    said = [process.communicate(timeout=180)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    done = re.findall(r"^\d+ of 8: (.+), .+$", "\n".join(said), re.MULTILINE)
    assert len(done) == len(set(done)) == 8 == len(cells(place / "out"))
    assert not list(place.glob("out/**/*.lock")) and not list(place.glob("out/**/*.part"))
    assert len(rows(place / "out")) == 8


def test_several_grids_make_one_evaluation_and_a_page(here: Here, place: Path) -> None:
    whole = GRID.replace('judges = ["./my_feature.py:raising"]', "")
    (place / "a.toml").write_text(whole)
    (place / "b.toml").write_text(
        whole.replace('name = "toy"', 'name = "other"').replace(
            '["rayleigh", "random"]', '[{ method = "random", starts = 1 }]'
        )
    )
    code, said = here("evaluate", "a.toml", "b.toml", "-o", "out", "--page", "docs/results.md", "--trust")
    assert code == 0, said
    found = [(row["generator"], row["method"], row["seeds"]) for row in rows(place / "out")]
    mean = "random (mean of 2)"
    assert found[:2] == [("toy", "rayleigh", "2"), ("toy", mean, "2")] and ("other", mean, "1") in found
    page = (place / "docs" / "results.md").read_text()
    pictures = re.findall(r"\]\((.+?\.png)\)", page)
    assert pictures == ["results-toy.png", "results-other.png"]
    assert all((place / "docs" / name).stat().st_size < 150_000 for name in pictures)
    assert "| rayleigh / best straight |" in page and f"| {mean}, 1 starts |" in page and "beyond tolerance" in page
    (place / "b.toml").write_text(whole.replace("directions = 2", "directions = 3"))
    code, said = here("evaluate", "a.toml", "b.toml", "-o", "out")
    assert code == 2 and "have one directions, got 2 and 3" in said


def test_a_failing_cell_is_reported_and_does_not_stop_the_others(here: Here, place: Path) -> None:
    (place / "grid.toml").write_text(GRID)
    code, said = here("evaluate", "grid.toml", "-o", "out")
    assert code == 2 and 'my_feature.py:raising"\nRead it, then add --trust' in said and not (place / "out").exists()
    code, said = here("evaluate", "grid.toml", "-o", "out", "--trust")
    assert code == 1
    assert said.count("my own mistake") >= 2 and "Traceback" not in said
    assert [row["method"] for row in rows(place / "out")] == [
        "rayleigh",
        "random (mean of 2)",
        "random (best of 2)",
    ] * 2
    assert "What failed" in (place / "out" / "evaluation.md").read_text()
    assert "my own mistake" in (place / "out" / "index.html").read_text()


def test_the_option_only_selects_cells(here: Here, place: Path) -> None:
    (place / "grid.toml").write_text(GRID)
    code, said = here("evaluate", "grid.toml", "-o", "out", "--only", "light held*rayleigh", "--quiet", "--trust")
    assert code == 0, said
    assert len(cells(place / "out")) == 2
    assert [row["pair"] for row in rows(place / "out")] == ["light held"]
    assert "6 cells are not computed yet" in (place / "out" / "evaluation.md").read_text()


def test_attributes_are_edited_one_by_one(here: Here, place: Path) -> None:
    (place / "numbers.py").write_text(NUMBERS)
    words = [
        "evaluate",
        "./my_generator.py:build",
        "--attribute",
        "./numbers.py:left",
        "--attribute",
        "./numbers.py:right",
    ]
    code, said = here(*words, "--methods", "rayleigh,random", "--directions", "2", "--seeds", "0-3", "-o", "out")
    assert code == 0, said
    told = (place / "out" / "evaluation.md").read_text()
    assert "| method | edited | mean move of the others | largest move | paths there |" in told
    lines = [line.split(" | ") for line in told.splitlines() if line.startswith("| rayleigh | ")]
    assert len(lines) == 2
    table = told.split("for an edit of each, rayleigh:")[1].splitlines()[4:6]
    changes = [[float(cell) for cell in line.strip("| ").split(" | ")[1:]] for line in table]
    # Edited by one deviation as the walk reports it: never more than is read, here; the other moves less.
    assert all(0.95 <= changes[n][n] <= 1.4 for n in (0, 1)), changes
    assert abs(changes[0][1]) < 0.5 and abs(changes[1][0]) < 0.5


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([*PAIR, "--methods", "rayleigh,nosuch"], 2, "nosuch"),
        ([*PAIR, "--judge", "fourier.lo"], 2, "fourier.low"),
        ([*PAIR, "--seeds", "x"], 2, "0-3"),
        ([*PAIR, "--only", "nobody"], 2, "matches none"),
        (["evaluate", "./my_generator.py:build", "--fix", BOX], 2, "nothing varies"),
        (["evaluate", "./missing.py:build", "--vary", "pixels"], 4, "missing.py"),
        (["evaluate", "missing.toml"], 2, "cannot read the grid missing.toml"),
        (["evaluate", "grid.toml", "--vary", "pixels"], 2, "leave --vary out"),
        (["evaluate", "grid.toml", "--judge", "pixels"], 2, "leave --judge out"),
        (["evaluate", "grid.toml", "rooms"], 2, "one generator, or grids"),
    ],
)
def test_wrong_input_is_reported_before_anything_runs(
    here: Here,
    place: Path,
    words: list[str],
    code: int,
    said: str,
) -> None:
    got, text = here(*words, "-o", "out")
    assert said in text and "Traceback" not in text
    assert got == code, text
    assert not (place / "out").exists()


def test_a_folder_that_is_not_an_evaluation_is_refused(here: Here, place: Path) -> None:
    (place / "out").mkdir()
    (place / "out" / "letter.txt").write_text("mine")
    code, said = here(*PAIR, "-o", "out")
    assert code == 4 and "letter.txt" in said
    assert {entry.name for entry in (place / "out").iterdir()} == {"letter.txt"}
    (place / "out" / "letter.txt").rename(place / "out" / "grid.toml")
    code, said = here(*PAIR, "-o", "out")
    assert code == 4 and (place / "out" / "grid.toml").read_text() == "mine", "a grid of the user's own makes none ours"
