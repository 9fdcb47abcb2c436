"""Over one ``eigenwalk walk``, every expression is parsed once, every name looked up once, a file recognised once."""

from __future__ import annotations

from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from eigenwalk.cli import main
from eigenwalk.names import expression, resolve
from eigenwalk.names.registry import Registry
from eigenwalk.objects import compose
from eigenwalk.runs import judging
from eigenwalk.runs.outputs.folder import RunFolder
from eigenwalk.runs.recipe import Recipe

FIX, VARY = ["rooms.part(sofa) < 0.5", "appearance(mask(box=(0, 0, 0.5, 1)))"], ["0.5 * ~luminance", "pixels"]


def counting(monkeypatch: pytest.MonkeyPatch, owner, name: str, counts: Counter, key) -> None:
    """Let calls of a function be counted under ``key(arguments)``."""
    inner = getattr(owner, name)

    def counted(*args, **options):
        counts[key(args)] += 1
        return inner(*args, **options)

    monkeypatch.setattr(owner, name, counted)


def test_a_walk_parses_and_resolves_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.safetensors").write_bytes(
        (files("eigenwalk_miniatures") / "rooms/generator.safetensors").read_bytes()
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(RunFolder, "_draw", lambda folder, whole: ([], ""))  # pictures take longer than this walk
    monkeypatch.setattr(judging, "_installed", lambda recipe, registry: iter(()))  # features that nobody typed
    parsed: Counter[str] = Counter()
    resolved: Counter[str] = Counter()
    found: Counter[str] = Counter()
    counting(monkeypatch, expression, "read", parsed, lambda args: args[0])
    for module in (resolve, compose):
        counting(monkeypatch, module, "resolve", resolved, lambda args: getattr(args[0], "name", "|~"))
    for method in ("feature", "generator", "direction", "open"):
        counting(monkeypatch, Registry, method, found, lambda args: str(args[1]))
    words = [*("--fix", FIX[0], "--fix", FIX[1], "--vary", VARY[0], "--vary", VARY[1]), "--solver", "sefa"]
    with pytest.raises(SystemExit) as end:
        main(["walk", "mine.safetensors(space=w)", *words, "--steps", "1", "--paths", "1", "--out", "out", "-q"])
    assert not end.value.code
    assert parsed == dict.fromkeys(["mine.safetensors(space=w)", *FIX, *VARY, "sefa"], 1)
    names = ["rooms.part", "appearance", "mask", "luminance", "pixels"]
    assert resolved == dict.fromkeys([*names, "|~"], 1)
    assert found == dict.fromkeys([*names, "sefa", "mine.safetensors"], 1)
    recipe = Recipe.read("out/recipe.toml")
    assert str(recipe.fix[1]) == "appearance(mask(box=(0, 0, 0.5, 1)))" and set(recipe.files) == {"mine.safetensors"}
