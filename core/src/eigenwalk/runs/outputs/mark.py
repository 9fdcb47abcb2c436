"""``run.json``, which marks a folder as a run's and says what is in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from eigenwalk.errors import FileError
from eigenwalk.runs.outputs.chain import RUN, known_places
from eigenwalk.runs.outputs.files import OURS, PATHS, PICTURES
from eigenwalk.sealed import json_text, open_sealed, seal
from eigenwalk.store import write_whole


@dataclass(frozen=True)
class Mark:
    """What ``run.json`` says.

    Attributes:
        files: that a finished run has; None where it has not come to its end.
        state: the SHA-256 of the solver's state at the end; None if it is not kept.
        starts: files that paths start in, and where they lie relative to the folder.
        back: paths that were taken back, by name, and the waypoint that each is shown up to.
    """

    files: list[str] | None
    state: str | None
    starts: Mapping[str, str]
    back: Mapping[str, int]


def read_mark(folder: FilePath) -> Mark | None:
    """Return the mark of a run's folder; None where there is none, or it is damaged."""
    if not (folder / RUN).is_file():
        return None
    with suppress(FileError):
        found = open_sealed(folder / RUN)
        if found["sum"] and found.get("eigenwalk") == "run" and _is_list_of_files(found.get("files")):
            return Mark(found["files"], found.get("state"), known_places(found), _waypoints(found.get("back")))
    return None


def write_mark(folder: FilePath, mark: Mark) -> None:
    """Write the mark; raises OSError as the file system gives it."""
    also = {"state": mark.state, "starts": mark.starts, "back": mark.back}
    also = {key: value for key, value in also.items() if value}
    write_whole(folder / RUN, json_text(seal({"eigenwalk": "run", "files": mark.files, **also})))


def _is_list_of_files(files: Any) -> bool:
    """Whether `files` is what a run's mark may hold: None, or names such as a run writes."""
    names = re.compile(f"{PICTURES}|{PATHS}/{OURS[PATHS]}")
    return files is None or (
        isinstance(files, list) and all(isinstance(one, str) and names.fullmatch(one) for one in files)
    )


def _waypoints(back: Any) -> dict[str, int]:
    """Return waypoints by the names of paths, as a run's mark holds them; none where it holds something else."""
    is_back = isinstance(back, dict) and all(isinstance(one, int) and one >= 0 for one in back.values())
    return back if is_back else {}
