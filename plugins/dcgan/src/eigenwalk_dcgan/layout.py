"""The layers of a generator in the order of computation, read off names and shapes alone. No torch here.

Every layer takes as many channels as the one before it gives, so the last layer, which gives 3 channels (or 1), leads
back to the first, which takes the latent. Three orders are tried: the file's own (`torch.save` keeps that of the code),
the names' natural one, and, for files that sort their names, one put together from the channels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

Shapes = Mapping[str, tuple[int, ...]]

PARTS = re.compile(
    r"(?P<module>.*?)\.?(?P<part>parametrizations\.weight\.(?:original[01]?|0\._[uv])|weight(?:_orig|_[uvg])?|bias"
    r"|running_mean|running_var|num_batches_tracked)"
)
ENCODER = re.compile(
    r"(^|[._])(enc\w*|disc\w*|netD|critic\w*|(fc_?)?(mu|mean|log_?var|var|sigma|log_?std|alphas?))([._]|$)"
)
"""Names of what a file of an autoencoder has beside the decoder."""
MEAN = re.compile(r"(^|[._])(fc_?|to_?|latent_?)?(mu|mean|mean_layer)([._]|$)")
TRANSPOSED = re.compile(r"deconv|tconv|trans|conv_?t|(^|[._])up", re.IGNORECASE)


class Unlike(ValueError):
    """These tensors are not those of a plain stack of layers that makes images; the text says why."""


@dataclass(frozen=True)
class Module:
    """The tensors of one module: `parts` from name to shape."""

    name: str
    parts: Mapping[str, tuple[int, ...]] = field(hash=False)

    @property
    def weight(self) -> tuple[int, ...]:
        """The shape of its weight, whatever it is written as."""
        names = ("weight", "weight_orig", "weight_v", "parametrizations.weight.original")
        names += ("parametrizations.weight.original1",)
        return next((self.parts[name] for name in names if name in self.parts), ())

    @property
    def place(self) -> tuple[str, int | None]:
        """Its parent and its number there, where it is one of a Sequential."""
        parent, _, last = self.name.rpartition(".")
        return parent, int(last) if last.isdigit() else None

    @property
    def stem(self) -> str:
        """Its name without numbers."""
        return re.sub(r"\d+", "#", self.name)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers in its name."""
        return tuple(int(number) for number in re.findall(r"\d+", self.name))


@dataclass(frozen=True)
class Layer:
    """One layer: `kind` is linear, conv, deconv (transposed), norm or prelu.

    Attributes:
        inputs, outputs: channels, or numbers.
        kernel: side of the kernel of a convolution.
        shuffled: its channels become pixels, four to one (pixel shuffle).
        gap: modules without tensors between it and the next layer, where the names tell.
    """

    kind: str
    module: Module
    inputs: int
    outputs: int
    kernel: int = 0
    shuffled: bool = False
    gap: int | None = None


@dataclass(frozen=True)
class Layout:
    """The layers in order, and how many coordinates an encoder beside them gives, where there is one."""

    layers: tuple[Layer, ...]
    encoded: int | None = None
    ordered: bool = True


def layout(shapes: Shapes, sorted_names: bool = False) -> Layout:
    """The layers that `shapes` are of.

    Raises:
        Unlike: they are no plain stack that ends in an image.
    """
    found = modules(shapes)
    reason = Unlike("no convolution in it gives images of 3 channels, or 1")
    ways = [(found, _traced)] if not sorted_names else []
    natural = sorted(found, key=lambda one: _natural(one.name))
    for order, way in (*ways, (natural, _traced), (natural, _assembled)):
        for end in range(len(order) - 1, -1, -1):
            if _image(order[end]) is None:
                continue
            try:
                layers = way(order, end)
                encoded = _rest([one for one in order if one not in {layer.module for layer in layers}], order, layers)
            except Unlike as error:
                reason = error if reason.args[0].startswith("no conv") else reason
                continue
            return Layout(tuple(_with_gaps(layers)), encoded, way is _traced)
    raise reason


