"""Does a set of counterfactual pairs help where the correlations of a sample mislead?

    eigenwalk dataset faces --fix faces.identity --vary "faces.attribute(hair_length)" --to 0.8 --seeds 0-199 -o hair
    python docs/examples/counterfactual_pairs.py hair

The question put to a small network is whether hair is long. In the sample long hair goes with light skin, and short
hair with dark skin; in the images that the network is tested on the two are independent. Networks are trained on random
images of the sample; on walks that begin at such images, their starts and their ends; on the walks whose hair changes
sides; or half on walks and half on random images. Labels are what `faces.factor`, which no walk optimises, reads on the
pictures, split at the median.

Each round draws four fifths of the walks, random images anew and other weights to begin with.
"""

import argparse
import io
import itertools
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch import Tensor, nn

import eigenwalk

POOL, TEST, EPOCHS, ROUNDS = 1600, 1200, 30, 20
SIDE = 32
"""Of the images that the networks see."""
SEED = 10**6
"""Of the random images: no start of a walk."""
STUDENT = 2.093
"""Of t, 97.5 % for 19 degrees of freedom."""


def read_walks(folder: Path) -> tuple[Tensor, Tensor, Tensor]:
    """Return seeds ``(n,)``, starts and ends ``(n, 3, height, width)`` of all walks of a data set."""
    columns = pq.read_table(folder / "pairs", columns=["seed", "before", "after"]).to_pydict()
    starts, ends = (torch.stack([decode(cell["bytes"]) for cell in columns[name]]) for name in ("before", "after"))
    return torch.tensor(columns["seed"]), starts, ends


def decode(data: bytes) -> Tensor:
    """Return a picture as ``(3, height, width)`` in [0, 1]."""
    return torch.from_numpy(np.array(Image.open(io.BytesIO(data)))).permute(2, 0, 1).float() / 255


@torch.no_grad()
def sample(n: int) -> Tensor:
    """Return random images of the generator, in eight bits as a file holds them."""
    generator = eigenwalk.load_generator("faces")
    images = [generator(z).clamp(0, 1) for z in generator.sample(n, SEED).split(64)]
    return (torch.cat(images) * 255).round() / 255


def shrink(images: Tensor) -> Tensor:
    """Return the images as the networks see them."""
    return nn.functional.interpolate(images, size=(SIDE, SIDE), mode="area") - 0.5


def train(images: Tensor, labels: Tensor, seed: int) -> nn.Module:
    """Return a network of three convolutions, trained for a fixed number of epochs."""
    torch.manual_seed(seed)
    widths, layers = (3, 16, 32, 64), list[nn.Module]()
    for a, b in itertools.pairwise(widths):
        layers += [nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.ReLU()]
    net = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * (SIDE // 8) ** 2, 1))
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=1e-2)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images)).split(32):
            if len(rows) > 1:
                loss = nn.functional.binary_cross_entropy_with_logits(net(images[rows])[:, 0], labels[rows].float())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return net.eval()


def unique(seeds: Tensor) -> Tensor:
    """Return the first place of each seed: walks of one seed share their start."""
    return torch.tensor([int((seeds == seed).nonzero()[0]) for seed in seeds.unique()], dtype=torch.long)


def main() -> None:
    """Print a table of accuracies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a data set made by the first command")
    folder = parser.parse_args().folder
    reader = eigenwalk.load_feature("faces.factor((hair_length, skin_lightness))")

    @torch.no_grad()
    def read(images: Tensor) -> Tensor:
        return torch.cat([reader(part).reshape(-1, 2) for part in images.split(64)])

    pool = sample(POOL + TEST)
    values = read(pool)
    medians = values.median(0).values
    facts, pool = values > medians, shrink(pool)
    test, truth = pool[POOL:], facts[POOL:]
    agree = truth[:, 0] == truth[:, 1]
    plain = (facts[:POOL, 0] == facts[:POOL, 1]).nonzero()[:, 0]

    seeds, starts, ends = read_walks(folder)
    before, after = read(starts), read(ends)
    obeys = ((before > medians)[:, 0] == (before > medians)[:, 1]).nonzero()[:, 0]
    seeds, before, after = seeds[obeys], before[obeys], after[obeys]
    starts, ends = shrink(starts[obeys]), shrink(ends[obeys])
    sides = (before > medians, after > medians)
    crossed = sides[0][:, 0] != sides[1][:, 0]
    moved = (after - before).abs().mean(0)
    print(
        f"{len(seeds)} walks from {len(seeds.unique())} starts where the correlation holds; readings of hair moved by"
    )
    print(f"{float(moved[0]):.2f} and of skin by {float(moved[1]):.2f} of their ranges; hair changed sides in")
    print(f"{int(crossed.sum())}, skin in {int((sides[0][:, 1] != sides[1][:, 1]).sum())}.\n")

    def walks(rows: Tensor) -> tuple[Tensor, Tensor]:
        first = rows[unique(seeds[rows])]
        return torch.cat([starts[first], ends[rows]]), torch.cat([sides[0][first, 0], sides[1][rows, 0]])

    def draw(n: int) -> tuple[Tensor, Tensor]:
        rows = plain[torch.randperm(len(plain))[:n]]
        return pool[rows], facts[rows, 0]

    results: dict[str, list[list[float]]] = {}
    for n in range(ROUNDS):
        torch.manual_seed(n)
        people = seeds.unique()
        people = people[torch.randperm(len(people))[: len(people) * 4 // 5]]
        chosen = torch.isin(seeds, people)
        every, few = walks(chosen.nonzero()[:, 0]), walks((chosen & crossed).nonzero()[:, 0])
        half = walks(torch.isin(seeds, people[::2]).nonzero()[:, 0])
        rest = draw(len(every[0]) - len(half[0]))
        sets = {
            "random images": draw(len(every[0])),
            "walks": every,
            "half walks, half random": tuple(torch.cat(pair) for pair in zip(half, rest, strict=True)),
            "few random images": draw(len(few[0])),
            "walks whose hair changed sides": few,
        }
        for name, (x, y) in sets.items():
            net = train(x, y, n)
            with torch.no_grad():
                right = (net(test)[:, 0] > 0) == truth[:, 0]
            rates = [float(one.float().mean()) for one in (right, right[agree], right[~agree])]
            results.setdefault(name, []).append([len(x), *rates])
    print("| trained on | images | all test images | correlation holds | correlation broken |\n|---|---|---|---|---|")
    for name, rows in results.items():
        table = np.array(rows)
        spread = STUDENT * table.std(0, ddof=1) / ROUNDS**0.5
        cells = [f"{m:.1%} ± {s:.1%}" for m, s in zip(table.mean(0)[1:], spread[1:], strict=True)]
        print(f"| {name} | {table[:, 0].mean():.0f} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
