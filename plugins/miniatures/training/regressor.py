"""Trains a network that reads a miniature's factors, on renders whose factors are known.

    python -m training.regressor rooms --out DIR --images 150000 --seed 0
    python -m training.regressor faces --out DIR --network attributes --seed 1

`DIR` holds the renders of `training.data`; the factors of row i follow from its chunk's seed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch.nn import functional as F

from eigenwalk_miniatures.miniature import miniature
from eigenwalk_miniatures.regressor import Attributes, Regressor
from training.data import SEED, Labelled
from training.fit import Batch, Course, fit, wear

NETWORKS = {"regressor": Regressor, "attributes": Attributes}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("miniature")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--network", choices=NETWORKS, default="regressor")
    parser.add_argument("--images", type=int, default=150_000)
    parser.add_argument("--data-seed", type=int, default=SEED, help="the seed that the renders were drawn with")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    world = miniature(args.miniature)
    labelled = Labelled(args.out, world, 64, args.data_seed)

    def batch(n: int, random: torch.Generator) -> Batch:
        images, shares = labelled.batch(n, random)
        return wear(images, random), shares

    course = Course(args.images, seed=args.seed)
    torch.manual_seed(args.seed)
    network = NETWORKS[args.network](len(world.factors))
    fit(network, batch, F.mse_loss, course, args.out / f"{args.network}.safetensors")


if __name__ == "__main__":
    main()
