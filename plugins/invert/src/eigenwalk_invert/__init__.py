"""Find photographs in a generator: latents to walk from, and the generator tuned to them.

    from eigenwalk_invert import invert

    for event in invert("faces", ["me.png"], out="found/me"):
        print(event.stage, event.done)
    event.found.latents

photo, align   photographs as a generator could give them
task           names to objects
objective      what is minimised
descend        Gauss and Newton's method
search         the search, step by step
tune           pivotal tuning
found          the folder, which opens as a generator and a start
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eigenwalk_invert.api import Event, Found, invert

__all__ = ["Event", "Found", "invert"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'eigenwalk_invert' has no attribute {name!r}")
    from eigenwalk_invert import api

    return getattr(api, name)
