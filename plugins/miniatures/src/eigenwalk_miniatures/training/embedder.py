"""Trains the identity embedding of a miniature on its renderer's people.

    python -m eigenwalk_miniatures.training.embedder faces --out DIR --images 150000 --people 8000

Every person is drawn several times with all that is not identity drawn anew. Loss: supervised contrastive (Khosla
et al. 2020, arXiv 2004.11362, equation 2), in batches of families, so that relatives are told apart too. The same
pictures are read by a head that is thrown away: what it must tell from the vector are the person's factors, so that none
of them is left out because others were enough.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eigenwalk_miniatures.embedder import DIMENSIONS, Embedder
from eigenwalk_miniatures.miniature import Miniature, miniature
from eigenwalk_miniatures.training.fit import Batch, Course, fit, wear
from eigenwalk_miniatures.training.people import RELATIVES, drawn, families
from eigenwalk_miniatures.training.store import save_network

SEED = 300_000
"""Seed of the people in training."""

VIEWS = 4
"""Pictures of each person."""

TEMPERATURE = 0.1

READING = 4.0
"""Weight of the head's mean squared error."""


class Taught(nn.Module):
    """The embedding with the head that reads a person's factors off it while training."""

    def __init__(self, factors: int) -> None:
        super().__init__()
        self.embedder = Embedder()
        self.head = nn.Linear(DIMENSIONS, factors)

    def forward(self, images: Tensor) -> Tensor:
        """Unit vectors with the readings beside them, `(batch, 64 + factors)`."""
        vectors = self.embedder(images)
        return torch.cat([vectors, self.head(vectors * 4) * 0.3 + 0.5], dim=1)


def contrastive(vectors: Tensor, people: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    """Supervised contrastive loss of unit `vectors (batch, d)`; rows of equal `people (batch,)` belong together.

    Σ_i -1/|P(i)| Σ_{p in P(i)} log (exp(v_i·v_p/τ) / Σ_{a ≠ i} exp(v_i·v_a/τ)) over the batch's size.
    """
    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    logits = (vectors @ vectors.T / temperature).masked_fill(itself, -1e4)
    same = (people[:, None] == people[None]) & ~itself
    shares = logits.log_softmax(1)
    return -((shares * same).sum(1) / same.sum(1)).mean()


def loss(said: Tensor, target: Tensor) -> Tensor:
    """What `Taught` descends; `target (batch, 1 + factors)` holds the person's number and shares."""
    read = F.mse_loss(said[:, DIMENSIONS:], target[:, 1:])
    return contrastive(said[:, :DIMENSIONS], target[:, 0]) + READING * read


def rendered(world: Miniature, people: int, seed: int, chunk: int = 50) -> tuple[Tensor, Tensor]:
    """Pictures `(families, RELATIVES, VIEWS, 3, 64, 64)`, uint8, and the people's shares.

    Shares are `(families, RELATIVES, identity)`.
    """
    random = torch.Generator().manual_seed(seed)
    who = families(world, people // RELATIVES, random)
    factors = drawn(world, who.flatten(0, 1).repeat_interleave(VIEWS, 0), random)
    pixels = [(world.render(part, 64)[0] * 255 + 0.5).to(torch.uint8) for part in factors.split(chunk)]
    return torch.cat(pixels).view(-1, RELATIVES, VIEWS, 3, 64, 64), who


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("miniature")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, default=150_000)
    parser.add_argument("--people", type=int, default=8_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    world = miniature(args.miniature)
    pixels, who = rendered(world, args.people, SEED)

    def batch(n: int, random: torch.Generator) -> Batch:
        rows = torch.randint(len(pixels), (n // (2 * RELATIVES),), generator=random)
        views = torch.rand(len(rows), RELATIVES, VIEWS, generator=random).argsort(2)[:, :, :2]
        members = torch.arange(RELATIVES)[None, :, None]
        images = pixels[rows[:, None, None], members, views].flatten(0, 2).float() / 255
        numbers = (rows[:, None] * RELATIVES + torch.arange(RELATIVES)).flatten().repeat_interleave(2)
        shares = who[rows].flatten(0, 1).repeat_interleave(2, 0)
        return wear(images, random), torch.cat([numbers[:, None].float(), shares], dim=1)

    torch.manual_seed(args.seed)
    taught, file = Taught(len(world.identity)), args.out / "embedder.safetensors"
    course = Course(args.images, batch=128, rate=2e-3, seed=args.seed)
    about = fit(taught, batch, loss, course, file, notes={"people": str(args.people)})
    save_network(file, taught.embedder, about)


if __name__ == "__main__":
    main()
