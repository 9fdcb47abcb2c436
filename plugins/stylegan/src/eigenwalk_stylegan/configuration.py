"""The configuration of a network: checked sizes and constants, as plain data for JSON. No torch."""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from eigenwalk.checkpoint import shown

LARGEST_SIDE = 1 << 14
LARGEST_WIDTH = 1 << 16


def _check_whole(value: Any, low: int, high: int, what: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{what} must be a whole number from {low} to {high}, got {shown(value)}")


def _check_real(value: Any, low: float, high: float, what: str) -> None:
    if not isinstance(value, (int, float)) or not low <= value <= high:
        raise ValueError(f"{what} must be a number from {low:g} to {high:g}, got {shown(value)}")


@dataclass(frozen=True)
class Mapping:
    """The network from z to w.

    Attributes:
        z_dim, w_dim: coordinates of a latent before and after it.
        hidden: width between its layers.
        layers: how many there are.
        labels: classes of a conditional model; 0: it has none.
        embedding: width of a class's embedding, put after z.
        rate: of the learning, relative to the other layers: it multiplies weights and biases.
        joint: z and the embedding are normalised together (genforce), instead of each by itself.
    """

    z_dim: int
    w_dim: int
    hidden: int
    layers: int
    labels: int = 0
    embedding: int = 0
    rate: float = 0.01
    joint: bool = False

    def __post_init__(self) -> None:
        for name in ("z_dim", "w_dim", "hidden"):
            _check_whole(getattr(self, name), 1, LARGEST_WIDTH, name)
        _check_whole(self.layers, 1, 64, "layers of the mapping")
        _check_whole(self.labels, 0, 1 << 20, "labels")
        _check_whole(self.embedding, 1 if self.labels else 0, LARGEST_WIDTH if self.labels else 0, "embedding")
        _check_real(self.rate, 1e-6, 1e3, "rate of the mapping")

    @property
    def widths(self) -> tuple[int, ...]:
        """Width before, between and after the layers."""
        return (self.z_dim + self.embedding, *[self.hidden] * (self.layers - 1), self.w_dim)


@dataclass(frozen=True)
class StyleGAN2:
    """A generator of StyleGAN2.

    Attributes:
        mapping: from z to w.
        channels: of the features at 4, 8, 16, … pixels; as many as there are sides up to the image's.
        architecture: ``skip``: images of all sides are added up; ``resnet``: features are; ``orig``: neither.
        filter: taps of the low-pass filter of every enlargement, in each direction.
        clamp: largest magnitude of a layer's output, or None.
        noise: whether layers add (fixed) noise.
        start: height and width of the constant that the first layer takes.
    """

    mapping: Mapping
    channels: tuple[int, ...]
    architecture: Literal["skip", "resnet", "orig"] = "skip"
    filter: tuple[float, ...] = (1.0, 3.0, 3.0, 1.0)
    clamp: float | None = None
    noise: bool = True
    start: tuple[int, ...] = (4, 4)

    def __post_init__(self) -> None:
        if len(self.start) != 2 or max(self.start) > 64:
            raise ValueError(f"start must be (height, width) of the constant, got {shown(self.start)}")
        for side in self.start:
            _check_whole(side, 1, 64, "start")
        if not 1 <= len(self.channels) <= 13:
            raise ValueError(f"sides must be 4, 8, … up to 16384 pixels, got {len(self.channels)} of them")
        for width in self.channels:
            _check_whole(width, 1, LARGEST_WIDTH, "channels")
        if self.architecture not in ("skip", "resnet", "orig"):
            raise ValueError(f"architecture must be skip, resnet or orig, got {shown(self.architecture)}")
        if len(self.filter) not in range(2, 33, 2) or not abs(sum(self.filter)) > 0:
            raise ValueError(f"filter must have 2, 4, … up to 32 taps, got {len(self.filter)}")
        if self.clamp is not None:
            _check_real(self.clamp, 1e-6, 1e9, "clamp")

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        height, width = self.start
        return height << (len(self.channels) - 1), width << (len(self.channels) - 1)

    @property
    def layers(self) -> int:
        """How many w an image takes: two for each side."""
        return 2 * len(self.channels)


@dataclass(frozen=True)
class Layer:
    """One filtered layer of StyleGAN3; rates, cut-offs and half-widths in cycles per image, sides in samples."""

    inputs: int
    outputs: int
    input_size: int
    output_size: int
    input_rate: int
    output_rate: int
    input_cutoff: float
    output_cutoff: float
    input_half_width: float
    output_half_width: float
    critical: bool
    rgb: bool


@dataclass(frozen=True)
class StyleGAN3:
    """A generator of StyleGAN3 (arXiv 2106.12423); names and defaults of the constants are the paper's, section 3.

    Attributes:
        mapping: from z to w.
        resolution: side of the images in pixels.
        channel_base, channel_max: layer i has min(channel_base / 2 / cutoff_i, channel_max) channels.
        layers_between: N, the layers between the Fourier features and the image.
        critical: how many of the last of them are critically sampled.
        first_cutoff, first_stopband: of layer 0, in cycles per image.
        last_stopband: of the last one, as a multiple of its cut-off.
        margin: samples outside the image on each side.
        scale: of the image.
        kernel: side of the convolutions: 3 of configuration T, 1 of R.
        taps: of a filter, for each sample of the lower rate.
        oversampling: of the leaky ReLU.
        radial: whether the filters that go down are radially symmetric: configuration R.
        clamp: largest magnitude after a leaky ReLU, or None.
    """

    mapping: Mapping
    resolution: int
    channel_base: int = 32768
    channel_max: int = 512
    layers_between: int = 14
    critical: int = 2
    first_cutoff: float = 2.0
    first_stopband: float = 2.0**2.1
    last_stopband: float = 2.0**0.3
    margin: int = 10
    scale: float = 0.25
    kernel: int = 3
    taps: int = 6
    oversampling: int = 2
    radial: bool = False
    clamp: float | None = 256.0

    def __post_init__(self) -> None:
        _check_whole(self.resolution, 4, LARGEST_SIDE, "resolution")
        _check_whole(self.channel_base, 1, 1 << 24, "channel_base")
        _check_whole(self.channel_max, 1, LARGEST_WIDTH, "channel_max")
        _check_whole(self.layers_between, 2, 64, "layers")
        _check_whole(self.critical, 1, self.layers_between - 1, "critically sampled layers")
        _check_real(self.first_cutoff, 0.1, self.resolution / 2, "first cut-off")
        _check_real(self.first_stopband, self.first_cutoff, 1e6, "first stopband")
        _check_real(self.last_stopband, 1.0, 100.0, "last stopband")
        _check_whole(self.margin, 0, 256, "margin")
        _check_real(self.scale, 1e-6, 1e6, "scale of the image")
        _check_whole(self.taps, 1, 64, "taps of a filter")
        _check_whole(self.oversampling, 1, 16, "oversampling")
        if self.kernel not in (1, 3, 5, 7):
            raise ValueError(f"kernel must be 1, 3, 5 or 7, got {shown(self.kernel)}")
        if self.clamp is not None:
            _check_real(self.clamp, 1e-6, 1e9, "clamp")

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the images in pixels."""
        return self.resolution, self.resolution

    @property
    def layers(self) -> int:
        """How many w an image takes: the Fourier features', each layer's, and the image's."""
        return self.layers_between + 2

    @property
    def plan(self) -> tuple[Layer, ...]:
        """The layers after the Fourier features, the last of which makes the image.

        Cut-offs and stopbands grow geometrically (section 3.2, "flexible layer specifications"): f_c from the first
        to half the resolution, f_t likewise, constant over the critically sampled layers; the sampling rate is the
        power of two above 2 f_t, at most the resolution; the half-width of the transition is max(f_t, s / 2) - f_c.
        """
        last_cutoff = self.resolution / 2
        share = [min(i / (self.layers_between - self.critical), 1) for i in range(self.layers_between + 1)]
        cutoffs = [self.first_cutoff * (last_cutoff / self.first_cutoff) ** e for e in share]
        stopbands = [self.first_stopband * (last_cutoff * self.last_stopband / self.first_stopband) ** e for e in share]
        rates = [2 ** math.ceil(math.log2(min(2 * f, self.resolution))) for f in stopbands]
        half_widths = [max(t, s / 2) - c for t, s, c in zip(stopbands, rates, cutoffs, strict=True)]
        sizes = [rate + 2 * self.margin for rate in rates]
        sizes[-2:] = [self.resolution] * 2
        channels = [round(min(self.channel_base / 2 / c, self.channel_max)) for c in cutoffs]
        channels[-1] = 3
        found = []
        for i in range(self.layers_between + 1):
            p = max(i - 1, 0)
            found.append(
                Layer(
                    inputs=channels[p],
                    outputs=channels[i],
                    input_size=sizes[p],
                    output_size=sizes[i],
                    input_rate=rates[p],
                    output_rate=rates[i],
                    input_cutoff=cutoffs[p],
                    output_cutoff=cutoffs[i],
                    input_half_width=half_widths[p],
                    output_half_width=half_widths[i],
                    critical=i >= self.layers_between - self.critical,
                    rgb=i == self.layers_between,
                )
            )
        return tuple(found)


Configuration = StyleGAN2 | StyleGAN3
ARCHITECTURES: dict[str, type[StyleGAN2 | StyleGAN3]] = {"stylegan2": StyleGAN2, "stylegan3": StyleGAN3}


def as_data(configuration: Configuration) -> dict[str, Any]:
    """Return `configuration` as plain data, with the name of its network."""
    name = next(name for name, kind in ARCHITECTURES.items() if isinstance(configuration, kind))
    return {"network": name, **asdict(configuration)}


def from_data(data: Any) -> Configuration:
    """Return the configuration that `as_data` gave as `data`.

    Raises:
        ValueError, TypeError, KeyError: it is none.

    >>> one = StyleGAN2(Mapping(8, 8, 8, 2), (16, 8))
    >>> from_data(as_data(one)) == one
    True
    """
    rest = dict(data)
    kind = ARCHITECTURES[rest.pop("network")]
    rest["mapping"] = Mapping(**rest["mapping"])
    for name in {"channels", "filter", "start"} & rest.keys():
        rest[name] = tuple(rest[name])
    return kind(**rest)


def pairs(configuration: StyleGAN2) -> list[tuple[int, int]]:
    """Return channels before and after each enlargement."""
    return list(itertools.pairwise(configuration.channels))
