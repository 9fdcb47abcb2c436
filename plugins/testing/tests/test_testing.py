"""The conformance kit on features and generators that each break one rule, and its reports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import nonconforming as bad
import pytest
import torch
from PIL import Image

from eigenwalk.cli import main
from eigenwalk.errors import InputError
from eigenwalk.names.registry import Registry
from eigenwalk.testing import (
    DIRECTION,
    FEATURE,
    GENERATOR,
    Case,
    check,
    check_feature,
    check_generator,
    names,
    save_golden,
    smooth_images,
)

ROOT = Path(__file__).parents[3]
BY_OTHERS = {"import", "golden"}
"""Checks whose bad example is a file, and has a test of its own."""


def failed(report) -> list[str]:
    return [finding.check for finding in report.failures]


@pytest.mark.parametrize(
    "feature", [bad.Pooled(), bad.Half(), bad.feature_spec()], ids=["object", "projection", "spec"]
)
def test_a_feature_that_keeps_the_contract_passes(feature):
    report = check_feature(feature)
    report.raise_for_failures()
    assert report.ok and not report.failures
    assert [finding.check for finding in report] == [one.name for one in FEATURE]


@pytest.mark.parametrize("generator", [bad.Waves(), bad.generator_spec()], ids=["object", "spec"])
def test_a_generator_that_keeps_the_contract_passes(generator):
    report = check_generator(generator)
    report.raise_for_failures()
    assert [finding.check for finding in report] == [one.name for one in GENERATOR]


@pytest.mark.parametrize(("name", "what", "feature"), bad.FEATURES, ids=[f"{n}: {w}" for n, w, _ in bad.FEATURES])
def test_a_bad_feature_fails_exactly_its_own_check(name, what, feature):
    report = check_feature(feature)
    assert failed(report) == [name], report
    assert report[name].measured and report[name].remedy


@pytest.mark.parametrize(("name", "what", "generator"), bad.GENERATORS, ids=[f"{n}: {w}" for n, w, _ in bad.GENERATORS])
def test_a_bad_generator_fails_exactly_its_own_check(name, what, generator):
    report = check_generator(generator)
    assert failed(report) == [name], report
    assert report[name].measured and report[name].remedy


def test_every_check_has_a_bad_example():
    assert {name for name, _, _ in bad.FEATURES} | BY_OTHERS == {one.name for one in FEATURE}
    assert {name for name, _, _ in bad.GENERATORS} | BY_OTHERS == {one.name for one in GENERATOR}


def test_checks_follow_those_that_they_need_and_have_descriptions():
    for checks in (FEATURE, GENERATOR):
        order = [one.name for one in checks]
        assert len(set(order)) == len(order)
        for one in checks:
            assert one.about.endswith((".", ":")), one.name
            assert all(order.index(need) < order.index(one.name) for need in one.needs), one.name


@pytest.mark.parametrize(("line", "caught"), [("import numpy", True), ("import json", False)])
def test_a_heavy_plugin_module_is_caught(line, caught, tmp_path, monkeypatch):
    (tmp_path / "offering.py").write_text(
        f"""{line}
from eigenwalk.hookspecs import hookimpl
from eigenwalk.spec import FeatureSpec, Option

@hookimpl
def eigenwalk_features():
    options = (Option("cells", "int", 4, "cells"), Option("scale", "float", 1.0, "a factor"))
    return [FeatureSpec(name="pooled", load="nonconforming:Pooled", summary="mean colours", options=options)]
