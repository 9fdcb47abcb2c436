"""What samples say of a feature, kept in the user's cache under everything that it depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from eigenwalk.errors import FileError
from eigenwalk.maths.typical import SAMPLES, SEED
from eigenwalk.objects.build import Used
from eigenwalk.store import cache_folder, write_whole
from eigenwalk.textfile import read_json


def cached_typical(names: Sequence[str], used: Sequence[Used], measure: Callable[[], float]) -> float:
    """Return a typical distance that was measured before, or measure it; see `cached`."""
    return float(cached("typical", names, used, measure))


def cached(what: str, names: Sequence[str], used: Sequence[Used], measure: Callable[[], Any]) -> Any:
    """Return what was measured before for `names` with exactly these distributions, weights and files, or measure it.

    `what` it is, a number or something else that JSON holds, names the folder in the cache. `names` are the canonical
    expressions of the feature and of the generator, their options among them, and the dtype.

    A cache that cannot be read or written costs only time.
    """
    key = json.dumps([*names, SAMPLES, SEED, version("eigenwalk"), [asdict(one) for one in used]], sort_keys=True)
    file = cache_folder() / what / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
    with suppress(FileError, ValueError, KeyError, TypeError):
        found = read_json(file)[what]
        return float(found) if what == "typical" else found
    value = measure()
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps({"names": list(names), what: value}))
    return value
