"""What is measured on the pictures of a walk after it: judges, what else moved, and whether a number was fooled."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path as FilePath

import numpy as np
import pytest
import torch
from torch import Tensor

from command_line import Here, here, place  # noqa: F401
from eigenwalk.errors import WalkError
from eigenwalk.feature import FunctionFeature
from eigenwalk.maths.natural import Natural, copies_of, describe_samples
from eigenwalk.maths.typical import reference_images
from eigenwalk.names.registry import Registry
from eigenwalk.objects.compose import Term
from eigenwalk.path import Path, Seen, Tell
from eigenwalk.runs import judging
from eigenwalk.runs.judging import Gauge, _moved, judge
from eigenwalk.runs.outputs import words
from eigenwalk.runs.outputs.report import report
from eigenwalk.runs.outputs.strip import strip
from eigenwalk.runs.outputs.video import Video
from eigenwalk.runs.recipe import Recipe
from fabricated import path
from problems import Embedding

BOX = "mask(box=(0, 0, 1, 0.5))"
WALK = ["walk", "./my_generator.py:build", "--fix", BOX, "--vary", f"~{BOX}", "--paths", "2", "--steps", "5"]
LIGHT = FunctionFeature(lambda images: images.mean((1, 2, 3)))
RED = FunctionFeature(lambda images: images[:, 0].mean((1, 2)))
WIDE = FunctionFeature(lambda images: images.mean((2, 3)))


def checker(images: Tensor) -> Tensor:
    """A pattern that no eye sees."""
    y, x = torch.meshgrid(*(torch.arange(n) for n in images.shape[2:]), indexing="ij")
    return (images * (1 - 2 * ((x + y) % 2))).mean((1, 2, 3))


G = Embedding(4, lambda z: 0.1 * z)
RECIPE = Recipe.of(generator=G, vary=[LIGHT], dtype="float64")


def judged(walked: tuple[Path, ...], varied: dict | None = None, **judges) -> tuple[Path, ...]:
    """The paths, judged by these features."""
    terms = [Term(name, feature) for name, feature in judges.items()]
    numbers = [Term(name, feature) for name, feature in (varied or {}).items()]
    given = {
        "recipe": RECIPE,
        "samples": lambda: reference_images(G, "cpu", torch.float64),
        "used": (),
        "registry": Registry(),
        "judges": terms,
        "varied": numbers,
    }
    return judge(walked, **given)


def test_a_judge_measures_every_waypoint_and_one_number_has_a_sign() -> None:
    walked = (path(), path(rank=2, sense=-1))
    for before, after in zip(walked, judged(walked, red=RED, wide=WIDE), strict=True):
        assert [role.part for role in after.roles] == ["fixed", "varied", "judged", "judged"]
        pictures = np.stack([waypoint.image for waypoint in before]) / 255
        reds = pictures[..., 0].mean((1, 2))
        red, wide = after.judged
        assert after.change(red, relative=False) == pytest.approx(reds - reds[0], abs=1e-9)
        moved = pictures.mean((1, 2)) - pictures.mean((1, 2))[0]
        assert after.change(wide, relative=False) == pytest.approx(np.sqrt(np.square(moved).mean(1)), abs=1e-9)
        assert after.seen is not None
        assert after.seen.moved == pytest.approx({"red": after.change(red)[-1], "wide": after.change(wide)[-1]})
        assert all(old.changes.items() <= new.changes.items() for old, new in zip(before, after, strict=True))
    images = torch.from_numpy(np.stack([w.image for w in walked[0]])).permute(0, 3, 1, 2).double() / 255
    typical = describe_samples("red", RED, images)[0].typical
    i, j = torch.triu_indices(5, 5, 1)
    assert typical == pytest.approx(float((RED(images)[i] - RED(images)[j]).abs().median()))


def test_judged_twice_a_path_keeps_the_latest_and_is_saved_whole(tmp_path: FilePath) -> None:
    (once,) = judged((path(),), red=RED)
    (twice,) = judged((once,), red=LIGHT, wide=WIDE)
    assert [role.name for role in twice.judged] == ["red", "wide"]
    assert twice.waypoints[-1].changes["red"] != once.waypoints[-1].changes["red"]
    again = Path.load(twice.save(tmp_path))
    assert twice.seen is not None and twice.seen.numbers == ("red",)
    assert again.seen == twice.seen and again.roles == twice.roles
    assert [w.changes for w in again] == [w.changes for w in twice]


def test_a_judge_without_a_value_at_the_samples_is_refused() -> None:
    from eigenwalk.errors import Undefined

    class Never(FunctionFeature):
        def at(self, images: Tensor) -> FunctionFeature:
            raise Undefined("nothing there")

    with pytest.raises(WalkError, match="fewer than two random samples"):
        judged((path(),), never=Never(lambda images: images.mean((1, 2, 3))))


def test_a_pattern_that_copies_lose_is_told_and_light_is_not() -> None:
    plain, size = np.full((32, 32, 3), 128.0), np.arange(32)
    pattern = 1 - 2.0 * ((size[:, None] + size) % 2)[..., None]
    start = path(size=(32, 32), steps=1)

    def ending(image: np.ndarray) -> Path:
        first, last = start.waypoints
        rows = (replace(first, image=plain.astype(np.uint8)), replace(last, image=image.round().astype(np.uint8)))
        return replace(start, waypoints=rows)

    fooled, honest = ending(plain + 4 * pattern), ending(plain + 30)
    tells = [
        judged((one,), {"light": LIGHT, "checker": FunctionFeature(checker)})[0].seen.tells for one in (fooled, honest)
    ]
    assert list(tells[0]) == ["checker"] and list(tells[1]) == ["light"]
    assert tells[0]["checker"].is_suspect and not tells[1]["light"].kept < 0.9


def test_copies_of_a_plain_image_are_the_image_and_samples_give_the_slope() -> None:
    plain = torch.full((2, 3, 20, 30), 0.3, dtype=torch.float64)
    assert len(copies_of(plain)) == 5
    assert all(torch.allclose(copy, plain) for copy in copies_of(plain))
    random = torch.Generator().manual_seed(0)
    values = torch.randn(200, generator=random, dtype=torch.float64)
    noise = 0.05 * torch.randn(200, 3, 4, 4, generator=random, dtype=torch.float64)
    images = 0.5 + 0.1 * values[:, None, None, None] + noise
    found = Natural.of(values, 0.8 * values, images)
    assert found.kept == pytest.approx(0.8)
    # Of a change of one, every pixel moves by a tenth; the noise is in all pairs alike.
    assert found.pixels == pytest.approx(0.1 * found.typical, rel=0.05)


def test_a_path_is_named_after_what_moved_most_and_least() -> None:
    moved = {"x.f(smile)": 0.02, "x.f(hair)": -0.61, "x.f(yaw)": 0.25, "plain": -0.05, "x.f(age)": 0.15}
    seen = Seen(moved, {"x.f(smile)": Tell(0.3, 0.9), "x.f(hair)": Tell(0.9, math.nan)}, tuple(moved))
    one = replace(path(), seen=seen)
    assert words.moved(one) == "hair −61 %, yaw +25 %; still: smile, plain"
    assert words.moved(path()) == "" and words.suspicions(path()) == []
    (said,) = words.suspicions(one)
    assert said == "smile may have been fooled: 30 % of its change is left if the pictures are blurred or shifted"
    html = report([one], "", Video(b"", ".mp4"))
    assert "What else moved: hair −61 %" in html and said in html
    assert strip([one]) != strip([path()])


def test_of_numbers_read_together_one_that_hardly_differs_between_samples_does_not_come_first() -> None:
    gauge = Gauge(("r", "g", "b"), WIDE, (), (Natural(0.01), Natural(0.2), Natural(0.4)))
    one, like = path(), torch.empty(0, dtype=torch.float64)
    first, last = (one.waypoints[n].image.mean((0, 1)) / 255 for n in (0, -1))
    moved, are_numbers = _moved(one, gauge, like)
    assert are_numbers and list(moved.values()) == pytest.approx((last - first) / [0.2, 0.2, 0.4])


def test_old_paths_have_nothing_of_it(tmp_path: FilePath) -> None:
    file = path().save(tmp_path)
    assert "seen" not in file.read_text() and Path.load(file).seen is None


def test_a_judge_is_kept_in_the_run_and_can_be_asked_later(here: Here, place: FilePath) -> None:  # noqa: F811
    code, said = here(*WALK, "--judge", "luminance", "-o", "out")
    assert code == 0 and "judged by luminance" in said and "looking at what moved" in said
    first = Path.load(place / "out/paths/seed0-1+.json")
    assert [role.name for role in first.judged] == ["luminance"] and first.seen is not None
    assert "judged luminance" in (place / "out/changes.csv").read_text().splitlines()[0]
    assert 'judges = ["luminance"]' in (place / "out/recipe.toml").read_text()
    code, said = here(*WALK, "--judge", "fourier.low", "-o", "out")
    assert code == 0 and "it is judged by fourier.low" in said
    again = Path.load(place / "out/paths/seed0-1+.json")
    assert [role.name for role in again.judged] == ["luminance", "fourier.low"]
    assert np.array_equal(again.latents, first.latents)
    code, said = here(*WALK, "-o", "plain")
    plain = Path.load(place / "plain/paths/seed0-1+.json")
    assert code == 0 and np.array_equal(plain.latents, first.latents) and not plain.judged
    assert plain.seen is not None and {"pixels", "luminance"} <= set(plain.seen.moved)


def test_an_installed_feature_that_hangs_keeps_no_walk_from_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    forever, said = threading.Event(), list[str]()

    def hang(images: Tensor) -> Tensor:
        forever.wait()
        return RED(images)

    gauges = [
        Gauge((name,), FunctionFeature(value), ()) for name, value in (("red", RED), ("hangs", hang), ("no", RED))
    ]
    monkeypatch.setattr(judging, "_installed", lambda recipe, registry: iter(gauges))
    monkeypatch.setattr(judging, "SECONDS", 2.0)
    (after,) = judge(
        (path(),), said.append, recipe=RECIPE, samples=lambda: reference_images(G, "cpu", torch.float64), used=(),
        judges=(), varied=(), registry=Registry(),
    )  # fmt: skip
    forever.set()
    assert after.seen is not None and set(after.seen.moved) == {"red"}
    assert said[-1] == "what moved is said by some features only: 2 s are over"


def test_an_installed_feature_that_fails_in_its_own_way_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(recipe: Recipe, registry: Registry) -> Iterator[Gauge]:
        yield from ()
        raise ZeroDivisionError

    monkeypatch.setattr(judging, "_installed", wrong)
    with pytest.raises(ZeroDivisionError):
        judged((path(),))
