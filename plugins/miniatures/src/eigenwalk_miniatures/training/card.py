"""The model card of a miniature, in Markdown, from the judge's figures alone."""

from __future__ import annotations

from typing import Any

from safetensors import safe_open

from eigenwalk_miniatures.miniature import Miniature

TEXT = """# Model card: `{name}`

{summary}. Three networks ship in this
folder as safetensors, {megabytes:.1f} MB in all, Apache-2.0, trained on renders of this package's own painter
(`scene.py`) and on nothing else.

Written by `python -m eigenwalk_miniatures.training.judge`; every figure below was measured by it on
{judged} samples and {judged} renders that no training run saw. Machine: 2 CPU cores without a GPU,
shared with other work; training in bfloat16 autocast, judging in float32.

| network | numbers stored | trained on | wall-clock seconds | seed |
|---|---|---|---|---|
{networks}

    python -m eigenwalk_miniatures.training.data      {name} --out DIR --images 80000 --seed 1000
    python -m eigenwalk_miniatures.training.gan       {name} --out DIR --images {images} --warm {warm_plain} --seed 0
    python -m eigenwalk_miniatures.training.regressor {name} --out DIR --images 160000
    python -m eigenwalk_miniatures.training.segmenter {name} --out DIR --images 36000 --renders 8000
    python -m eigenwalk_miniatures.training.export    {name} --from DIR

## Generator

Latent 64, mapping of 4 layers, style 128, {parameters:,} parameters, 64 x 64 pixels, no noise inputs. One image
takes {milliseconds:.1f} ms (median of 20, {threads} threads, with other work on the machine).

How it was trained: for the first {warm:,} images the generator alone learnt to draw renders at latents
that belong to their factors (`training/pairing.py`: a curved, measure-preserving map, rotated at random;
growing from 16 to 64 pixels); from then on it played against the discriminator, which judges samples of
fresh latents, with the paired difference kept in its loss at falling weight. So this latent space is
*not* one that a GAN found by itself: it was told where the factors are, though no straight line in it
follows one of them. [TRAINING.md](TRAINING.md) says why, and where the shipped run departed from the
commands above.

- **One {subject}.** The segmenter finds exactly one in {one_in_samples:.1%} of {judged} samples
  ({first} of the first 100), against {one_in_renders:.1%} of renders, and {one_in_exact_masks:.1%} of
  renders by their exact masks. Exactly one: the soft mask above 0.5, pixels joined over edges and
  corners, components below 0.5 % of the image ignored; one is left, and it covers at least 4 %.
- **Spread.** Mean RMS pixel distance between two images: samples {spread_samples:.3f}, renders
  {spread_renders:.3f}.
- **Copies.** Median RMS pixel distance to the nearest of {searched} training images: samples
  {nearest_samples:.3f}, fresh renders {nearest_renders:.3f}; the least of 100 samples {nearest_least:.3f}.

Pictures: [samples](../../../docs/{name}-samples.png), [renders](../../../docs/{name}-renders.png),
[samples over their nearest training images](../../../docs/{name}-nearest.png),
[samples over their parts](../../../docs/{name}-parts.png).

## Regressor and segmenter

R²: the regressor on fresh renders, per factor (mean {mean_r2:.3f}). KS: Kolmogorov-Smirnov distance
between the regressor's readings of samples and of renders; 0 is equal, two sets of renders of this
size stay below {ks_noise:.3f} in 95 of 100 cases (mean {mean_ks:.3f}). The regressor's own error is in
both readings.

| factor | range | R² | KS |
|---|---|---|---|
{factors}

Segmenter on fresh renders, soft intersection over union:

| part | overlap |
|---|---|
{parts}

## Limits

- 64 x 64 pixels, one point of view, 33 factors: a world for experiments, not for pictures of rooms.
- The generator has no noise inputs and a single w for all layers.
- The segmenter and the regressor know renders and worn renders; on pictures of anything else their
  answers mean nothing.
- Samples vary less than renders where KS is high, and their edges are softer.
- The factors overlap in what they do to pixels (light and lightness; glow and wall), so that the
  regressor's readings of samples are estimates, more so where R² is low.
"""


def about(world: Miniature, network: str) -> dict[str, Any]:
    """The notes that training left in a network's file, with its parameter count and size."""
    file = world.weights(network)
    with safe_open(str(file), "pt") as opened:
        count = sum(opened.get_tensor(key).numel() for key in opened.keys())  # noqa: SIM118
        return dict(opened.metadata() or {}) | {"parameters": count, "bytes": len(file.read_bytes())}


def card(world: Miniature, figures: dict[str, Any]) -> str:
    """Markdown."""
    notes = {network: about(world, network) for network in ("generator", "segmenter", "regressor")}
    r2, ks = figures["explained"], figures["ks"]
    return TEXT.format(
        **figures,
        name=world.name,
        summary=world.summary[0].upper() + world.summary[1:],
        subject=world.subject,
        images=notes["generator"]["images"],
        warm=int(notes["generator"]["warm"]),
        warm_plain=notes["generator"]["warm"],
        megabytes=sum(note["bytes"] for note in notes.values()) / 1e6,
        first=round(100 * figures["one_in_first_100"]),
        mean_r2=sum(r2.values()) / len(r2),
        mean_ks=sum(ks.values()) / len(ks),
        ks_noise=1.358 * (2 / figures["judged"]) ** 0.5,
        networks="\n".join(
            f"| {network} | {note['parameters']:,} | {int(note['images']):,} images | "
            f"{int(note['seconds']):,} | {note['seed']} |"
            for network, note in notes.items()
        ),
        factors="\n".join(
            f"| {f.name} | {f.low:g} to {f.high:g} | {r2[f.name]:.3f} | {ks[f.name]:.3f} |" for f in world.factors
        ),
        parts="\n".join(f"| {part} | {value:.3f} |" for part, value in figures["overlap"].items()),
    )
