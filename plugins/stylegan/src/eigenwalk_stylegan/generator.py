"""A StyleGAN as a generator: one network, one of its latent spaces, some of its layers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from os import PathLike

import torch
from torch import Tensor

from eigenwalk.errors import OptionError
from eigenwalk.generator import Generator
from eigenwalk_stylegan.configuration import StyleGAN2
from eigenwalk_stylegan.description import Network
from eigenwalk_stylegan.recognise import load

SPACES = ("z", "w", "w+", "s")


class StyleGAN(Generator):
    """Latents to images ``(batch, 3, height, width)``, nominally in [0, 1], not clipped.

    A latent is, by `space`:

    - ``z``: the standard normal input, ``(batch, z_dim)``;
    - ``w``: what the mapping network makes of it, the same for all layers, ``(batch, w_dim)``;
    - ``w+``: one w for each layer, side by side, ``(batch, layers w_dim)``;
    - ``s``: StyleSpace (Wu et al. 2020, arXiv 2011.12799), the styles of all modulated convolutions, those of the
      images among them, side by side in the order of computation.

    With `layers`, such as ``4-7``, they alone follow the latent; the others stay those of sample `base`, so that
    a walk from that seed begins at its very image. Truncation draws w towards its mean,
    w' = mean + truncation (w - mean) (arXiv 1812.04948, section B), in layers below `cutoff` where that is given. In
    ``z`` it belongs to the map from latents to images; in the other spaces to `sample`, so that a walk may leave it.

    Noise inputs are those that the file holds, always the same, or none.
    """

    def __init__(
        self,
        network: Network,
        *,
        space: str = "z",
        layers: str | None = None,
        base: int = 0,
        truncation: float = 1.0,
        cutoff: int | None = None,
        label: int | None = None,
        noise: str = "const",
        source: str = "StyleGAN",
        notes: Sequence[str] = (),
    ) -> None:
        sizes = network.sizes
        if space not in SPACES:
            raise OptionError(f"space must be one of {', '.join(SPACES)}, got {space!r}")
        if not 0 <= truncation <= 2:
            raise OptionError(f"truncation must be from 0 to 2, got {truncation}")
        if cutoff is not None and not 0 <= cutoff <= sizes.layers:
            raise OptionError(f"cutoff must be from 0 to {sizes.layers}, the number of layers, got {cutoff}")
        if cutoff is not None and space == "w":
            raise OptionError("cutoff must be left out in space w, where all layers share one w; take w+ instead")
        if noise not in ("const", "none"):
            raise OptionError(f"noise must be const or none, got {noise!r}")
        self.network, self.space, self.truncation, self.noise, self.source = network, space, truncation, noise, source
        self.notes = tuple(notes)
        self.cutoff = sizes.layers if cutoff is None else cutoff
        self.label = _label(label, sizes.mapping.labels)
        self.layers = parse_layers(layers, sizes.layers)
        self.resolution = sizes.shape
        self.facts = _facts(network, source)
        self._affines = network.affines()
        self._moving = [i for i, (layer, _) in enumerate(self._affines) if layer in self.layers]
        if not self._moving:
            raise OptionError(f"layers must name some that have a style of their own, got {layers!r}")
        widths = [affine.weight.shape[0] for _, affine in self._affines]
        self._widths = [widths[i] for i in self._moving]
        self.latent_dim = {
            "z": sizes.mapping.z_dim,
            "w": sizes.mapping.w_dim,
            "w+": len(self.layers) * sizes.mapping.w_dim,
            "s": sum(self._widths),
        }[space]
        if space in ("w", "w+"):
            self.latent_shape = (len(self.layers), sizes.mapping.w_dim)
        self._base: Tensor | None = None
        if len(self.layers) < sizes.layers:
            self._base = self._sample_w(1, base)[0]

    def __call__(self, latents: Tensor) -> Tensor:
        """Return images ``(batch, 3, height, width)`` of latents ``(batch, latent_dim)``, in their dtype.

        They are computed in the network's dtype, which `to` sets: moved here, under a transform of torch.func, its
        tensors would be that transform's.
        """
        z = latents.to(self._mean.dtype)
        styles = self._styles_from_s(z) if self.space == "s" else self._styles(self._layers_w(z))
        return (self.network.synthesise(styles, self.noise == "const") * 0.5 + 0.5).to(latents.dtype)

    def sample(self, n: int, seed: int) -> Tensor:
        """Return `n` latents of the space, float32: the first m of n are those of ``sample(m, seed)``."""
        if self.space == "z":
            return torch.randn(n, self.latent_dim, generator=torch.Generator().manual_seed(seed))
        w = self._sample_w(n, seed)
        if self.space == "w":
            w = w[:, 0]
        elif self.space == "w+":
            w = w[:, list(self.layers)].flatten(1)
        else:
            with torch.no_grad():
                rows = [self._styles(row[None]) for row in w]
            parts = [torch.cat([styles[i] for i in self._moving], 1) for styles in rows]
            w = torch.cat([w.new_empty(0, self.latent_dim), *parts])
        return w.to("cpu", torch.float32)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> StyleGAN:
        """Move this generator to `device` and `dtype`."""
        self.network.to(device, dtype)
        return self

    def __repr__(self) -> str:
        height, width = self.resolution
        return f"<{self.source}, {width} x {height} pixels, space {self.space} of {self.latent_dim} coordinates>"

    @property
    def _mean(self) -> Tensor:
        return self.network.mapping.mean

    @torch.no_grad()
    def _sample_w(self, n: int, seed: int) -> Tensor:
        """Return truncated w ``(n, layers, w_dim)`` of `n` random latents, on the network's device, in its dtype."""
        sizes = self.network.sizes
        z = torch.randn(n, sizes.mapping.z_dim, generator=torch.Generator().manual_seed(seed)).to(self._mean)
        # Row by row: a matrix product over more rows may round the first ones differently.
        rows = [self._truncate(self.network.mapping(row[None], self.label)) for row in z]
        return torch.cat(rows) if rows else z.new_empty(0, sizes.layers, sizes.mapping.w_dim)

    def _layers_w(self, latents: Tensor) -> Tensor:
        """Return the w of every layer ``(batch, layers, w_dim)`` for latents of z, w or w+."""
        sizes = self.network.sizes
        if self.space == "z":
            w = self._truncate(self.network.mapping(latents, self.label))[:, list(self.layers)]
        elif self.space == "w":
            w = latents[:, None].expand(-1, len(self.layers), -1)
        else:
            w = latents.unflatten(1, (len(self.layers), sizes.mapping.w_dim))
        if self._base is None:
            return w
        moving = iter(range(len(self.layers)))
        base = self._base.to(w)
        columns = [w[:, next(moving)] if i in self.layers else base[i].expand(len(w), -1) for i in range(sizes.layers)]
        return torch.stack(columns, 1)

    def _truncate(self, w: Tensor) -> Tensor:
        """Return `w` ``(batch, w_dim)`` for every layer, moved towards the mean below the cut-off."""
        layers = self.network.sizes.layers
        near = w if self.truncation == 1 else torch.lerp(self._mean, w, self.truncation)
        parts = [near[:, None].expand(-1, self.cutoff, -1), w[:, None].expand(-1, layers - self.cutoff, -1)]
        return torch.cat(parts, 1)

    def _styles(self, w: Tensor) -> list[Tensor]:
        return [affine(w[:, layer]) for layer, affine in self._affines]

    def _styles_from_s(self, latents: Tensor) -> list[Tensor]:
        """Return all styles; the latents supply those that the walk changes."""
        moving = dict(zip(self._moving, latents.split(self._widths, 1), strict=True))
        if self._base is None:
            return list(moving.values())
        base = self._base.to(latents)[None]
        held = self._styles(base)
        return [moving.get(i, style.expand(len(latents), -1)) for i, style in enumerate(held)]


