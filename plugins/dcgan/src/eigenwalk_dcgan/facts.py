"""Facts about an inferred network, for people."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from eigenwalk.checkpoint import StateDict
from eigenwalk_dcgan.evidence import Evidence
from eigenwalk_dcgan.layout import Layout

KINDS = {
    "linear": "linear",
    "conv": "convolution",
    "deconv": "transposed convolution",
    "norm": "norm",
    "prelu": "PReLU",
}
ENDS = {
    "tanh": "tanh, its [-1, 1] mapped to [0, 1]",
    "sigmoid": "sigmoid",
    "unit": "none, pixels in [0, 1]",
    "symmetric": "none, its [-1, 1] mapped to [0, 1]",
}


def facts(
    layout: Layout,
    sides: Sequence[tuple[int, int]],
    found: Evidence,
    given: frozenset[str],
    sized: bool,
    output: tuple[str, str],
    latent: tuple[int, Tensor],
    state: StateDict,
    network: nn.Module,
) -> dict[str, str]:
    """Return facts: the architecture, what was inferred and from what, and the parameters."""
    choices = found.choices

    def origin(name: str) -> str:
        if name in given:
            return "as given"
        return "inferred from running statistics" if name in found.inferred else "assumed"

    dim, one_hot = latent
    names = [layer.module.name for layer in layout.layers]
    known = {
        "architecture": f"{_layers(layout)}; {names[0]} … {names[-1]}" + (f" under {state.key}" if state.key else ""),
        "sizes": f"{' → '.join(f'{width} x {height}' for height, width in sides)} ({_sized(layout, found, sized)})",
        "activation": f"{choices} ({origin('activation')})",
        "range": f"{ENDS[output[0]]} ({output[1]})",
        "latent": f"{dim} coordinates, {choices.latent} ({origin('latent')})",
    }
    if any(layer.kind == "norm" for layer in layout.layers):
        known["norm"] = f"{choices.order} ({_order(layout, origin('order'))}), eps {choices.eps:g} ({origin('eps')})"
    pairs = zip(layout.layers, layout.layers[1:], strict=False)
    if any(one.kind == "linear" and one.gap is None and after.kind != "norm" for one, after in pairs):
        behind = "with" if choices.after_linear else "without"
        known["linear layers"] = f"{behind} an activation behind the last ({origin('after_linear')})"
    if len(one_hot):
        known["label"] = f"{int(one_hot.argmax())} of {len(one_hot)} classes, a one-hot behind the latent"
    if found.mismatch is not None:
        known["running statistics"] = f"met to {found.mismatch:.2f} standard deviations on random latents"
    return known | {"parameters": f"{sum(one.numel() for one in network.parameters()):,}"}


def _layers(layout: Layout) -> str:
    kinds = [layer.kind for layer in layout.layers]
    return ", ".join(f"{kinds.count(kind)} {word}" for kind, word in KINDS.items() if kind in kinds)


def _sized(layout: Layout, found: Evidence, given: bool) -> str:
    """Say where the sizes come from."""
    assumed = [layout.layers[at].module.name for at in found.open if at not in found.proven]
    if given:
        return "as given"
    if not assumed:
        return "inferred from running statistics"
    return (
        f"{'inferred from running statistics, ' if found.proven else ''}assumed from the kernel of {', '.join(assumed)}"
    )


def _order(layout: Layout, origin: str) -> str:
    """Where the order of norm and activation comes from: names tell it where layers are numbered in a Sequential."""
    gaps = [layer.gap for layer, after in zip(layout.layers, layout.layers[1:], strict=False) if after.kind == "norm"]
    return "from the layers' numbers" if None not in gaps else origin
