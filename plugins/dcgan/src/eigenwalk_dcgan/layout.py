"""Read the layers of a generator, in the order of computation, off names and shapes alone. No torch here.

Every layer takes as many channels as the one before it gives, so the last layer, which gives 3 channels (or 1), leads
back to the first, which takes the latent. The file's own order is tried first (`torch.save` keeps that of the code),
then the names' natural one, then any that the channels allow. The work is bounded, whatever the file holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from eigenwalk_dcgan.others import other_kind

Shapes = Mapping[str, tuple[int, ...]]

PARTS = re.compile(
    r"(?P<module>.*?)\.?(?P<part>parametrizations\.weight\.(?:original[01]?|0\._[uv])|weight(?:_orig|_[uvg])?|bias"
    r"|running_mean|running_var|num_batches_tracked)"
)
ENCODER = re.compile(
    r"(^|[._])(enc\w*|disc\w*|netD|critic\w*|(fc_?)?(mu|mean|log_?var|var|sigma|log_?std|alphas?))([._]|$)"
)
"""Names of what stands beside the decoder in the file of an autoencoder."""
MEAN = re.compile(r"(^|[._])(fc_?|to_?|latent_?)?(mu|mean|mean_layer)([._]|$)")
TRANSPOSED = re.compile(r"deconv|tconv|trans|conv_?t|(^|[._])up", re.IGNORECASE)
BRANCHES = re.compile(
    r"(^|[._])(shortcut|skip\w*|conv_sc|c_sc|res(\d*|_?blocks?\d*|idual\w*)|att(n|ention)\w*)([._]|$)"
)
"""Names of what does not stand in a plain stack, although channels may follow from one another."""
MODULES = 400
"""A plain stack and its encoder have some dozens of modules; larger files are other networks."""
LAYERS = 40
"""Most layers with weights, norms apart, of a plain generator."""
TRIES = 2_000
"""Layers that are tried while an order is sought by channels."""


IMAGE_CODE = (
    "its encoder has convolutions alone, so that its code may be an image of channels and no latent: if it is a "
    "latent, key=decoder takes the decoder for itself"
)


class UnknownNetwork(ValueError):
    """The tensors are not those of a plain stack of layers that makes images; the text says why."""


@dataclass(frozen=True)
class Module:
    """The tensors of one module: `parts` from name to shape."""

    name: str
    parts: Mapping[str, tuple[int, ...]] = field(hash=False)

    @property
    def weight(self) -> tuple[int, ...]:
        """The shape of its weight, under whatever name the file keeps it."""
        names = ("weight", "weight_orig", "weight_v", "parametrizations.weight.original")
        names += ("parametrizations.weight.original1",)
        return next((self.parts[name] for name in names if name in self.parts), ())

    @property
    def place(self) -> tuple[str, int | None]:
        """Its parent, and its number there if it is part of a Sequential."""
        parent, _, last = self.name.rpartition(".")
        return parent, int(last) if last.isdigit() else None

    @property
    def stem(self) -> str:
        """Its name without numbers."""
        return re.sub(r"\d+", "#", self.name)

    @property
    def numbers(self) -> list[str]:
        """The numbers in its name."""
        return re.findall(r"\d+", self.name)

    @property
    def small(self) -> str | None:
        """``norm`` or ``prelu``; None for a layer with a matrix or kernels."""
        if "running_mean" in self.parts or (len(self.weight) == 1 and "bias" in self.parts):
            return "norm"
        return "prelu" if len(self.weight) == 1 else None

    @property
    def size(self) -> int:
        """Channels of a norm or PReLU."""
        return self.weight[0] if self.weight else self.parts["running_mean"][0]


@dataclass(frozen=True)
class Layer:
    """One layer: `kind` is linear, conv, deconv (transposed), norm or prelu.

    Attributes:
        inputs, outputs: channels, or numbers.
        kernel: side of the kernel of a convolution.
        either: shapes and names allow a convolution and a transposed one alike.
        shuffled: four channels become one of twice the side (pixel shuffle).
        gap: modules without tensors between this layer and the next, if their numbers in a Sequential show it.
    """

    kind: str
    module: Module
    inputs: int
    outputs: int
    kernel: int = 0
    either: bool = False
    shuffled: bool = False
    gap: int | None = None

    @property
    def is_convolution(self) -> bool:
        """Whether it is a convolution, transposed or not."""
        return self.kind in ("conv", "deconv")


@dataclass(frozen=True)
class Layout:
    """The layers in order; `encoded` is the width of the latent that an encoder in the same file gives."""

    layers: tuple[Layer, ...]
    encoded: int | None = None

    @property
    def convolutions(self) -> list[int]:
        """Indices of the convolutions that take an image: all but one that takes the latent."""
        return [i for i, layer in enumerate(self.layers) if i and layer.is_convolution]

    @property
    def from_keras(self) -> bool:
        """Whether running statistics stand without torch's count of batches, as in weights that came from Keras."""
        norms = [layer.module.parts for layer in self.layers if layer.kind == "norm"]
        return any("running_mean" in one for one in norms) and not any("num_batches_tracked" in one for one in norms)


