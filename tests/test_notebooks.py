"""The notebooks of the guides run from an empty folder, and show what is stored in them."""

from __future__ import annotations

import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.docs

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))
LARGEST = 400_000


def tool(name: str) -> Any:
    """A module of tools."""
    if str(ROOT / "tools") not in sys.path:
        sys.path.insert(0, str(ROOT / "tools"))
    return importlib.import_module(name)


def kinds(cells: list[Any]) -> list[list[list[str]]]:
    """The kinds of every output of every cell."""
    return [[sorted(output.get("data", {"stream": ""})) for output in cell.get("outputs", ())] for cell in cells]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_notebook_runs_and_shows_what_is_stored(file):
    executed = tool("notebooks").executed(file)
    stored = json.loads(file.read_text(encoding="utf-8"))
    assert kinds(executed.cells) == kinds(stored["cells"]), f"python tools/notebooks.py {file.stem}"
    assert any(output for cell in kinds(stored["cells"]) for output in cell)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_notebook_is_small_and_tells_of_no_machine(file):
    text = file.read_text(encoding="utf-8")
    assert len(text) < LARGEST
    shown = re.sub(r'"[\w+/=\\]{200,}"', "", re.sub(r"base64,[\w+/=]+", "", text))
    assert not re.search(r"/(home|root|tmp|work|Users)/|\d{4}-\d\d-\d\dT", shown)
    cells = json.loads(text)["cells"]
    assert all(cell["metadata"] == {} for cell in cells)


def test_the_page_of_a_notebook_has_its_text_code_and_outputs(tmp_path):
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "text"]},
        {
            "cell_type": "code",
            "source": "shown",
            "outputs": [
                {"output_type": "stream", "text": ["one\n", "two\n"]},
                {"output_type": "execute_result", "data": {"text/plain": "<b>", "text/html": "<p>rich</p>"}},
                {"output_type": "execute_result", "data": {"text/plain": "an image", "image/jpeg": "QUJD\n"}},
            ],
        },
    ]
    (tmp_path / "own.ipynb").write_text(json.dumps({"cells": cells}))
    assert tool("website.notebooks").page_text(tmp_path / "own.ipynb").split("\n\n") == [
        "# Title\ntext",
        '<a href="own.ipynb">own.ipynb</a> is this page as a notebook.',
        "```python\nshown\n```",
        "```text\none\ntwo\n```",
        '<div class="ew-output"><p>rich</p></div>',
        '<div class="ew-output"><img src="data:image/jpeg;base64,QUJD" alt="an image"></div>\n',
    ]
