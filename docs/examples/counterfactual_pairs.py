"""Does a set of counterfactual pairs help where the correlations of a sample mislead?

    eigenwalk dataset faces --fix faces.identity --vary "faces.attribute(hair_length)" --to 0.8 --seeds 0-199 -o hair
    python docs/examples/counterfactual_pairs.py hair

The question put to a small network is whether hair is long. In its training images long hair goes with light skin, and
short hair with dark skin; on the images that it is tested on the two are independent. One network is trained on random
images that obey the correlation, the other on as many images from pairs that start at such images and end with other
hair. Labels are what `faces.factor`, which no walk optimises, reads on the pictures, split at the median.
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

POOL, TEST, EPOCHS, ROUNDS = 1500, 600, 40, 5
SEED = 10**6
"""Of the random images: no start of a pair."""


def read_pairs(folder: Path) -> tuple[Tensor, Tensor]:
    """The starts and the ends of all pairs, ``(n, 3, height, width)`` in [0, 1]."""
    columns = pq.read_table(folder / "pairs", columns=["before", "after"]).to_pydict()
    before, after = (torch.stack([decode(cell["bytes"]) for cell in columns[name]]) for name in ("before", "after"))
    return before, after


def decode(data: bytes) -> Tensor:
    """A picture as ``(3, height, width)`` in [0, 1]."""
    return torch.from_numpy(np.array(Image.open(io.BytesIO(data)))).permute(2, 0, 1).float() / 255


@torch.no_grad()
def samples(n: int, seed: int) -> Tensor:
    """Random images of the generator, in eight bits as a file holds them."""
    generator = eigenwalk.load_generator("faces")
    images = [generator(z).clamp(0, 1) for z in generator.sample(n, seed).split(64)]
    return (torch.cat(images) * 255).round() / 255


def train(images: Tensor, labels: Tensor, seed: int) -> nn.Module:
    """A network of three convolutions, trained for a fixed number of epochs."""
    torch.manual_seed(seed)
    widths, layers = (3, 16, 32, 64), list[nn.Module]()
    for a, b in itertools.pairwise(widths):
        layers += [nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.ReLU()]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 16, 1))
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=1e-2)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images)).split(32):
            if len(rows) > 1:
                loss = nn.functional.binary_cross_entropy_with_logits(net(images[rows])[:, 0], labels[rows].float())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return net.eval()


def main() -> None:
    """Print a table of accuracies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a data set made by the first command")
    folder = parser.parse_args().folder
    reader = eigenwalk.load_feature("faces.factor((hair_length, skin_lightness))")
    pool = samples(POOL + TEST, SEED)
    with torch.no_grad():
        read = torch.cat([reader(images).reshape(-1, 2) for images in pool.split(64)])
        medians = read.median(0).values
        before, after = read_pairs(folder)
        start, end = (torch.cat([reader(x).reshape(-1, 2) for x in one.split(64)]) > medians for one in (before, after))
    facts = read > medians
    test, truth = pool[POOL:], facts[POOL:]
    follows = start[:, 0] == start[:, 1]  # pairs whose start obeys the correlation
    changed = follows & (end[:, 0] != start[:, 0])  # and whose end has the other hair
    images = torch.cat([before[changed], after[changed]])
    labels = torch.cat([start[changed, 0], end[changed, 0]])
    kept = (end[changed, 1] == start[changed, 1]).float().mean()
    print(f"{int(follows.sum())} pairs start where the correlation holds; hair changes sides in {int(changed.sum())}, ")
    print(f"and skin stays on its side in {kept:.0%} of these. Each network sees {len(images)} images.\n")
    obeying = (facts[:POOL, 0] == facts[:POOL, 1]).nonzero()[:, 0]
    conflict = truth[:, 0] != truth[:, 1]
    results: dict[str, list[tuple[float, float, float]]] = {"random images": [], "pairs": []}
    for n in range(ROUNDS):
        chosen = obeying[torch.randperm(len(obeying), generator=torch.Generator().manual_seed(n))[: len(images)]]
        for name, (x, y) in {"random images": (pool[chosen], facts[chosen, 0]), "pairs": (images, labels)}.items():
            net = train(x, y, n)
            with torch.no_grad():
                right = (net(test)[:, 0] > 0) == truth[:, 0]
            rates = (right, right[~conflict], right[conflict])
            results[name].append(tuple(float(one.float().mean()) for one in rates))  # type: ignore[arg-type]
    print("| trained on | all test images | correlation holds | correlation broken |\n|---|---|---|---|")
    for name, rows in results.items():
        table = np.array(rows)
        cells = [f"{m:.1%} ± {s:.1%}" for m, s in zip(table.mean(0), table.std(0), strict=True)]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
