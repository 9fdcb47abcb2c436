"""What the entry point offers, without torch."""

from __future__ import annotations

import subprocess
import sys

from eigenwalk.spec import FeatureSpec
from eigenwalk_miniatures import plugin


def test_import_and_hooks_bring_no_torch() -> None:
    code = (
        "import sys; from eigenwalk_miniatures import plugin; "
        "plugin.eigenwalk_features(); plugin.eigenwalk_generators(); "
        "heavy = {'torch', 'timm', 'numpy', 'scipy', 'PIL'} & set(sys.modules); "
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_spec_loads_a_factory_of_its_options() -> None:
    specs = (*plugin.eigenwalk_features(), *plugin.eigenwalk_generators())
    assert [spec.name for spec in specs] == [
        "rooms.part",
        "rooms.factor",
        "faces.part",
        "faces.factor",
        "faces.attribute",
        "faces.identity",
        "rooms",
        "faces",
    ]
    for spec in specs:
        needed = {o.name: (o.choices[-1],) for o in spec.options if o.required}
        built = spec.factory()(**needed)
        if isinstance(spec, FeatureSpec):
            assert built.unit == spec.unit