def modules(shapes: Shapes) -> list[Module]:
    """The modules that have tensors, in the order in which these stand.

    Raises:
        Unlike: a tensor is of no module known here.
    """
    parts: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        match = PARTS.fullmatch(name)
        if match is None:
            raise Unlike(f"{name} is of no layer known here")
        parts.setdefault(match["module"], {})[match["part"]] = tuple(shape)
    return [Module(name, own) for name, own in parts.items()]


def _natural(name: str) -> list[tuple[int, int | str]]:
    """A key that sorts layer 10 after layer 9."""
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name) if part]


def _convolutions(one: Module) -> list[Layer]:
    """What a module with a weight of rank 4 may be: (in, out) if transposed, else (out, in); the likelier first."""
    if len(one.weight) != 4 or one.weight[2] != one.weight[3]:
        return []
    first, second, kernel, _ = one.weight
    bias = one.parts.get("bias", (None,))[0]
    ways = []
    if bias in (None, second):
        ways.append(Layer("deconv", one, first, second, kernel))
    if bias in (None, first):
        ways.append(Layer("conv", one, second, first, kernel))
    # Kernels of even width keep an image's size in no ordinary convolution.
    return ways if kernel % 2 == 0 or TRANSPOSED.search(one.name) else ways[::-1]


def _image(one: Module) -> Layer | None:
    """The layer that makes images of 3 channels, or 1, that `one` may be: 12 become 3 by a pixel shuffle."""
    for layer in _convolutions(one):
        if layer.outputs in (1, 3):
            return layer
        if layer.kind == "conv" and layer.outputs == 12:
            return replace(layer, shuffled=True)
    return None


def _last(one: Module) -> Layer:
    layer = _image(one)
    assert layer is not None  # `layout` has looked
    return layer


def _traced(order: Sequence[Module], end: int) -> list[Layer]:
    """The layers from the one that makes images at `end` back to the first, each right before the next."""
    layers = [_last(order[end])]
    needed, spatial = layers[0].inputs, True
    for at in range(end - 1, -1, -1):
        if not spatial and ENCODER.search(order[at].name):
            break
        layer = _before(order, at, needed, spatial)
        if layer is None:
            break
        layers.insert(0, layer)
        if layer.kind not in ("norm", "prelu"):
            needed = layer.inputs
        elif layer.kind == "norm" and layer.outputs != needed:
            needed = layer.outputs
            spatial = False
        spatial = spatial and layer.kind != "linear"
    while layers[0].kind in ("norm", "prelu"):
        layers.pop(0)
    _check_start(layers)
    return layers


def _before(order: Sequence[Module], at: int, needed: int, spatial: bool) -> Layer | None:
    """Module `at` as the layer that gives what is `needed`; None where it cannot be."""
    one = order[at]
    small = _small(one)
    if small == "prelu":
        return Layer("prelu", one, needed, needed)
    if small == "norm":
        size = one.weight[0] if one.weight else one.parts["running_mean"][0]
        before = order[at - 1].weight if at else ()
        flat = spatial and size % needed == 0 and len(before) == 2 and before[0] == size
        return Layer("norm", one, size, size) if size == needed or flat else None
    if len(one.weight) == 2:
        rows, columns = one.weight
        fits = rows % needed == 0 if spatial else rows == needed
        return Layer("linear", one, columns, rows) if fits else None
    for layer in _convolutions(one) if spatial else ():
        if layer.outputs == needed:
            return layer
        if layer.kind == "conv" and layer.outputs == 4 * needed:
            return replace(layer, shuffled=True)
    return None


def _small(one: Module) -> str | None:
    """Whether a module is a norm, a PReLU, or a layer with a weight matrix (None)."""
    if "running_mean" in one.parts or (len(one.weight) == 1 and "bias" in one.parts):
        return "norm"
    return "prelu" if len(one.weight) == 1 else None


