"""The conformance kit: one set of checks that every plugin passes, ours and others'.

>>> import torch
>>> from eigenwalk.testing import check_feature
>>> def brightness(images):
...     return images.mean((1, 2, 3))
>>> report = check_feature(brightness)
>>> report.ok, report["independence"].outcome
(True, 'passed')
>>> report.raise_for_failures()

A package of plugins lists its cases, and one parametrised test checks them all; see `docs/conformance.md`.
"""

from eigenwalk.testing.case import Case
from eigenwalk.testing.images import smooth_images
from eigenwalk.testing.kit import (
    DIRECTION,
    FEATURE,
    GENERATOR,
    check,
    check_direction,
    check_feature,
    check_generator,
    names,
    save_golden,
)
from eigenwalk.testing.report import Finding, Report

__all__ = [
    "DIRECTION",
    "FEATURE",
    "GENERATOR",
    "Case",
    "Finding",
    "Report",
    "check",
    "check_direction",
    "check_feature",
    "check_generator",
    "names",
    "save_golden",
    "smooth_images",
]
