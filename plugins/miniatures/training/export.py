"""Puts trained networks into a miniature's folder and writes their sizes and checksums.

python -m training.export rooms --from DIR
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
from pathlib import Path

from eigenwalk_miniatures.miniature import Miniature, miniature


def export(world: Miniature, source: Path, target: Path) -> None:
    """Copy what `source` holds of the networks of `world` to `target`, then list all of `target` in `weights.toml`."""
    for network in world.networks:
        if (source / f"{network}.safetensors").exists():
            shutil.copyfile(source / f"{network}.safetensors", target / f"{network}.safetensors")
    lines = ["# Written by training/export.py.\n"]
    for network in world.networks:
        held = (target / f"{network}.safetensors").read_bytes()
        digest = hashlib.sha256(held).hexdigest()
        lines.append(f'[{network}]\nsize = {len(held)}\nsha256 = "{digest}"\n')
    (target / "weights.toml").write_text("\n".join(lines))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("miniature")
    parser.add_argument("--from", dest="source", type=Path, required=True)
    args = parser.parse_args()
    world = miniature(args.miniature)
    export(world, args.source, Path(str(world.folder)))


if __name__ == "__main__":
    main()