"""
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "offering", raising=False)
    import offering  # type: ignore[import-not-found]

    registry = Registry.discover(extra=[(offering, "eigenwalk-offering", "1.0")], installed=False)
    from eigenwalk_testing.declared import _probe

    _probe.cache_clear()
    report = check_feature("pooled", registry=registry)
    assert failed(report) == (["import"] if caught else [])
    assert ("numpy" in report["import"].measured) is caught


def test_golden_values_are_saved_and_compared(tmp_path):
    case = Case("fourier.low", golden=tmp_path / "low.json")
    save_golden(case)
    assert check(case)["golden"].outcome == "passed"
    other = Case("fourier.low(cycles=8.1)", golden=case.golden)
    assert failed(check(other)) == ["golden"]
    moved = Case("fourier.low", golden=case.golden, images=lambda: smooth_images(3, 64, seed=1))
    assert "inputs are others" in check(moved)["golden"].measured
    assert failed(check(Case("fourier.low", golden=tmp_path / "none.json"))) == ["golden"]


def test_golden_values_of_generators_are_saved_and_compared(tmp_path):
    case = Case("rooms", golden=tmp_path / "rooms.json")
    save_golden(case)
    assert check_generator(case)["golden"].outcome == "passed"
    assert failed(check(Case("rooms(truncation=0.9)", golden=case.golden))) == ["golden"]


def test_an_expected_failure_passes_and_an_unexpected_pass_fails():
    report = check_feature(bad.Clipped(), expected={"clip": "a detector of bytes"})
    report.raise_for_failures()
    assert report["clip"].outcome == "expected" and "a detector of bytes" in report["clip"].measured
    passing = check_feature(bad.Pooled(), expected={"clip": "a detector of bytes"})
    assert failed(passing) == ["clip"] and "it passes" in passing["clip"].measured
    with pytest.raises(AssertionError, match="take 'clip' out"):
        passing.raise_for_failures()
    assert failed(check_feature(bad.Pooled(), expected={"half": "no"})) == ["half"]
    with pytest.raises(ValueError, match="did you mean clip"):
        check_feature(bad.Pooled(), expected={"clips": "a typing error"})


def test_checks_that_do_not_apply_say_so():
    report = check_feature(bad.Pooled())
    assert report["complement"].outcome == "skipped" and "not a projection" in report["complement"].measured
    report = check_feature(bad.Noisy())
    assert report["rows"].measured == "means nothing without independence"


def test_a_case_needs_two_images_or_more():
    with pytest.raises(InputError, match="two or more"):
        check_feature(bad.Pooled(), smooth_images(1, 32))


def test_the_kit_restores_random_state_and_feature():
    feature, state = bad.Training(), torch.get_rng_state()
    check_feature(feature)
    assert torch.equal(state, torch.get_rng_state())
    assert feature.network.weight.dtype == torch.float32 and feature.network.weight.device.type == "cpu"


def test_a_case_may_name_its_feature():
    assert names(Case("~mask(box=(0, 0, 1, 0.5)) | fourier.low")) == {"mask", "fourier.low"}
    assert names(Case("rooms(space=w)")) == {"rooms"}


@pytest.fixture
def run(capsys):
    """Runs ``eigenwalk`` with the words that it is called with; its exit code and standard output."""

    def ran(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(words)
        return int(ended.value.code or 0), capsys.readouterr().out

    return ran


def test_check_runs_from_a_shell(tmp_path, run):
    (tmp_path / "mine.py").write_text("def bright(images):\n    return images.clamp(0, 1).mean((1, 2, 3))\n")
    code, out = run("check", f"{tmp_path}/mine.py:bright", "pixels")
    assert code == 1
    assert "FAIL      clip" in out and "leave out clamp" in out and "feature pixels:" in out
    told = json.loads(run("check", f"{tmp_path}/mine.py:bright", "--json")[1])
    assert [finding["check"] for finding in told[0]["findings"] if finding["outcome"] == "failed"] == ["clip"]


def test_a_generator_in_a_file_is_recognised(tmp_path, run):
    text = "from nonconforming import Bytes\ndef build(scale: int = 1):\n    return Bytes()\n"
    (tmp_path / "mine.py").write_text(text)
    code, out = run("check", f"{tmp_path}/mine.py:build")
    assert code == 1 and "FAIL      range" in out and out.startswith("generator ")


def test_check_takes_images_and_golden_values(tmp_path, run):
    for i, image in enumerate(smooth_images(3, 24)):
        Image.fromarray((255 * image.permute(1, 2, 0)).byte().numpy()).save(tmp_path / f"{i}.png")
    golden = str(tmp_path / "golden.json")
    code, out = run("check", "luminance", "--images", str(tmp_path), "--save-golden", golden)
    assert code == 0 and "0 from those of golden.json" in out, "what was written is checked as well"
    assert run("check", "luminance", "--images", str(tmp_path), "--golden", golden)[0] == 0
    assert run("check", "luminance", "--generator", "rooms", "--golden", golden)[0] == 1
    assert run("check", "luminance", "pixels", "--golden", golden)[0] == InputError.exit_code


def test_equal_pixels_of_a_picture_are_not_blamed_on_the_feature(tmp_path, run):
    text = "import torch\ndef peaks(images):\n    return torch.nn.functional.max_pool2d(images, 2).mean((2, 3))\n"
    (tmp_path / "mine.py").write_text(text)
    for i in range(3):
        Image.new("RGB", (24, 24), (60 + 40 * i, 90, 120)).save(tmp_path / f"{i}.png")
    code, out = run("check", f"{tmp_path}/mine.py:peaks", "--images", str(tmp_path))
    assert code == 0 and "ok        pullback" in out, out


def test_a_feature_without_a_value_suggests_other_images(tmp_path, run):
    text = (
        "from eigenwalk.errors import Undefined\n"
        "def faces(images):\n    raise Undefined('no face', feature='faces', rows=(0,))\n"
    )
    (tmp_path / "mine.py").write_text(text)
    code, out = run("check", f"{tmp_path}/mine.py:faces")
    assert code == 1 and "no face" in out and "--images" in out and "nothing may be raised" not in out


def test_warnings_of_torch_about_itself_are_not_shown():
    words = [sys.executable, "-W", "always", "-c", "from eigenwalk.cli import main; main()", "check", "luminance"]
    told = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "ok        pushforward" in told.stdout and "torch.jit" not in told.stderr


def test_without_a_name_all_declared_names_are_checked(run):
    out = run("check")[1]
    assert "feature fourier.low: 3 passed" in out and "generator rooms: 3 passed" in out


def test_the_guide_names_every_check():
    text = (ROOT / "docs/conformance.md").read_text(encoding="utf-8")
    assert not [one.name for one in (*FEATURE, *GENERATOR, *DIRECTION) if f"`{one.name}`" not in text]
