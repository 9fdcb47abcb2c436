"""A photograph as a start, by `eigenwalk-invert` where that is installed."""

from __future__ import annotations

from pathlib import Path as FilePath

from eigenwalk.errors import FileError, InputError
from eigenwalk.images import read_size
from eigenwalk_studio.session import Session
from eigenwalk_studio.trust import PIXELS, UPLOAD


def uploaded(path: str) -> FilePath:
    """Return the path of a picture that was sent to the page.

    Raises:
        InputError: it is none.
        FileError: it is no picture, or too large.
    """
    from gradio.utils import get_upload_folder

    file = FilePath(path).resolve()
    if not file.is_relative_to(FilePath(get_upload_folder()).resolve()) or not file.is_file():
        raise InputError("this is no file that was sent to the studio")
    if file.stat().st_size > UPLOAD:
        raise FileError(f"a picture has at most {UPLOAD >> 20} MB")
    height, width = read_size(file)
    if height * width > PIXELS:
        raise FileError(
            f"the picture has {width} x {height} pixels, and at most {PIXELS // 10**6} million are taken: "
            "make it smaller"
        )
    return file


def begin(session: Session, path: str) -> None:
    """Have a photograph's latent found, and begin there.

    Raises:
        InputError, FileError: as `uploaded`; or eigenwalk-invert is not installed.
    """
    uploaded(path)
    raise InputError("a photograph needs eigenwalk-invert, which is not installed: pip install eigenwalk-invert")
