"""The model card of a miniature, in Markdown, from the judge's figures alone."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from safetensors import safe_open

from eigenwalk_miniatures.miniature import Miniature

TEXT = """# Model card: `{name}`

{summary}. {networks_count} networks ship in this
folder as safetensors, {megabytes:.1f} MB in all, Apache-2.0, trained on renders of this package's own painter
(`scene.py`) and on nothing else.

Written by `python -m training.judge` in `plugins/miniatures` of the repository, which wheels do not
hold; it measured every figure below on {judged} samples and {judged} renders that no training run saw.
Machine: 2 CPU cores without a GPU, shared with other work; training in bfloat16 autocast, judging in
float32.

| network | numbers stored | trained on | wall-clock seconds | seed |
|---|---|---|---|---|
{networks}

{commands}

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
{people}
## Limits

- 64 x 64 pixels, one painter's style, {factor_count} factors: a world for experiments, not for pictures of the
  real one.
- The generator has no noise inputs and a single w for all layers.
- The segmenter and the regressor know renders and worn renders; on pictures of anything else their
  answers mean nothing.
- Samples vary less than renders where KS is high, and their edges are softer.
- The factors overlap in what they do to pixels (light and lightness, most of all), so that the
  regressor's readings of samples are estimates, more so where R² is low.
"""

PEOPLE = """
## Identity

A person is {size} of the factors ({identity}); no other factor is a property of the
person. The embedding maps a picture to {dimensions} numbers of length 1; distance is 1 - cos. It was trained to give a
picture of one of {trained} people that person's code (`training/people.py`), in which every factor of identity
counts alike.
Verified on people that it never saw, each pair of pictures with all else drawn anew: AUC (how often a pair of one
person lies nearer than a pair of two), equal error rate, and the share of pairs of one person accepted where 1 % of the
pairs of two are.

| pairs | number | AUC | equal error | accepted at 1 % | mean distance, same | mean distance, different |
|---|---|---|---|---|---|---|
{verified}

On samples, the pairs are latents that the generator's training paired with one person and with two: the row
says how well generator and embedding together keep to who it is. The equal error on renders is at a distance
of {threshold:.3f}.

What moves the embedding: mean distance as one factor goes from a tenth to nine tenths of its range and nothing else
changes, on {moved_number} renders.

| identity | distance | everything else | distance |
|---|---|---|---|
{moved}

Means: {moved_identity:.3f} for a factor of identity, {moved_others:.3f} for any other.

## Attributes

A second network of another architecture reads the same factors, for walks to hold and to vary, so
that the regressor above can judge what they did. R² on the same fresh renders (mean {mean_attributes:.3f}):

{attributes}
"""


def about(world: Miniature, network: str) -> dict[str, Any]:
    """The notes that training left in a network's file, with its parameter count and size."""
    file = world.weights(network)
    with safe_open(str(file), "pt") as opened:
        count = sum(opened.get_tensor(key).numel() for key in opened.keys())  # noqa: SIM118
        return dict(opened.metadata() or {}) | {"parameters": count, "bytes": len(file.read_bytes())}


def card(world: Miniature, figures: dict[str, Any]) -> str:
    """Markdown."""
    notes = {network: about(world, network) for network in world.networks}
    r2, ks = figures["explained"], figures["ks"]
    return TEXT.format(
        **figures,
        name=world.name,
        summary=world.summary[0].upper() + world.summary[1:],
        subject=world.subject,
        networks_count={3: "Three", 5: "Five"}[len(notes)],
        factor_count=len(world.factors),
        warm=int(notes["generator"]["warm"]),
        commands=_commands(world, notes, figures["searched"]),
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
        people=_people(world, figures, notes["embedder"]["people"]) if world.identity else "",
    )


def _commands(world: Miniature, notes: dict[str, dict[str, Any]], renders: int) -> str:
    """What trains each network as the notes in its file say, one command a line."""
    lines = [f"data {world.name} --out DIR --images {renders} --seed 1000"]
    for network, note in notes.items():
        command = {"generator": "gan", "attributes": "regressor"}.get(network, network)
        kind = " --network attributes" if network == "attributes" else ""
        kept = "".join(f" --{name} {note[name]}" for name in ("warm", "renders") if name in note)
        lines.append(f"{command} {world.name} --out DIR{kind} --images {note['images']}{kept} --seed {note['seed']}")
    lines.append(f"export {world.name} --from DIR")
    return "\n".join(["    cd plugins/miniatures", *(f"    python -m training.{line}" for line in lines)])


def _people(world: Miniature, figures: dict[str, Any], trained: str) -> str:
    """The sections on identity and attributes."""
    verified, r2 = figures["verification"], figures["explained_attributes"]
    moved = verified["moved"]
    others = [name for name in world.factors.names if name not in world.identity]
    rows = {"renders": verified["renders"]}
    rows |= {
        f"renders, people that differ in {k} factor{'s' * (k != '1')}": values for k, values in verified["hard"].items()
    }
    rows["samples"] = verified["samples"]
    beside = zip_longest(world.identity, others)
    return PEOPLE.format(
        size=len(world.identity),
        dimensions=2 * len(world.identity),
        identity=", ".join(world.identity),
        trained=f"{int(trained):,}",
        verified="\n".join(
            f"| {name} | {v['pairs']} + {v['pairs']} | {v['auc']:.3f} | {v['equal_error']:.1%} | {v['accepted']:.1%} | "
            f"{v['mean_same']:.3f} | {v['mean_different']:.3f} |"
            for name, v in rows.items()
        ),
        threshold=verified["renders"]["threshold"],
        moved_number=verified["moved_images"],
        moved="\n".join(
            "| " + " | ".join(f"{name} | {moved[name]:.3f}" if name else " | " for name in pair) + " |"
            for pair in beside
        ),
        moved_identity=sum(moved[name] for name in world.identity) / len(world.identity),
        moved_others=sum(moved[name] for name in others) / len(others),
        mean_attributes=sum(r2.values()) / len(r2),
        attributes=", ".join(f"{name} {value:.3f}" for name, value in r2.items()) + ".",
    )
