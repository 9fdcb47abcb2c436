"""JSON from outside, bounded in bytes and depth."""

from __future__ import annotations

import json
from typing import Any

from eigenwalk.errors import FileError

LARGEST_JSON = 8 << 20


def read_json(text: bytes, what: str) -> Any:
    """What the JSON `text` holds; `what` names the file.

    Raises:
        FileError: too long, nested too deep, or no JSON.
    """
    if len(text) > LARGEST_JSON:
        raise FileError(f"{what} was not read: {len(text)} bytes of JSON")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        why = "nested too deep" if isinstance(error, RecursionError) else error
        raise FileError(f"{what} is truncated or damaged: no JSON ({why})") from error
