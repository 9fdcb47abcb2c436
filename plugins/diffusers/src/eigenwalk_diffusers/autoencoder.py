"""An autoencoder's decoder as a generator."""

from __future__ import annotations

from pathlib import Path

import torch

from eigenwalk.checkpoint import Checkpoint
from eigenwalk.errors import FileError
from eigenwalk.generator import Generator
from eigenwalk.shapes import Images, Latents
from eigenwalk_diffusers.decoder import Decoder, Encoder, halves, sides
from eigenwalk_diffusers.folder import INDEX, described, kind, licence
from eigenwalk_diffusers.pictures import listed, picture

UNSAID = (256, 256)
"""Pixels where neither the user nor the configuration says how many."""


class Autoencoder(Generator):
    """Latents ``(batch, channels h w)``, scaled to about unit variance, to the images that the decoder makes of them.

    With pictures, sample i of a seed is the encoding of picture (seed + i) of the folder, counted from 0 and round and
    round, so that ``--seed 3`` starts at the fourth. Without, samples are standard normal, the distribution that the
    configuration scales latents to; an autoencoder's latents are not independent, and such images are textures.

    The encoder stays on the CPU, in float32: encodings are the same wherever the decoder is.

    Attributes:
        facts: what it is, in words.
    """

    def __init__(self, decoder: Decoder, encoder: Encoder, resolution: tuple[int, int], facts: dict[str, str]) -> None:
        self.decoder, self.encoder, self.resolution, self.facts = decoder, encoder, resolution, facts
        self.shape = decoder.latent_shape(resolution)
        self.latent_dim = self.shape[0] * self.shape[1] * self.shape[2]

    def __call__(self, latents: Latents) -> Images:
        """Return the images ``(batch, 3, height, width)``."""
        return self.decoder(latents.unflatten(1, self.shape))

    def encode(self, images: Images) -> Latents:
        """Return the likeliest latents ``(batch, latent)`` of images ``(batch, 3, height, width)``."""
        with torch.inference_mode(False), torch.no_grad():
            rows = [self.encoder(image[None]).flatten(1) for image in images.cpu().float()]
        return torch.cat(rows).to(images)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Autoencoder:
        """Move this generator to `device` and `dtype`."""
        self.decoder.settle(device, dtype)
        return self


class AroundPictures(Autoencoder):
    """An `Autoencoder` whose samples are encodings of pictures, computed when they are first asked for."""

    def __init__(
        self,
        decoder: Decoder,
        encoder: Encoder,
        resolution: tuple[int, int],
        facts: dict[str, str],
        files: tuple[Path, ...],
    ) -> None:
        super().__init__(decoder, encoder, resolution, facts)
        self.files = files
        self._encoded: dict[int, Latents] = {}

    def sample(self, n: int, seed: int) -> Latents:
        """Return the encodings ``(n, latent)`` of pictures seed, seed + 1 and so on, starting again after the last.

        Raises:
            FileError: one of them cannot be read.
        """
        rows = [self._of((seed + i) % len(self.files)) for i in range(n)]
        return torch.cat(rows) if rows else torch.empty(0, self.latent_dim)

    def _of(self, i: int) -> Latents:
        if i not in self._encoded:
            self._encoded[i] = self.encode(picture(self.files[i], self.resolution))
        return self._encoded[i]


def autoencoder(
    path: str | Path, images: str | Path | None = None, resolution: tuple[float, ...] | None = None
) -> Autoencoder:
    """Return the decoder of the autoencoder in the folder at `path`, or of the pipeline there; see `Autoencoder`.

    Raises:
        FileError: no such folder, no supported autoencoder in it, or a damaged one; `images` has no two pictures.
        OptionError: `resolution` is no size that the autoencoder has.
    """
    folder = Path(path).expanduser()
    part = folder
    if folder.is_dir() and kind(Checkpoint.of(folder)) == "pipeline":
        index = described(folder, INDEX)
        name = next((name for name in ("vae", "vqvae") if name in index), None)
        if name is None:
            raise FileError(
                f"{folder} is a {index['_class_name']}, which has no autoencoder: onestep(FOLDER) may open it"
            )
        part = folder / name
    decoder, encoder = halves(part)
    pixels = sides(resolution, decoder.declared or UNSAID)
    model = decoder.model
    facts = {
        "architecture": f"decoder of {type(model).__name__}",
        "licence": licence(folder) or "the folder does not say",
    }
    if images is None:
        samples = {"samples": "standard normal latents, textures rather than pictures: images=FOLDER gives encodings"}
        return Autoencoder(decoder, encoder, pixels, facts | samples)
    files = listed(Path(images).expanduser())
    return AroundPictures(decoder, encoder, pixels, facts | {"samples": f"encodings of {len(files)} pictures"}, files)
