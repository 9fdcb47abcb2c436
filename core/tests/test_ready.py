"""Wrong input, missing files and code to trust are reported before torch is loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from eigenwalk.cli import trust
from eigenwalk.names.files import OwnFile

CODE = """
import contextlib, io, json, sys
from eigenwalk.cli import main
from eigenwalk.runs import ready

ready._loads = lambda library: False
ready.os.path.exists = lambda path: False
answers = []
for words in json.loads(sys.argv[1]):
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            main(words)
    except SystemExit as end:
        answers.append((end.code, " ".join(said.getvalue().split()), sorted({"torch"} & set(sys.modules))))
    except BaseException as error:
        answers.append((99, f"Traceback {error!r:.300}", []))
print(json.dumps(answers))
"""
EVIL = 'generator = "rooms"\nvary = ["position(./evil.py:fn)", "pixels"]\n'
LONG = "x" * 300
CASES = [
    (["walk", "missing.pkl", "--vary", "pixels"], 4, "there is no file 'missing.pkl'"),
    (["walk", f"{LONG}.pkl", "--vary", "pixels"], 4, "name is too long"),
    (["walk", "rooms", "--vary", "./missing.py:fn"], 4, "there is no file './missing.py'"),
    (["walk", "rooms", "--vary", f"./{LONG}.py:fn"], 4, "there is no file './xxx"),
    (["walk", "rooms", "--vary", "~nobody/a.py:fn"], 4, "there is no file 'nobody/a.py'"),
    (["walk", "rooms", "--vary", "attributes(smile, model=no.pt)"], 4, "no file 'no.pt', which is option 'model'"),
    (["walk", "stylegan(no.pkl)", "--vary", "pixels"], 4, "there is no file 'no.pkl', which is option 'path'"),
    (["walk", "rooms", "--vary", "appearance(mask(file=no.png))"], 4, "there is no file 'no.png'"),
    (["walk", "rooms", "--vary", "pixels(sise=3)"], 2, "did you mean 'size'"),
    (["walk", "rooms", "--vary", "pixels", "--solver", "ganspace(n=3)"], 2, "no option 'n'"),
    (["walk", "rooms", "--vary", "pixels", "--dtype", "float16"], 2, "dtype should be"),
    (["walk", "rooms", "--vary", "pixels", "--memory", "much"], 2, "an amount of memory"),
    (["walk", "rooms", "--vary", "pixels", "--device", "cuda"], 2, "no driver of NVIDIA or AMD"),
    (["walk", "rooms", "--vary", "pixels", "--seed", str(2**63)], 2, "seeds[0] should be less than"),
    (["walk", "rooms", "--vary", "smile"], 2, "write faces.attribute(smile)"),
    (
        ["walk", "rooms", "--fix", "identity", "--vary", "mask(label=sofa)"],
        4,
        'fetch "identity(pretrained=vggface2)" "',
    ),
    (["walk", "rooms", "--fix", "identity", "--vary", "mask(label=sofa)"], 4, '"identity(pretrained=vggface2)" "'),
    (["walk", "rooms", "--vary", "identity"], 4, "identity(pretrained=vggface2) needs weights that are not here"),
    (["run", "missing.toml"], 2, "missing.toml"),
    (["run", "."], 2, "a folder"),
    (["run", "pipe"], 2, "a pipe or a device"),
    (["run", "deep.toml"], 2, "a key may have"),
    (["run", "evil.toml"], 2, 'evil.py:fn" Read it, then add --trust'),
    (["describe", f"./{LONG}"], 4, "too long"),
    (["describe", LONG * 9], 2, "a name is words joined by dots"),
]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, str, list[str]]]:
    """Exit code, output and heavy modules in memory after each command, all in one fresh interpreter."""
    folder = tmp_path_factory.mktemp("ready")
    (folder / "evil.toml").write_text(EVIL)
    (folder / "evil.py").write_text("open('ran', 'w')\nfn = None\n")
    (folder / "deep.toml").write_text("a" + ".a" * 20_000 + " = 1")
    os.mkfifo(folder / "pipe")
    environment = {**os.environ, "EIGENWALK_WEIGHTS": str(folder / "weights"), "COLUMNS": "1000"}
    words = json.dumps([words for words, _, _ in CASES])
    done = subprocess.run([sys.executable, "-c", CODE, words], cwd=folder, env=environment, capture_output=True,
                          text=True, stdin=subprocess.DEVNULL)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {one.name for one in folder.iterdir()} == {"evil.toml", "evil.py", "deep.toml", "pipe"}
    return json.loads(done.stdout)


@pytest.mark.parametrize("i", range(len(CASES)), ids=[" ".join(words)[:60] for words, _, _ in CASES])
def test_bad_input_is_reported_briefly_before_torch_is_loaded(answers, i: int) -> None:
    code, said, loaded = answers[i]
    assert (code, loaded) == (CASES[i][1], []) and CASES[i][2] in said, said
    assert "Traceback" not in said and len(said) < 900


def test_on_a_terminal_the_user_is_asked_before_code_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[dict] = []
    terminal = SimpleNamespace(isatty=lambda: True)
    monkeypatch.setattr(trust, "sys", SimpleNamespace(stdin=terminal, stderr=terminal))
    monkeypatch.setattr(trust.typer, "confirm", lambda text, **options: asked.append(options))
    trust.ask_to_run([], "r.toml")
    assert asked == [] and capsys.readouterr().err == ""
    trust.ask_to_run([OwnFile(Path("e\x1bvil.py"), "fn")] * 2, "r.toml")
    said = capsys.readouterr().err
    assert asked == [{"abort": True, "err": True}] and said.count('"e\\x1bvil.py:fn"') == 1 and "\x1b" not in said
