"""The doctor among bad plugins, and what it knows of the torch stack."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from eigenwalk.cli import stack
from eigenwalk.cli.stack import broken
from eigenwalk.names.discovery import entry_points
from eigenwalk.names.discovery.probe import probe
from zookeeper import BAD, PLAIN, Site

DOCTOR = "import sys; from eigenwalk.cli import main; main(['doctor', *sys.argv[1:]])"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(tmp_path / "site")
    monkeypatch.syspath_prepend(str(made.folder))
    monkeypatch.setenv("PYTHONPATH", str(made.folder))
    monkeypatch.setenv("EIGENWALK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EIGENWALK_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setenv("ZOO_SLEEP", "1.1")
    return made


def source(plugin: str):
    """The installed plugin of that name."""
    (found,) = [one for one in entry_points()[0] if one.plugin == plugin]
    return found


def doctor(*words: str) -> tuple[int, str]:
    """How the doctor ended and what it printed; it must not have complained on standard error."""
    done = subprocess.run([sys.executable, "-c", DOCTOR, *words], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


SAID = {
    "fails_at_import": "ModuleNotFoundError: No module named 'a_module_that_nobody_has'",
    "raises_in_hook": "failed at hook eigenwalk_features: RuntimeError: the table of features is empty",
    "old_api": "version 0 of the contracts, this eigenwalk speaks version 1: pip install --upgrade eigenwalk-",
    "new_api": "version 99 of the contracts, this eigenwalk speaks version 1: pip install --upgrade eigenwalk\n",
    "new_core": "it asks for eigenwalk>=99, this is",
    "misspelt": "no hook is called 'eigenwalk_feature'; did you mean 'eigenwalk_features'?",
    "exits": "it tried to end the process (SystemExit 'zoo_exits says goodbye')",
    "kills": "failed at import: it ended the process, with exit code 7",
}


def test_the_doctor_survives_the_zoo_and_names_everyone(site):
    site.zoo("good", "kills", *BAD)
    code, said = doctor()
    assert code == 3
    for kind, text in SAID.items():
        assert text in said
        name = f"eigenwalk-zoo-{kind.replace('_', '-')}"
        assert f"fail  {name} 1.0" in said
        assert f"remove it: eigenwalk uninstall {name}; leave it out: --without {name}" in said
    for healthy in ("eigenwalk-fourier", "eigenwalk-zoo-good", "eigenwalk-zoo-sleeps", "eigenwalk-zoo-clashes"):
        assert f"ok    {healthy} " in said
    assert "slow: it delays every command" in said
    assert "feature 'pixels' is offered 2 times" in said and 'pixels(package="eigenwalk-zoo-clashes")' in said
    assert "names missing because of it: zoo.new" in said
    assert "editable " in said and "contracts 1" in said
    assert "missing  identity/20180402-114759-vggface2.pt (111.9 MB): eigenwalk weights fetch" in said
    for label in ("device", "cache", "weights", "EIGENWALK_CACHE", "python"):
        assert f"\n{label} " in said


def test_a_plugin_that_hangs_is_given_up(site, monkeypatch):
    monkeypatch.setenv("ZOO_SLEEP", "600")
    site.zoo("sleeps")
    told = probe(source("zoo_sleeps"), timeout=1)
    assert told.died == "it did not answer within 1 s" and told.plugin is None
    assert "failed at import: it did not answer within 1 s" in str(told.failures[0])


@pytest.mark.parametrize(
    ("text", "died"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "it ended the process, by SIGSEGV"),
        ("import sys, os\nprint('no licence key', file=sys.stderr, flush=True)\nos._exit(0)\n", "exit code 0"),
        ("import sys, os\nprint('no licence key', file=sys.stderr, flush=True)\nos._exit(9)\n", ": no licence key"),
    ],
)
def test_how_a_plugin_ended_the_process_is_told(site, text, died):
    site.add("eigenwalk-bad", "bad_plugin", text)
    assert died in probe(source("bad_plugin")).died


def test_large_packages_at_import_are_named_and_output_is_no_harm(site):
    noisy = "import os, sys\nprint('hello')\nimport numpy\n" + PLAIN.format(name="noisy.feature")
    site.add("eigenwalk-noisy", "noisy_plugin", noisy)
    told = probe(source("noisy_plugin"))
    assert told.heavy == ("numpy",) and told.plugin is not None and not told.failures
    assert told.seconds is not None and told.seconds > 0


def test_a_healthy_installation(site, monkeypatch):
    monkeypatch.setenv("EIGENWALK_PLUGINS", "fourier")
    monkeypatch.setattr(stack, "broken", list)
    code, said = doctor("--timeout", "60")
    assert code in (0, 1), "only the stack of this machine may be wrong"
    assert "ok    eigenwalk-fourier" in said and "fail" not in said
    assert "out   eigenwalk-masks 0.1.0  left out" in said


@pytest.mark.parametrize(
    ("versions", "said"),
    [
        (
            {"torch": "2.5.0+cpu", "torchvision": "0.20.0"},
            "torchvision 0.20.0 is built for CUDA, as on PyPI, ",
        ),
        ({"torch": "2.5.0+cu121", "torchvision": "0.20.0+cu118"}, "built for cu118, torch 2.5.0+cu121 for cu121"),
        ({"torch": "2.5.0", "torchaudio": "2.5.0+cpu"}, "torchaudio 2.5.0+cpu is built for CPUs alone"),
        ({"torch": "2.5.0+cpu", "torchvision": "0.20.0+cpu"}, None),
        ({"torch": "2.5.0", "torchvision": "0.20.0"}, None),
        ({"torchvision": "0.20.0"}, None),
    ],
)
def test_builds_that_do_not_fit(versions, said):
    found = list(stack._labels(versions, "linux"))
    assert (not found) if said is None else said in found[0] and "--no-deps torch torch" in found[0]
    assert not list(stack._labels(versions, "darwin")), "wheels for a Mac have no labels"


@pytest.mark.parametrize(
    ("distribution", "requires", "said"),
    [
        ("facenet-pytorch", "torch<2.3.0,>=2.2.0", "pip install 'facenet-pytorch>=2.5.3,<2.6'"),
        ("torchvision", "torch==1.13.1", "asks for torch==1.13.1"),
        ("somebody", "numpy<1", "pip install --upgrade somebody, or another numpy"),
        ("eigenwalk-x", "eigenwalk>=99", "pip install --upgrade eigenwalk eigenwalk-x"),
        ("eigenwalk-x", "not-there-at-all>=1", "which is not installed: pip install eigenwalk-x brings it"),
        ("somebody", "torch>=1", None),
        ("somebody", "not-there-at-all", None),
        ("somebody", 'torch<1; sys_platform == "plan9"', None),
    ],
)
def test_versions_that_do_not_accept_each_other(site, distribution, requires, said):
    site.add(distribution, "some_module", "", version="2.6.0", requires=(requires,))
    (site.folder / f"{distribution.replace('-', '_')}-2.6.0.dist-info" / "entry_points.txt").unlink()
    found = [line for line in broken() if line.startswith(distribution)]
    assert (found == []) if said is None else any(said in line for line in found), found
