"""`eigenwalk doctor` among bad plugins, unmet requirements and mismatched builds."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import pytest

from eigenwalk.cli import environment, main
from eigenwalk.errors import InputError
from zookeeper import BAD, PLAIN, Site

SICK = ("lacks_a_module", "raises", "new_core", "new_api", "kills", "hangs")
DOCTOR = (
    "import sys\nfrom eigenwalk.cli import main\ntry: main(['doctor', *sys.argv[1:]])\n"
    "finally: assert 'torch' not in sys.modules"
)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", str(made.folder))
    monkeypatch.setenv("EIGENWALK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EIGENWALK_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("COLUMNS", "400")
    return made


def doctor(*words: str) -> tuple[int, str]:
    """Run doctor; return its exit code and output, and check that standard error is empty."""
    done = subprocess.run([sys.executable, "-c", DOCTOR, *words], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


def test_doctor_survives_bad_plugins_and_names_each(site, monkeypatch):
    site.zoo("good", "clashes", *SICK)
    slow = "import time, numpy\ntime.sleep(1.1)\n" + PLAIN.format(name="slow.feature")
    site.add("eigenwalk-slow", "slow_plugin", slow)
    site.add("facenet-pytorch", "some_module", "", version="2.6.0", requires=("torch<2.3.0",))
    (site.folder / "facenet_pytorch-2.6.0.dist-info" / "entry_points.txt").unlink()
    names = ",".join(f"zoo_{kind}" for kind in ("good", "clashes", *SICK))
    monkeypatch.setenv("EIGENWALK_PLUGINS", f"fourier,pixels,identity,slow_plugin,{names}")
    code, said = doctor("--timeout", "5")
    assert code == 3
    for kind in SICK:
        name = f"eigenwalk-zoo-{kind.replace('_', '-')}"
        assert f"plugin 'zoo_{kind}' ({name} 1.0) failed at {BAD[kind].stage}: " in said and BAD[kind].said in said
        assert f"fail  {name} 1.0" in said
        assert f"remove it: eigenwalk uninstall {name}; leave it out: --without {name}" in said
    for healthy in ("eigenwalk-fourier", "eigenwalk-zoo-good", "eigenwalk-slow", "eigenwalk-zoo-clashes"):
        assert f"ok    {healthy} " in said
    assert "out   eigenwalk-masks 0.1.0  left out" in said
    assert "slow: it delays the first command after it changes; imports numpy only to list names" in said
    assert "feature 'pixels' is offered 2 times" in said and 'pixels(package="eigenwalk-zoo-clashes")' in said
    assert "names missing because of it: zoo.new" in said
    assert "editable " in said and "contracts 1" in said
    assert "missing  identity/20180402-114759-vggface2.pt (111.9 MB): eigenwalk weights fetch" in said
    assert "torch<2.3.0" in said and "pip install 'facenet-pytorch>=2.5.3,<2.6'" in said
    for label in ("device", "cache", "weights", "EIGENWALK_CACHE", "python"):
        assert f"\n{label} " in said


@pytest.mark.parametrize(
    ("code", "printed", "said"),
    [
        (1, "x 1 requires y, which is not installed.\n", ["x 1 requires y, which is not installed"]),
        (
            1,
            "The package `x` requires `y<2`, but `2.5` is installed\nFound 1\n",
            ["The package `x`"],
        ),
        (1, "eigenwalk-x 1 has requirement eigenwalk>=99, but you have eigenwalk 0.1.\n", ["upgrade eigenwalk and"]),
        (0, "No broken requirements found.\n", []),
        (None, "", ["what is installed cannot be checked: neither pip nor uv"]),
    ],
)
def test_doctor_reports_unmet_requirements(monkeypatch, code, printed, said):
    def run(*_, **__):
        if code is None:
            raise InputError("neither pip nor uv")
        return types.SimpleNamespace(returncode=code, stdout=printed, stderr="")

    monkeypatch.setattr(environment.subprocess, "run", run)
    found = list(environment._unmet())
    assert len(found) == len(said) and all(text in line for text, line in zip(said, found, strict=True))


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        ({"torch": "2.5.0+cpu", "torchvision": "0.20.0"}, "torchvision 0.20.0 is built for CUDA, as on PyPI, "),
        ({"torch": "2.5.0+cu121", "torchvision": "0.20.0+cu118"}, "built for cu118, torch 2.5.0+cu121 for cu121"),
        ({"torch": "2.5.0", "torchaudio": "2.5.0+cpu"}, "torchaudio 2.5.0+cpu is built for CPUs alone"),
        ({"torch": "2.5.0+cpu", "torchvision": "0.20.0+cpu"}, None),
        ({"torch": "2.5.0", "torchvision": "0.20.0"}, None),
        ({"torchvision": "0.20.0"}, None),
    ],
)
def test_doctor_reports_builds_that_do_not_match(versions, said):
    found = list(environment._labels(versions, "linux"))
    assert (not found) if said is None else said in found[0] and "--no-deps torch torch" in found[0]
    assert not list(environment._labels(versions, "darwin")), "wheels for a Mac have no labels"


@pytest.mark.parametrize(("conflicts", "code"), [([], 0), (["x requires y"], 1)])
def test_doctor_exits_with_0_if_healthy_and_1_on_a_conflict(monkeypatch, capsys, conflicts, code):
    monkeypatch.setenv("EIGENWALK_PLUGINS", "fourier,pixels")
    monkeypatch.setattr("eigenwalk.cli.doctor.conflicts", lambda: conflicts)
    with pytest.raises(SystemExit) as end:
        main(["doctor"])
    said = capsys.readouterr().out
    assert int(str(end.value.code or 0)) == code, said
    assert "ok    eigenwalk-fourier " in said and ("wrong x requires y" in said) == bool(conflicts)
