"""The generator that eigenwalk walks in: one network, and z, the class, or both as its latent."""

from __future__ import annotations

import math
from dataclasses import replace
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor, nn

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.errors import FileError, OptionError
from eigenwalk.generator import Generator
from eigenwalk_biggan import classes
from eigenwalk_biggan.description import Description, network
from eigenwalk_biggan.formats import brock, huggingface
from eigenwalk_biggan.network import Network
from eigenwalk_biggan.recognise import FORMATS, INSIDE, recognise, weights

SPACES = ("z", "embedding", "both")
CUT = 2.0
"""Where a truncated z is cut before it is scaled: at two standard deviations, as in the published generators."""


class Inputs(nn.Module):
    """What the network takes beside the latent, and how coordinates of a class become its embedding."""

    z: Tensor
    embedding: Tensor
    mean: Tensor
    root: Tensor

    def __init__(self, z: Tensor, embedding: Tensor, mean: Tensor, root: Tensor) -> None:
        super().__init__()
        for name, tensor in {"z": z, "embedding": embedding, "mean": mean, "root": root}.items():
            self.register_buffer(name, tensor.float())

    def embed(self, coordinates: Tensor) -> Tensor:
        """Embeddings ``(batch, d)`` of coordinates ``(batch, d)``: mean + c C½."""
        return self.mean + coordinates @ self.root


class BigGAN(Generator):
    """Latents to images ``(batch, 3, side, side)`` in [0, 1].

    A latent is, by `space`:

    - ``z``: the normal input, ``(batch, z_dim)``, at the class `label`;
    - ``embedding``: the class's embedding, ``(batch, embedding)``, at the z of sample `base`;
    - ``both``: z and then the embedding, side by side.

    Embeddings are standardised: in the latent, classes have mean 0 and unit variance in every direction, as z has (see
    `classes.standardise`). Between classes lie mixtures of them. Of a network without a shared embedding, a class is a
    one-hot vector.

    Samples of ``embedding`` are classes drawn without repetition, and with `label` that class comes first: a walk
    starts there. Samples of ``both`` are a z and a class, which is `label` where that is given.

    With `truncation` z is that number times a normal distribution cut at 2 (arXiv 1809.11096, section 3.1, in the form
    of the published generators). It belongs to the samples, so that a walk may leave it; in the files of Hugging Face
    it also picks the statistics of batch norm, which stay.
    """

    def __init__(
        self,
        network: Network,
        description: Description,
        *,
        label: str | int | None = None,
        space: str = "z",
        base: int = 0,
        truncation: float | None = None,
        names: list[str] | None = None,
    ) -> None:
        if space not in SPACES:
            raise OptionError(f"space must be one of {', '.join(SPACES)}, got {space!r}")
        count, sizes = len(description.table), network.sizes
        if space != "z" and count < 2:
            raise OptionError(f"space must be z, as the network has one class alone, got {space}")
        if label is None and space == "z" and count > 1:
            such = f"such as label={names[207 % count]}" if names else 'such as label="0"'
            raise OptionError(
                f"label must be given in space z: one of the {count} classes, {such}; space=both draws one"
            )
        label = 0 if label is None and count == 1 else label
        self.label = None if label is None else classes.index(label, names or [], count)
        self.notes = description.notes
        self.truncation = description.truncation if truncation is None else truncation
        self.network, self.space, self.source = network, space, description.source
        self.resolution = (sizes.resolution, sizes.resolution)
        mean, root, self._classes = classes.standardise(description.table)
        start = description.table[self.label or 0][None]
        self.inputs = Inputs(self._z(1, base), start, mean, root).eval()
        self.latent_dim = {"z": sizes.z_dim, "embedding": sizes.embedding, "both": sizes.z_dim + sizes.embedding}[space]

    def __call__(self, latents: Tensor) -> Tensor:
        """Return images ``(batch, 3, side, side)`` of latents ``(batch, latent_dim)``, in their dtype.

        They are computed in the network's dtype, which `to` sets.
        """
        x, held, z_dim = latents.to(self.inputs.z.dtype), self.inputs, self.network.sizes.z_dim
        if self.space == "z":
            z, embedding = x, held.embedding.expand(len(x), -1)
        elif self.space == "embedding":
            z, embedding = held.z.expand(len(x), -1), held.embed(x)
        else:
            z, embedding = x[:, :z_dim], held.embed(x[:, z_dim:])
        return (self.network(z, embedding) * 0.5 + 0.5).to(latents.dtype)

    def sample(self, n: int, seed: int) -> Tensor:
        """Return `n` latents of the space, float32: the first m of n are those of ``sample(m, seed)``."""
        if self.space == "z":
            return self._z(n, seed)
        c = self._draw_classes(n, seed)
        return c if self.space == "embedding" else torch.cat([self._z(n, seed), c], 1)

    def __repr__(self) -> str:
        side = self.resolution[0]
        return f"<{self.source}, {side} x {side} pixels, space {self.space} of {self.latent_dim} coordinates>"

    def _z(self, n: int, seed: int) -> Tensor:
        """Return `n` z ``(n, z_dim)``, standard normal or truncated, drawn one after another."""
        random, size = torch.Generator().manual_seed(seed), self.network.sizes.z_dim
        if self.truncation is None:
            rows = [torch.randn(size, generator=random) for _ in range(n)]
        else:
            # By the inverse of the distribution function, which takes one number for each and rejects none.
            end = math.erf(CUT / math.sqrt(2))
            uniform = [torch.rand(size, generator=random, dtype=torch.float64) for _ in range(n)]
            rows = [self.truncation * math.sqrt(2) * torch.erfinv(end * (2 * u - 1)) for u in uniform]
        return torch.stack(rows).float() if rows else torch.empty(0, size)

    def _draw_classes(self, n: int, seed: int) -> Tensor:
        """Coordinates ``(n, embedding)`` of the classes of `n` samples."""
        if self.space == "both" and self.label is not None:
            return self._classes[[self.label] * n].float()
        # Another stream than that of z, whose numbers the classes would follow.
        order = torch.randperm(len(self._classes), generator=torch.Generator().manual_seed(seed + (1 << 32))).tolist()
        if self.label is not None:
            order = [self.label, *(one for one in order if one != self.label)]
        return self._classes[[order[i % len(order)] for i in range(n)]].float()


