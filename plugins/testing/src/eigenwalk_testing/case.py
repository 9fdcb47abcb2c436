"""What the kit is run on: an expression, the images that it measures, and the files that it opens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from eigenwalk.generator import Generator
from eigenwalk.names.registry import Kind


@dataclass(frozen=True)
class Case:
    """One feature, generator or way to choose directions, by its expression, and what the kit needs to judge it.

    Attributes:
        expression: as a user would write it. ``{folder}`` stands for a fresh folder, in which `prepare` has written
            what the feature opens; meanwhile EIGENWALK_WEIGHTS names ``{folder}/weights``.
        images: gives images ``(batch, 3, height, width)``, at least three, at which the feature has a value; None for
            smooth random ones. Of a generator it is left out.
        prepare: writes files into the folder that it is called with.
        golden: a JSON file of values that the feature must give again; see `eigenwalk check --save-golden`.
        expected: a check's name and the reason why it is expected to fail. One that passes is a failure of the case.
        resolution: pixels of the sides of the smooth random images.
        kind: None: a generator or a direction where the expression is one's name, else a feature.
        generator: of a direction: the generator that it is shown, by its expression or built by a call; None for the
            kit's own, a network of two layers.
        fix, vary: of a direction: the features that it is shown, by expression or as functions of images; the halves
            of the images where nothing varies here.
    """

    expression: str
    images: Callable[[], Tensor] | None = None
    prepare: Callable[[Path], None] | None = None
    golden: Path | None = None
    expected: Mapping[str, str] = field(default_factory=dict)
    resolution: int = 64
    kind: Kind | None = None
    generator: str | Callable[[], Generator] | None = None
    fix: Sequence[str | Callable[[Tensor], Tensor]] = ()
    vary: Sequence[str | Callable[[Tensor], Tensor]] = ()

    def __str__(self) -> str:
        return self.expression