def read_layout(shapes: Shapes, sorted_names: bool = False) -> Layout:
    """Return the layers that `shapes` belong to; `sorted_names` if the file does not keep the order of the code.

    Raises:
        UnknownNetwork: they are no plain stack that ends in an image.
    """
    kind = other_kind(shapes)
    if kind:
        raise UnknownNetwork(kind)
    modules = read_modules(shapes)
    if len(modules) > MODULES:
        raise UnknownNetwork(f"it has {len(modules):,} modules, and a plain generator has some dozens")
    natural = sorted(modules, key=lambda one: _natural(one.name))
    reason = UnknownNetwork("no convolution in it gives images of 3 channels, or 1")
    for order, way in ((natural if sorted_names else modules, _follow), (natural, _follow), (natural, _assemble)):
        stack = [one for one in order if one.small is None]
        for end in range(len(stack) - 1, -1, -1):
            last = _image(stack[end])
            if last is None:
                continue
            try:
                chain = way(stack, end, last)
                chain, encoded, alone = _without_encoder(chain, stack)
                return Layout(tuple(_with_gaps(_with_norms(chain, order, alone))), encoded)
            except UnknownNetwork as error:
                reason = error if reason.args[0].startswith("no conv") else reason
    raise reason


def read_modules(shapes: Shapes) -> list[Module]:
    """Return the modules that have tensors, in the order in which these stand.

    Raises:
        UnknownNetwork: a tensor belongs to no module known here.
    """
    parts: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, shape in shapes.items():
        match = PARTS.fullmatch(name)
        if match is None or len(shape) > 4 or len(shape) == 3:
            raise UnknownNetwork(f"{name} of {len(shape)} dimensions belongs to no layer known here")
        parts.setdefault(match["module"], {})[match["part"]] = tuple(shape)
    modules = [Module(name, own) for name, own in parts.items()]
    for one in modules:
        if not one.weight and "running_mean" not in one.parts:
            raise UnknownNetwork(f"{one.name} has no weight")
    return modules


