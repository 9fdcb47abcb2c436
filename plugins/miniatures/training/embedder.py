"""Trains the identity embedding of a miniature to give a picture the code of the person on it.

    python -m training.embedder faces --out DIR --images 120000

`DIR` holds the renders of `training.data`: in each another person, with all that is not identity drawn
independently. Loss: the cosine distance to the person's code. A factor that is hard to see in a picture shrinks in the
vector, as its mean code does, so that it counts for less.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from eigenwalk_miniatures.embedder import Embedder
from eigenwalk_miniatures.miniature import miniature
from training.data import SEED, Labelled
from training.fit import Batch, Course, fit, wear
from training.people import code, identity_columns


def apart(vectors: Tensor, codes: Tensor) -> Tensor:
    """Mean cosine distance of unit `vectors` to unit `codes`, both `(batch, d)`."""
    return 1 - (vectors * codes).sum(1).mean()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("miniature")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, default=120_000)
    parser.add_argument("--data-seed", type=int, default=SEED, help="the seed that the renders were drawn with")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    world = miniature(args.miniature)
    labelled, columns = Labelled(args.out, world, 64, args.data_seed), identity_columns(world)

    def batch(n: int, random: torch.Generator) -> Batch:
        images, shares = labelled.batch(n, random)
        return wear(images, random), code(shares[:, columns])

    torch.manual_seed(args.seed)
    notes = {"people": str(len(labelled.shares))}
    course = Course(args.images, seed=args.seed)
    fit(Embedder(len(columns)), batch, apart, course, args.out / "embedder.safetensors", notes=notes)


if __name__ == "__main__":
    main()