def _assembled(order: Sequence[Module], end: int) -> list[Layer]:
    """The layers from the one at `end` back to the first, found by their channels; norms by their numbers or widths."""
    stack = [one for one in order if _small(one) is None and not ENCODER.search(one.name)]
    last = _last(order[end])
    chain = _search([last], [one for one in stack if one is not last.module])
    if chain is None:
        raise Unlike("the channels of its layers do not follow from one another in any order")
    return _attached(chain, [one for one in order if _small(one) is not None])


def _search(chain: list[Layer], left: list[Module]) -> list[Layer] | None:
    """`chain` led back through all modules that are `left`; those of one name go by their numbers."""
    if not left:
        try:
            _check_start(chain)
        except Unlike:
            return None
        return chain
    for at in range(len(left) - 1, -1, -1):
        one = left[at]
        if any(other.stem == one.stem for other in left[at + 1 :]):
            continue
        layer = _before(left, at, chain[0].inputs, chain[0].kind != "linear")
        if layer is not None:
            found = _search([layer, *chain], [*left[:at], *left[at + 1 :]])
            if found:
                return found
    return None


def _attached(chain: list[Layer], small: Sequence[Module]) -> list[Layer]:
    """`chain` with each norm and PReLU behind the layer of its own number, or the next of its width."""
    behind: dict[Module, list[Layer]] = {layer.module: [] for layer in chain}
    for one in small:
        kind = _small(one)
        size = one.weight[0] if one.weight else one.parts["running_mean"][0]
        free = [
            layer
            for layer in chain[:-1]
            if not any(other.kind == kind for other in behind[layer.module])
            and (kind == "prelu" or _fits(layer, chain, size))
        ]
        same = [layer for layer in free if layer.module.numbers == one.numbers and one.numbers]
        if not free:
            raise Unlike(f"{one.name} fits behind no layer")
        behind[(same or free)[0].module].append(Layer(str(kind), one, size, size))
    return [each for layer in chain for each in (layer, *behind[layer.module])]


def _fits(layer: Layer, chain: list[Layer], size: int) -> bool:
    """Whether a norm of `size` channels may stand behind `layer`."""
    following = chain[chain.index(layer) + 1]
    return size in (layer.outputs, following.inputs)


def _check_start(layers: Sequence[Layer]) -> None:
    first = layers[0]
    if len([layer for layer in layers if layer.kind in ("linear", "conv", "deconv")]) < 2:
        raise Unlike("it has a single layer that leads to an image")
    if first.kind == "conv" or (first.kind == "deconv" and first.kernel < 3):
        raise Unlike(
            f"its first layer {first.module.name} is a convolution of {first.inputs} channels, where a linear layer or "
            "a transposed convolution takes a latent: it makes images of images, or has branches"
        )


def _rest(left: Sequence[Module], order: Sequence[Module], layers: Sequence[Layer]) -> int | None:
    """The latents of an encoder, if that is what is `left`; None where nothing tells them.

    Raises:
        Unlike: something else is left over.
    """
    start = order.index(layers[0].module)
    takes = next((layer.inputs for one in left for layer in _convolutions(one)), None)
    encoder = takes in (1, 3) and all(order.index(one) < start for one in left)
    if not encoder and not all(ENCODER.search(one.name) for one in left):
        names = [one.name for one in left if not ENCODER.search(one.name)]
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        raise Unlike(f"the layers that lead to its images leave others over: {', '.join(names[:4])}{more}")
    return next((one.weight[0] for one in left if MEAN.search(one.name) and len(one.weight) == 2), None)


def _with_gaps(layers: Sequence[Layer]) -> list[Layer]:
    """The layers, each with how many modules stand between it and the next in their Sequential."""
    found = []
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        gap = None
        if following is not None:
            (parent, at), (other, then) = layer.module.place, following.module.place
            if parent == other and at is not None and then is not None and then > at:
                gap = then - at - 1
            if gap == 1 and layer.kind == "linear" and following.kind != "linear":
                gap = None  # an activation, or what makes channels of numbers
        found.append(replace(layer, gap=gap))
    return found
