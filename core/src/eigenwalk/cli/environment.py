"""Where the plugins of this Python environment come from."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from eigenwalk.names.discovery import Source


def origin(source: Source) -> str:
    """Say where a plugin's distribution comes from: a folder, a repository, a file, or an index of packages."""
    told: dict = {}
    with suppress(OSError, ValueError, TypeError):
        told = json.loads(Path(source.info or "", "direct_url.json").read_text(encoding="utf-8"))
    url = str(told.get("url", ""))
    path = unquote(urlsplit(url).path) if url.startswith("file:") else url
    if "vcs_info" in told:
        info = told["vcs_info"]
        return f"{info.get('vcs', 'repository')} {path} at {str(info.get('commit_id', '?'))[:12]}"
    if told.get("dir_info", {}).get("editable"):
        return f"editable {path}"
    if url:
        return f"{'folder' if 'dir_info' in told else 'file'} {path}"
    if source.info is not None and source.info.suffix == ".egg-info":
        return f"folder {source.info.parent}"
    return "wheel"
