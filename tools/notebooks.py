"""Runs the notebooks of docs/notebooks and stores what they show: `python tools/notebooks.py`, with names only those.

Outputs are stored small: pictures as JPEG, and nothing that differs from one run to the next.
"""

from __future__ import annotations

import base64
import io
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from PIL import Image

FOLDER = Path(__file__).parents[1] / "docs/notebooks"
WIDEST, QUALITY = 1200, 80
"""Of a picture: pixels of its width, and of JPEG."""
TIMEOUT = 900
"""Seconds that a cell may take, on a machine that does other things as well."""


def main(names: Iterable[str]) -> None:
    """Runs the notebooks of these names, all if there are none, and writes them with their outputs."""
    for file in notebooks():
        if not names or file.stem in names:
            nbformat.write(executed(file), file)
            print(f"{file.name}: {file.stat().st_size:,} bytes", flush=True)


def notebooks() -> list[Path]:
    """The files of all notebooks."""
    return sorted(FOLDER.glob("*.ipynb"))


def executed(file: Path) -> Any:
    """The notebook with the outputs of a run in an empty folder, by this Python.

    Raises:
        CellExecutionError: a cell raised an error.
        RuntimeError: a cell wrote to standard error.
    """
    notebook = nbformat.read(file, as_version=4)
    specs = KernelSpecManager(kernel_dirs=[])  # another python3 may be installed for the user
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, manager, timeout=TIMEOUT, resources={"metadata": {"path": folder}}).execute()
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number}", {}
        if cell.cell_type == "code":
            cell.outputs = list(_stored(cell.outputs))
    return notebook


def _stored(outputs: Iterable[Any]) -> Iterator[Any]:
    """The outputs as they are stored: without empty ones, pictures small."""
    for output in outputs:
        if output.output_type == "stream":
            if output.name == "stderr":
                raise RuntimeError(f"a cell wrote to standard error: {output.text}")
            yield output
            continue
        data = output.data
        if data.get("text/html") == "":  # progress that was shown and removed
            continue
        output.metadata = {}
        if picture := data.pop("image/png", None):
            data["image/jpeg"] = _small(base64.b64decode(picture))
        yield output


def _small(picture: bytes) -> str:
    """The picture as JPEG, in base64."""
    image, buffer = Image.open(io.BytesIO(picture)).convert("RGB"), io.BytesIO()
    image.thumbnail((WIDEST, 10 * WIDEST), Image.Resampling.LANCZOS)
    image.save(buffer, "JPEG", quality=QUALITY)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


if __name__ == "__main__":
    main(sys.argv[1:])
