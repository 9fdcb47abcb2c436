"""`eigenwalk attributes fit`: what it learns, reports, saves and refuses."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from eigenwalk import store
from eigenwalk.errors import EigenwalkError, FileError, InputError, OutputError
from eigenwalk_attributes.attributes import attributes
from eigenwalk_attributes.fit import fitting, head, scores
from eigenwalk_attributes.fit.command import app
from eigenwalk_attributes.fit.examples import Skipped, from_csv, from_folders, prepare
from eigenwalk_attributes.preprocessing import Preprocessing

from .cases import picture

SIDE = 32


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture(scope="module")
def discs(tmp_path_factory) -> tuple[Path, Path]:
    """Two folders, of 60 bright discs and of as many dark ones."""
    return two_folders(tmp_path_factory.mktemp("discs"), 60)


@pytest.fixture
def backbone(weights) -> tuple[object, ...]:
    """Words that name a small frozen backbone."""
    return "--backbone", "test_resnet", "--weights", weights["test_resnet"], "--size", SIDE


def disc(brightness: float, rng: np.random.Generator) -> Image.Image:
    """A disc of this brightness, of a random size at a random place on a random ground."""
    y, x = np.mgrid[:SIDE, :SIDE]
    inside = np.hypot(y - rng.uniform(12, 20), x - rng.uniform(12, 20)) < rng.uniform(7, 11)
    ground = rng.uniform(0.3, 0.7, 3) + rng.normal(0, 0.02, (SIDE, SIDE, 3))
    pixels = np.where(inside[..., None], brightness, ground)
    return Image.fromarray((255 * pixels.clip(0, 1)).astype(np.uint8))


def two_folders(folder: Path, count: int) -> tuple[Path, Path]:
    """`count` bright discs and as many dark ones."""
    rng = np.random.default_rng(0)
    for name, low, high in (("bright", 0.75, 1.0), ("dark", 0.0, 0.25)):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            disc(rng.uniform(low, high), rng).save(folder / name / f"{i:03d}.png")
    return folder / "bright", folder / "dark"


def table(folder: Path, count: int, head: str = "image,brightness [share]") -> Path:
    """A CSV of `count` discs with their brightness."""
    rng, lines = np.random.default_rng(1), [head]
    for i in range(count):
        value = rng.uniform()
        disc(value, rng).save(folder / f"{i:03d}.png")
        lines.append(f"{i:03d}.png,{value:.4f}")
    (folder / "values.csv").write_text("\n".join(lines) + "\n")
    return folder / "values.csv"


def run(*words: object) -> str:
    """Run the command and return its output; errors are raised."""
    done = CliRunner().invoke(app, ["fit", *map(str, words)])
    if done.exception is not None and isinstance(done.exception, EigenwalkError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_a_network_from_scratch_tells_bright_discs_from_dark_ones(discs):
    bright, dark = discs
    said = run("bright", "--positive", bright, "--negative", dark, "--size", 32)
    assert "120 images\n" in said and "bright: 60 have it (50%)" in said and "calibration error" in said
    for ending in (".safetensors", ".png"):
        assert (store.folder() / f"attributes/bright{ending}").stat().st_size > 5000
    assert 'eigenwalk walk GENERATOR --vary "attributes(bright)"' in said
    feature = attributes(("bright",))
    assert feature.unit == "logit"
    rng = np.random.default_rng(7)
    discs = [disc(value, rng) for value in (0.9, 0.8, 0.2, 0.05)]
    images = torch.stack([torch.from_numpy(np.array(one)) for one in discs]).permute(0, 3, 1, 2) / 255
    assert ((feature(images)[:, 0] > 0) == torch.tensor([True, True, False, False])).all()
    gradient = torch.autograd.grad(feature(images.requires_grad_()).sum(), images)[0]
    assert gradient.isfinite().all() and gradient.abs().max() > 0


def test_a_frozen_backbone_reads_a_value_in_its_own_unit(backbone, tmp_path):
    said = run("brightness", "--csv", table(tmp_path, 160), *backbone)
    assert "brightness: from 0.0" in said and "(share)" in said and "frozen, with a linear head" in said
    feature = attributes(("brightness",))
    assert feature.unit == "share"
    report = feature.chosen[0][0].labels.report
    assert report["scores"]["brightness"]["r2"] > 0.5
    rng = np.random.default_rng(8)
    wanted = torch.tensor([0.1, 0.5, 0.9])
    images = torch.stack([torch.from_numpy(np.array(disc(float(v), rng))) for v in wanted]).permute(0, 3, 1, 2) / 255
    read = feature(images)[:, 0]
    assert (read.diff() > 0.1).all() and (read - wanted).abs().max() < 0.35


def test_the_saved_network_is_the_one_that_was_judged(weights, discs, tmp_path):
    examples = from_folders("bright", *discs)
    fitted, again = (fitting.fit(examples, "test_resnet", Path(weights["test_resnet"]), SIDE, seed=3) for _ in range(2))
    torch.testing.assert_close(fitted.outputs, again.outputs, rtol=0, atol=0)
    fitting.save(fitted, tmp_path / "net.safetensors")
    feature = attributes(("bright",), str(tmp_path / "net.safetensors"))
    rows = fitting.split(examples.values[:, 0], torch.Generator().manual_seed(3)).held
    images = [np.array(Image.open(examples.paths[row])) for row in rows]
    values = feature(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255)
    torch.testing.assert_close(values, fitted.outputs, rtol=1e-4, atol=1e-4)


def test_a_table_may_have_several_labels(backbone, tmp_path):
    file = table(tmp_path, 100, "image,value")
    lines = file.read_text().splitlines()
    more = [f"{line},{int(float(line.split(',')[1]) > 0.5)}" for line in lines[1:]]
    file.write_text("\n".join(["image,brightness,bright", *more]))
    run("discs", "--csv", file, *backbone)
    both = attributes(("brightness", "bright"))
    assert both.unit == "standard deviation"
    assert attributes(("bright",)).unit == "logit"


def test_unusable_images_are_left_out_and_counted(backbone, tmp_path):
    bright, dark = two_folders(tmp_path, 24)
    (bright / "broken.png").write_bytes(b"no image")
    (bright / "notes.txt").write_text("not looked at")
    (dark / "copy.png").write_bytes((dark / "000.png").read_bytes())
    Image.open(bright / "001.png").convert("L").save(bright / "001.png")  # grey files are images too
    said = run("bright", "--positive", bright, "--negative", dark, *backbone)
    assert "48 images; left out: 1 could not be opened, the first of them" in said and "1 copies of others" in said


def test_a_name_in_use_is_kept(backbone, tmp_path):
    folders = two_folders(tmp_path, 16)
    words = ["bright", "--positive", folders[0], "--negative", folders[1], *backbone]
    run(*words, "--out", tmp_path / "mine")
    with pytest.raises(OutputError, match="is there already"):
        run(*words, "--out", tmp_path / "mine")
    assert f"model='{tmp_path / 'mine/bright.safetensors'}'" in run(*words, "--out", tmp_path / "mine", "--force")
    with pytest.raises(FileError, match="nothing of the name 'bright' was fitted"):
        attributes(("bright",))


def test_wrong_input_of_fit_is_refused(backbone, tmp_path):
    bright, dark = two_folders(tmp_path, 15)
    (tmp_path / "empty").mkdir()
    folders = ["--positive", bright, "--negative", dark]
    for words, error, message in (
        (["a b", *folders], InputError, "a word of letters"),
        (["x"], InputError, "both --positive FOLDER and --negative FOLDER"),
        (["x", *folders, "--csv", "values.csv"], InputError, "in their place"),
        (["x", "--positive", bright, "--negative", bright], InputError, "the same folder"),
        (["x", "--positive", bright, "--negative", tmp_path / "empty"], FileError, "no image in the folder"),
        (["x", "--positive", bright, "--negative", tmp_path / "none"], FileError, "there is no folder"),
        (["x", *folders, *backbone], InputError, "x has 15 positive images"),
        (["x", *folders, "--weights", "w.pth"], InputError, "name it, such as --backbone"),
        (["x", *folders, "--mirror", *backbone], InputError, "from scratch"),
        (["x", *folders, "--backbone", "test_resnet"], FileError, "weights=FILE"),
        (["x", *folders, "--size", 8], InputError, "from 32 to 512"),
    ):
        with pytest.raises(error, match=message):
            run(*words)
    assert not (store.folder() / "attributes").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must name its columns"),
        ("picture,value\na.png,1", "must name its columns"),
        ("image,value\n", "only line is the head"),
        ("image,value\na.png,much", "line 2: value must be a number, got 'much'"),
        ("image,value\na.png,nan", "must be a number"),
        ("image,value\na.png,1,2", "3 cells where the head names 2"),
        ("image,a b,c\na.png,1,2", "name of its own"),
        ("image,a,a\na.png,1,2", "name of its own"),
    ],
)
def test_unreadable_tables_are_refused(tmp_path, text, message):
    (tmp_path / "values.csv").write_text(text)
    with pytest.raises(FileError, match=message):
        from_csv("x", tmp_path / "values.csv")


def test_a_table_gives_labels_units_and_paths(tmp_path):
    (tmp_path / "values.csv").write_text("\ufeffimage,age [years],hat,depth\na.png,3,1,0.5\n\nb.png,4,0,2\n", "utf-8")
    found = from_csv("people", tmp_path / "values.csv")
    assert found.labels == ("age", "hat", "depth")
    assert found.units == ("years", "logit", "unit of depth")
    assert found.paths == (tmp_path / "a.png", tmp_path / "b.png")
    with pytest.raises(InputError, match="age has 2 images with values"):
        found.check()


def test_one_image_with_two_values_is_an_error(backbone, tmp_path):
    picture(20, 20).save(tmp_path / "a.png")
    picture(20, 20).save(tmp_path / "b.png")
    (tmp_path / "values.csv").write_text("image,value\na.png,0\nb.png,1\n")
    sees = Preprocessing((3, 16, 16), "bilinear", 1.0, "center", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    with pytest.raises(InputError, match="with another value"):
        list(prepare(from_csv("x", tmp_path / "values.csv"), sees, Skipped()))


def test_a_split_keeps_every_range_of_values():
    values = torch.cat([torch.zeros(300), torch.ones(100)]).double()
    parts = fitting.split(values, torch.Generator().manual_seed(0))
    rows = torch.cat([parts.train, parts.validation, parts.held])
    assert sorted(rows.tolist()) == list(range(400))
    assert len(parts.held) == 80 and len(parts.validation) == 60
    assert float(values[parts.held].mean()) == pytest.approx(0.25)


def test_a_logistic_head_learns_the_probability_of_the_labels():
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(4000, 5, generator=draw, dtype=torch.float64) * torch.tensor([1, 2, 5, 0.1, 0]) + 3
    w = torch.tensor([1.0, -0.5, 0.1, 4.0, 0.0], dtype=torch.float64)
    logits = x @ w - 12
    y = (torch.rand(4000, generator=draw, dtype=torch.float64) < logits.sigmoid()).double()
    found = head.fit(x, y, True, draw)
    assert found.weight[4] == 0  # what never varies says nothing
    torch.testing.assert_close(found.weight[:4], w[:4], rtol=0.25, atol=0.1)
    assert scores.ece((x @ found.weight + found.bias).sigmoid(), y) < 0.03


def test_a_ridge_head_learns_a_linear_relation():
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(500, 4, generator=draw, dtype=torch.float64) * 3 + 1
    y = x @ torch.tensor([1.0, -2.0, 0.5, 0.0], dtype=torch.float64) + 40
    found = head.fit(x, y, False, draw)
    torch.testing.assert_close(x @ found.weight + found.bias, y, rtol=0, atol=0.01)


def test_the_temperature_undoes_a_scale():
    draw = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(20_000, generator=draw)
    truth = (torch.rand(20_000, generator=draw) < logits.sigmoid()).double()
    assert scores.temperature(3 * logits, truth) == pytest.approx(3, rel=0.1)
    assert scores.temperature(logits / 4, truth) == pytest.approx(1)  # never surer than the network that was fitted
    said = scores.classified(logits, truth, 3.0)
    assert said.ece < 0.02 < said.ece_before
    assert said.low < said.accuracy < said.high


@pytest.mark.parametrize("n", [4, 30, 400])
def test_images_told_apart_without_an_error_do_not_make_it_certain(n):
    truth = (torch.arange(n) % 2).double()
    for size in (0.5, 50.0):
        assert scores.temperature((2 * truth - 1) * size, truth) == pytest.approx(1)


def test_scores_of_small_cases():
    truth = torch.tensor([0.0, 0.0, 1.0, 1.0])
    assert scores.auc(torch.zeros(4), truth) == 0.5
    assert scores.auc(-truth, truth) == 0
    assert math.isnan(scores.auc(truth, torch.ones(4)))
    assert scores.ece(torch.tensor([0.25, 0.25, 0.85, 0.85]), truth) == pytest.approx(0.2)
    found = scores.regressed(torch.tensor([1.0, 2, 3]), torch.tensor([1.0, 2, 4]))
    assert found.r2 == pytest.approx(1 - 3 / 14)
    assert found.mean_absolute_error == pytest.approx(1 / 3)


def test_a_network_that_learnt_nothing_is_reported():
    truth = torch.tensor([0.0, 1.0] * 20)
    signs = 2 * truth - 1
    assert any("no better" in line for line in scores.classified(signs.roll(1), truth, 1.0).lines("logit"))
    assert not any("no better" in line for line in scores.classified(signs, truth, 1.0).lines("logit"))
    assert any("hardly better" in line for line in scores.regressed(truth.roll(1), truth).lines("m"))
    assert not any("hardly better" in line for line in scores.regressed(truth, truth).lines("m"))