def _natural(name: str) -> list[tuple[int, int | str]]:
    """Return a key that sorts layer 10 after layer 9."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name) if part]


def _convolutions(one: Module) -> list[Layer]:
    """Return the possible kinds of a module with a weight of rank 4, with inputs and outputs; the likelier first."""
    if len(one.weight) != 4 or one.weight[2] != one.weight[3]:
        return []
    first, second, kernel, _ = one.weight
    bias = one.parts.get("bias", (None,))[0]
    either = first == second
    ways = []
    if bias in (None, second):
        ways.append(Layer("deconv", one, first, second, kernel, either))
    if bias in (None, first):
        ways.append(Layer("conv", one, second, first, kernel, either))
    # Kernels of even width keep an image's size in no ordinary convolution.
    return ways if kernel % 2 == 0 or TRANSPOSED.search(one.name) else ways[::-1]


def _image(one: Module) -> Layer | None:
    """Return the layer that makes images of 3 channels, or 1, that `one` may be: 12 become 3 by a pixel shuffle."""
    for layer in _convolutions(one):
        if layer.outputs in (1, 3):
            return layer
        if layer.kind == "conv" and layer.outputs == 12:
            return replace(layer, shuffled=True)
    return None


def _before(one: Module, following: Layer) -> Layer | None:
    """Return module `one` as the layer right before `following`; None if it cannot be that."""
    needed, spatial = following.inputs, following.kind != "linear"
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


def _follow(stack: Sequence[Module], end: int, last: Layer) -> list[Layer]:
    """Return the layers from `last` at `end` back to the first, each right before the next."""
    chain = [last]
    for one in reversed(stack[:end]):
        layer = _before(one, chain[0])
        if layer is None or (chain[0].kind == "linear" and ENCODER.search(one.name)):
            break
        chain.insert(0, layer)
    _check_start(chain)
    return chain


def _assemble(stack: Sequence[Module], end: int, last: Layer) -> list[Layer]:
    """Return the only chain of all layers of `stack`, encoders apart, that channels and numbers in names allow."""
    left = [one for one in stack if one is not last.module and not ENCODER.search(one.name)]
    chains: list[list[Layer]] = []
    tries = 0

    def search(chain: list[Layer], left: list[Module]) -> None:
        nonlocal tries
        tries += 1
        if len(chains) > 1 or tries > TRIES:
            return
        if not left:
            try:
                _check_start(chain)
            except UnknownNetwork:
                return
            chains.append(chain)
        stems = set()
        for at in range(len(left) - 1, -1, -1):
            # Layers with one name go by their numbers.
            layer = None if left[at].stem in stems else _before(left[at], chain[0])
            stems.add(left[at].stem)
            if layer is not None:
                search([layer, *chain], [*left[:at], *left[at + 1 :]])

    search([last], left)
    if len(chains) == 1 and tries <= TRIES:
        return chains[0]
    raise UnknownNetwork(
        "several orders of its layers fit: save the state dict with torch.save, which keeps the order of the code"
        if len(chains) > 1
        else "the channels of its layers do not follow from one another"
    )


def _check_start(chain: Sequence[Layer]) -> None:
    first = chain[0]
    if len(chain) > LAYERS:
        raise UnknownNetwork(f"{len(chain)} layers follow from one another, and a plain generator has some ten")
    if len(chain) < 2:
        raise UnknownNetwork("a single layer leads to its images: the layers before it do not give what it takes")
    if first.kind == "conv" or (first.kind == "deconv" and (first.kernel == 2 or (first.kernel == 1 and first.either))):
        raise UnknownNetwork(
            f"its first layer {first.module.name} is a convolution of {first.inputs} channels, where a linear layer or "
            "a transposed convolution takes a latent: it makes images of images, or has branches"
        )


def _without_encoder(chain: list[Layer], stack: Sequence[Module]) -> tuple[list[Layer], int | None, bool]:
    """`chain` from the latent on, the width of the latent if the file's encoder shows it, and whether there is none.

    Raises:
        UnknownNetwork: layers that are no encoder's are left over.
    """
    used = {layer.module for layer in chain}
    left = [one for one in stack if one not in used]
    start = stack.index(chain[0].module)
    takes = next((layer.inputs for one in left for layer in _convolutions(one)), None)
    before = all(stack.index(one) < start for one in left)
    if not (takes in (1, 3) and before) and not all(ENCODER.search(one.name) for one in left):
        names = [one.name for one in left if not ENCODER.search(one.name)]
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        raise UnknownNetwork(f"the layers that lead to its images leave others over: {', '.join(names[:4])}{more}")
    branch = next((layer.module.name for layer in chain if BRANCHES.search(layer.module.name)), None)
    if branch:
        raise UnknownNetwork(f"{branch} is named as part of a branch, and only plain stacks are known here")
    if takes is None:
        return chain, None, not left
    # The linear layers of an encoder lead to the latent, so it stands where they are narrowest.
    linear = [i for i, layer in enumerate(chain) if layer.kind == "linear"]
    if not linear and not any(len(one.weight) == 2 for one in left):
        raise UnknownNetwork(IMAGE_CODE)
    chain = chain[min(linear, key=lambda i: chain[i].inputs) :] if linear else chain
    encoded = next((one.weight[0] for one in left if MEAN.search(one.name) and len(one.weight) == 2), None)
    return chain, encoded, False


def _with_norms(chain: list[Layer], order: Sequence[Module], alone: bool) -> list[Layer]:
    """Return `chain` with norms and PReLUs: each behind the layer of its number, before it in `order`, or of its width.

    Those before the chain belong to the encoder, unless the chain stands `alone`.

    Raises:
        UnknownNetwork: one fits nowhere.
    """
    behind: dict[Module, list[Layer]] = {layer.module: [] for layer in chain}
    first = order.index(chain[0].module)
    previous = None
    for at, one in enumerate(order):
        kind = one.small
        if kind is None:
            previous = one
            continue
        free = [
            layer
            for i, layer in enumerate(chain[:-1])
            if not any(other.kind == kind for other in behind[layer.module])
            and one.size in (1 if kind == "prelu" else 0, 0 if layer.shuffled else layer.outputs, chain[i + 1].inputs)
        ]
        same = [layer for layer in free if one.place[1] is None and one.numbers == layer.module.numbers != []]
        near = [layer for layer in free if layer.module is previous]
        if not alone and (ENCODER.search(one.name) or (at < first and not same and not near)):
            continue
        if not free:
            raise UnknownNetwork(f"{one.name} of {one.size} channels fits behind no layer")
        behind[(same or near or free)[0].module].append(Layer(kind, one, one.size, one.size))
    return [each for layer in chain for each in (layer, *behind[layer.module])]


def _with_gaps(layers: Sequence[Layer]) -> list[Layer]:
    """Return the layers, each with how many modules stand between it and the next in their Sequential."""
    result = []
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        gap = None
        if following is not None:
            (parent, at), (other, then) = layer.module.place, following.module.place
            if parent == other and at is not None and then is not None and then > at:
                gap = then - at - 1
            if gap == 1 and layer.kind == "linear" and following.kind != "linear":
                gap = None  # an activation, or what makes channels of numbers
        result.append(replace(layer, gap=gap))
    return result
