"""The core's own methods, by name; listed without torch, and loaded when one is built."""

from __future__ import annotations

from collections.abc import Mapping

from eigenwalk.spec import DirectionSpec

_SPECS = (
    DirectionSpec("outward", "eigenwalk.maths.methods.outward:Outward", "on from what has varied"),
    DirectionSpec("davidson", "eigenwalk.maths.methods.davidson:Davidson", "leading eigenvectors, matrix-free"),
    DirectionSpec("dense", "eigenwalk.maths.methods.dense:Dense", "leading eigenvectors from full Jacobians"),
    DirectionSpec("nullspace", "eigenwalk.maths.methods.nullspace:NullSpace", "the published rule"),
)
METHODS: Mapping[str, DirectionSpec] = {spec.name: spec for spec in _SPECS}
"""The first is what a walk takes by default."""
