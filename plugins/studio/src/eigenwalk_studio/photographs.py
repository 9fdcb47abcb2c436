"""A photograph as a start, by `eigenwalk-invert` where that is installed."""

from __future__ import annotations

from eigenwalk_studio.session import Session


def find_start(session: Session, path: str) -> None:
    """Find the latent of a photograph and begin there; a notice says why not."""
    session.notice = "a photograph needs eigenwalk-invert, which is not installed: pip install eigenwalk-invert"
    session.changed()
