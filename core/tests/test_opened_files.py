"""Files that a feature opens without being told their names go into what was used, and so into recipes."""

from __future__ import annotations

from pathlib import Path

from eigenwalk.feature import Feature, FunctionFeature
from eigenwalk.names.files import sha256
from eigenwalk.names.registry import Offer
from eigenwalk.objects.build import build
from eigenwalk.spec import FeatureSpec


def test_a_file_that_no_option_names_is_used_too(tmp_path, monkeypatch):
    class Finds(FunctionFeature):
        files = (tmp_path / "found.txt",)

    (tmp_path / "found.txt").write_text("1")
    (tmp_path / "finds.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    import importlib

    module = importlib.import_module("finds")
    monkeypatch.setattr(module, "factory", lambda: Finds(lambda images: images), raising=False)
    spec = FeatureSpec(name="finds", load="finds:factory", summary="finds a file by itself")
    offer = Offer(spec, "finds", "eigenwalk-finds", "1.0")
    assert build(offer, None, Feature)[1].files == (
        (str(Path(tmp_path / "found.txt")), sha256(tmp_path / "found.txt")),
    )