def describe(
    checkpoint: Checkpoint, config: Path | None, eps: float | None, depth: int | None, truncation: float | None
) -> Description:
    """Return the generator in the file or folder, as data.

    Raises:
        FileError: it is of no known format, or is not opened.
        OptionError: an option is needed, or is another format's.
    """
    file, form = weights(checkpoint), recognise(checkpoint)
    if file is None:
        raise FileError(f"{checkpoint} holds none of {', '.join(INSIDE)}")
    if file.trouble and file.kind.holds_tensors:
        raise FileError(file.trouble)
    if form is None:
        known = "; ".join(one.words for one in FORMATS)
        raise FileError(f"{file} is no BigGAN that is known here, but {file.words}. Known: {known}")
    others = {"config": config} if form.name == "brock" else {"eps": eps, "depth": depth}
    for name, value in others.items():
        if value is not None:
            raise OptionError(f"{name} must be left out: {file} is a {form.words}, got {value}")
    found = file.state_dict(*form.names, key=checkpoint.key)
    assert found is not None  # as recognised
    if form.name == "brock":
        made = brock.read(found.load(), str(file), eps, depth)
    else:  # the configuration first: what it lacks is said at once
        asked = huggingface.config(file.path, config)
        made = huggingface.read(found.load(), str(file), asked, 1.0 if truncation is None else truncation)
    return replace(made, notes=tuple(found.notes))


def biggan(
    path: str | PathLike[str],
    label: str | int | None = None,
    space: str = "z",
    base: int = 0,
    truncation: float | None = None,
    names: str | Path | None = None,
    config: str | Path | None = None,
    eps: float | None = None,
    depth: int | None = None,
    key: str | None = None,
) -> BigGAN:
    """The generator in the file at `path` (under `key`, where several stand there) or in the folder; see `BigGAN`.

    Raises:
        FileError: the file is of no known format, or is not opened.
        OptionError: an option that the model does not have, or lacks.
    """
    if truncation is not None and not 0 < truncation <= 1:
        raise OptionError(f"truncation must be over 0 and at most 1, got {truncation}")
    if eps is not None and not 0 <= eps < 1:
        raise OptionError(f"eps must be from 0 to 1, got {eps}")
    checkpoint = Checkpoint.of(path, key)
    found = describe(checkpoint, None if config is None else Path(config).expanduser(), eps, depth, truncation)
    listed = classes.names(len(found.table), None if names is None else Path(names).expanduser())
    made = network(found, str(checkpoint))
    return BigGAN(made, found, label=label, space=space, base=base, truncation=truncation, names=listed)