def parse_layers(text: str | None, layers: int) -> tuple[int, ...]:
    """Return the layers that `text` names, numbered from 0 as in w+: ``4-7``, ``0-3,8``; all layers for None.

    Raises:
        OptionError: it names none, or one that there is not.

    >>> parse_layers("0-2,5", 8)
    (0, 1, 2, 5)
    """
    if text is None:
        return tuple(range(layers))
    found: set[int] = set()
    for part in text.replace(" ", "").split(","):
        match = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if not first <= last < layers:
            raise OptionError(f'layers must be such as "4-7" or "0-3,8", from 0 to {layers - 1}, got {text!r}')
        found |= set(range(first, last + 1))
    return tuple(sorted(found))


def _facts(network: Network, source: str) -> dict[str, str]:
    """Return facts about the generator, for people."""
    sizes = network.sizes
    if isinstance(sizes, StyleGAN2):
        kind = f"StyleGAN2, {sizes.architecture}, {max(sizes.channels)} to {min(sizes.channels)} channels"
    else:
        kind = f"StyleGAN3, configuration {'R' if sizes.radial else 'T'}, {sizes.layers_between + 1} filtered layers"
    mapping = sizes.mapping
    found = {
        "format": source,
        "architecture": kind,
        "mapping": f"{mapping.layers} layers, from z of {mapping.z_dim} to w of {mapping.w_dim} coordinates",
        "layers": f"{sizes.layers} in w+, numbered from 0",
    }
    return found | ({"classes": f"{mapping.labels}: give one with label"} if mapping.labels else {})


def _label(label: int | None, labels: int) -> int | None:
    if not labels and label is not None:
        raise OptionError(f"label must be left out: the model has no classes, got {label}")
    if labels and (label is None or not 0 <= label < labels):
        raise OptionError(f"label must be a class of the model, from 0 to {labels - 1}, got {label}")
    return label


def stylegan(
    path: str | PathLike[str],
    space: str = "z",
    layers: str | None = None,
    base: int = 0,
    truncation: float = 1.0,
    cutoff: int | None = None,
    label: int | None = None,
    noise: str = "const",
    key: str | None = None,
) -> StyleGAN:
    """Open the generator in the file at `path`, or the one under `key` in it; see `StyleGAN`.

    Raises:
        FileError: the file is of no known format, or is not opened.
        OptionError: an option that the model does not have.
    """
    network, description = load(path, key)
    return StyleGAN(
        network,
        space=space,
        layers=layers,
        base=base,
        truncation=truncation,
        cutoff=cutoff,
        label=label,
        noise=noise,
        source=description.source,
        notes=description.notes,
    )
