"""What the conformance kit checks of this package: a small network in OpenVINO's files, opened by its path."""

from __future__ import annotations

import openvino_files

from eigenwalk.testing import Case

CASES = [
    Case('mobilestylegan(file="{folder}/SynthesisNetwork.xml")', prepare=openvino_files.write, kind="generator"),
    Case('open("{folder}/SynthesisNetwork.xml", space=w, size=16)', prepare=openvino_files.write, kind="generator"),
]
