"""The conformance kit: one set of checks that every plugin passes, ours and others'. It comes with eigenwalk-testing.

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

try:
    from eigenwalk_testing.case import Case
    from eigenwalk_testing.images import smooth_images
    from eigenwalk_testing.kit import (
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
    from eigenwalk_testing.report import Finding, Report
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "eigenwalk_testing":
        raise
    from eigenwalk.names.index import shipped_index

    how = shipped_index().commands["check"].pip_line
    raise ModuleNotFoundError(f"eigenwalk.testing comes with eigenwalk-testing: {how}", name=error.name) from None

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
