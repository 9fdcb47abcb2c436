"""Names to objects: the sets checked, options typed, files loaded, provenance kept."""

from __future__ import annotations

import hashlib
import sys
import warnings
import zipfile
from types import ModuleType
from typing import Any

import pytest
import torch

from eigenwalk.errors import (
    CompositionError,
    ContractError,
    FileError,
    InputError,
    OptionError,
    PluginError,
    Undefined,
    UnknownName,
)
from eigenwalk.feature import Chain, Complement, Feature, FunctionFeature, Projection, ProjectionChain
from eigenwalk.generator import FunctionGenerator, Generator
from eigenwalk.hookspecs import hookimpl
from eigenwalk.names.expression import parse
from eigenwalk.names.registry import Registry
from eigenwalk.objects.compose import Used, build_feature, build_generator, compose
from eigenwalk.spec import FeatureSpec, GeneratorSpec, Option, Weights

SHA = "0" * 64


class Scale(Projection):
    """The image times a factor."""

    def __init__(self, by: float = 1.0, mode: str = "plain", **options):
        self.by, self.mode, self.options = by, mode, options

    def __call__(self, images):
        return images * self.by


class Mean(Feature):
    """The mean of the image."""

    def __call__(self, images):
        return images.mean((1, 2, 3))


class Place(Mean):
    """The mean of what a projection keeps."""

    def __init__(self, of, by=1.0):
        self.of = of

    def __call__(self, images):
        return self.of(images).mean((1, 2, 3))


def raises(error: BaseException):
    """A factory that raises."""

    def factory():
        raise error

    return factory


def toy_generator(n: int = 4, path=None) -> Generator:
    """Three coordinates as three flat channels."""
    made = FunctionGenerator(lambda z: z[:, :3, None, None].expand(-1, -1, 8, 8), n, (8, 8))
    made.path = path  # type: ignore[attr-defined]
    return made


toys = ModuleType("toys_of_test_compose")
vars(toys).update(
    Scale=Scale,
    Mean=Mean,
    Place=Place,
    broken=raises(ValueError("no luck")),
    leaves=raises(SystemExit(2)),
    undefined=raises(Undefined("nothing there")),
    rubbish=lambda: 3,
    toy_generator=toy_generator,
)


class Plugin:
    """A plugin given in process."""

    __name__ = "toys"

    @hookimpl
    def eigenwalk_features(self):
        """One good projection and feature, and what can be wrong with a factory."""
        options = (
            Option("by", "float", 1.0),
            Option("mode", "str", "plain", choices=("plain", "fancy")),
            Option("count", "int"),
            Option("on", "bool"),
            Option("box", "numbers", choices=("middle",)),
            Option("parts", "words"),
            Option("file", "path"),
        )
        of = Option("of", "projection", required=True)
        where = toys.__name__
        yield FeatureSpec("scale", f"{where}:Scale", "", options, (Weights("w.st", SHA, 1, "MIT"),), kind="projection")
        yield FeatureSpec("mean", f"{where}:Mean", "")
        yield FeatureSpec("needs", f"{where}:Scale", "", (Option("by", "float", required=True),))
        for name in ("broken", "leaves", "undefined", "rubbish", "absent"):
            yield FeatureSpec(name, f"{where}:{name}", "")
        yield FeatureSpec("nowhere", "no_such_module:f", "")
        yield FeatureSpec("place", f"{where}:Place", "", (of, Option("by", "float", 1.0)))
        yield FeatureSpec("lacking", "toys_that_lack:f", "")
        yield FeatureSpec("noisy", "toys_that_warn:made", "")
        yield FeatureSpec("liar", f"{where}:Mean", "", kind="projection")

    @hookimpl
    def eigenwalk_generators(self):
        """A generator, and a factory that gives none."""
        yield GeneratorSpec("toy", f"{toys.__name__}:toy_generator", "", (Option("n", "int"),))
        yield GeneratorSpec("rubbish", f"{toys.__name__}:rubbish", "")

    @hookimpl
    def eigenwalk_open(self, path):
        """Toy files."""
        known = path.read_bytes().startswith(b"TOY")
        return GeneratorSpec("toy.file", f"{toys.__name__}:toy_generator", "", (Option("n", "int"),)) if known else None


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working folder, and the toys importable."""
    monkeypatch.setitem(sys.modules, toys.__name__, toys)
    monkeypatch.chdir(tmp_path)
    lacking = tmp_path / "modules" / "toys_that_lack.py"
    lacking.parent.mkdir()
    lacking.write_text("import no_such_library\n")
    monkeypatch.syspath_prepend(lacking.parent)
    return tmp_path


@pytest.fixture
def registry():
    return Registry.discover(extra=[(Plugin(), "eigenwalk-toys", "1.2")], installed=False)


def test_terms_have_canonical_text_tolerance_and_weight(registry):
    found = compose(["scale(2) < 0.3", "mean"], ["~scale(by=2)", "0.5 * scale(3) | mean"], registry)
    assert [term.text for term in found.fixed] == ["scale(by=2)", "mean"]
    assert [term.text for term in found.varied] == ["~scale(by=2)", "scale(by=3) | mean"]
    assert (found.fixed[0].tolerance, found.fixed[1].tolerance, found.varied[1].weight) == (0.3, None, 0.5)
    images = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(found.varied[0].feature(images), -images)
    torch.testing.assert_close(found.varied[1].feature(images), 3 * images.mean((1, 2, 3)))


def test_libraries_load_in_silence_and_plugins_are_heard(registry, folder, monkeypatch):
    (folder / "modules/a_library.py").write_text(
        "import warnings\nwarnings.warn('a_library.old will go', FutureWarning)\n"
        "def use():\n    warnings.warn('use() will change', FutureWarning)\n"
    )
    (folder / "modules/toys_that_warn.py").write_text(
        f"import warnings, a_library\nfrom {toys.__name__} import Mean\n"
        "def made():\n    a_library.use()\n    warnings.warn('look here')\n    return Mean()\n"
    )
    monkeypatch.setattr(sys, "warnoptions", [])
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        build_feature(parse("noisy"), registry)
    assert [str(one.message) for one in heard] == ["look here"]


def test_provenance_lists_distributions_versions_and_weights(registry, folder):
    (folder / "m.png").write_bytes(b"pixels")
    (term,) = compose([], ["scale(file=./m.png) | mean"], registry).varied
    scale, mean = term.used
    assert (scale.name, scale.distribution, scale.version) == ("scale", "eigenwalk-toys", "1.2")
    assert scale.weights == (("w.st", SHA),)
    assert scale.files == (("./m.png", hashlib.sha256(b"pixels").hexdigest()),)
    assert (mean.name, mean.weights, mean.files) == ("mean", (), ())


def test_a_name_is_built_once(registry):
    found = compose(["scale(2)"], ["~scale(by=2)"], registry)
    complement: Any = found.varied[0].feature
    assert complement.inner is found.fixed[0].feature


@pytest.mark.parametrize(
    ("text", "canonical", "kind"),
    [
        ("place(scale)", "place(scale)", Scale),
        ("place(of=scale(2))", "place(scale(by=2))", Scale),
        ("place(scale(2) | ~scale, by=3)", "place(scale(by=2) | ~scale, by=3)", ProjectionChain),
        ("~scale | place(~scale(2)) < 4", "~scale | place(~scale(by=2))", Chain),
        ("place('scale(by=2)')", "place(scale(by=2))", Scale),
    ],
)
def test_an_option_may_be_a_projection(registry, text, canonical, kind):
    term = compose([text], ["scale"], registry).fixed[0] if "<" in text else compose([], [text], registry).varied[0]
    assert term.text == canonical
    feature: Any = term.feature
    assert isinstance(getattr(feature, "of", feature), (kind, Complement))
    assert {one.name for one in term.used} == {"place", "scale"}
    assert term.feature(torch.ones(2, 3, 4, 4)).shape == (2,)


def test_a_projection_is_shared_between_options(registry):
    found: Any = compose(["scale(2)"], ["place(scale(by=2.0))"], registry)
    assert found.varied[0].feature.of is found.fixed[0].feature


def test_options_reach_the_factory_in_their_types(registry):
    text = "scale(2, fancy, count=3.0, on=true, box=(0, 0.5), parts=sofa)"
    feature: Any = compose([], [text], registry).varied[0].feature
    assert (feature.by, feature.mode) == (2.0, "fancy")
    assert feature.options == {"count": 3, "on": True, "box": (0, 0.5), "parts": ("sofa",)}
    assert isinstance(feature.options["count"], int)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scale(bye=2)", "no option 'bye'; did you mean 'by'"),
        ("scale(zzz=2)", "its options are by, mode"),
        ("mean(2)", "takes none by position, got 1"),
        ("mean(by=2)", "it takes none"),
        ("scale(2, by=3)", "given twice"),
        ("scale(big)", "is a number, got big"),
        ("scale(true)", "is a number, got true"),
        ("scale(mode=fanc)", "one of plain, fancy, got fanc; did you mean fancy"),
        ("scale(mode=3)", 'write "3"'),
        ("scale(count=1.5)", "is a whole number, got 1.5"),
        ("scale(on=1)", "is true or false, got 1"),
        ("scale(box=(0, a))", "is numbers, such as (0, 0, 0.5, 1), or middle, got (0, a)"),
        ("scale(box=midle)", "or middle, got midle"),
        ("scale(parts=(1, 2))", "is words"),
        ("scale(file=3)", "the path of a file"),
        ("needs", "needs option 'by', a number"),
    ],
)
def test_wrong_options_are_refused(registry, text, message):
    with pytest.raises(OptionError) as caught:
        compose([], [text], registry)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("fixed", "varied", "message"),
    [
        (["mean"], [], "nothing varies"),
        (["scale(1)"], ["scale"], "both fixed (as scale(by=1)) and varied"),
        (["scale(2) < 0.1"], ["3 * scale(by=2)"], "both fixed and varied"),
        (["scale(box=(0, 1))"], ["scale(box=(0.0, 1.0))"], "both fixed"),
        (["mean", "mean < 3"], ["scale"], "twice among the fixed"),
        (["scale"], ["mean", 'mean(package="eigenwalk-toys")'], "twice among the varied"),
        (["0.5 * mean"], ["scale"], "a weight says how much a feature varies"),
        (["mean"], ["scale < 0.5"], "a tolerance says how far a fixed feature may move"),
        ([], ["mean | scale"], "left of '|' must be a projection"),
        ([], ["~mean"], "mean is a feature"),
        ([], ["place(mean)"], "option 'of' of place takes a projection"),
        ([], ["place(scale | mean)"], "option 'of' of place takes a projection"),
        (["place(scale(1))"], ["place(of=scale)"], "both fixed (as place(scale(by=1))) and varied"),
        ([], ["~(scale | mean)"], "is a feature"),
    ],
)
def test_contradicting_sets_of_features_are_refused(registry, fixed, varied, message):
    with pytest.raises(CompositionError) as caught:
        compose(fixed, varied, registry)
    assert message in str(caught.value)


def test_a_text_in_place_of_a_list_is_refused(registry):
    with pytest.raises(InputError, match=r"write \['mean'\]"):
        compose([], "mean", registry)


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("broken", PluginError, "ValueError: no luck"),
        ("leaves", PluginError, "end the process"),
        ("absent", PluginError, "cannot be imported: AttributeError"),
        ("nowhere", PluginError, "ModuleNotFoundError"),
        ("lacking", PluginError, "No module named 'no_such_library'"),
        ("lacking", PluginError, "; pip install eigenwalk-toys brings it"),
        ("rubbish", ContractError, "must return a Feature, got a int"),
        ("liar", ContractError, "must return a Projection, got a Mean"),
        ("undefined", Undefined, "nothing there"),
    ],
)
def test_factories_that_fail_are_blamed(registry, name, kind, message):
    with pytest.raises(kind) as caught:
        compose([], [name], registry)
    assert message in str(caught.value)
    if kind is not Undefined:
        assert "plugin 'toys' (eigenwalk-toys 1.2)" in str(caught.value)


MINE = """
import torch
from beside import three
from eigenwalk.feature import Feature, Projection
from eigenwalk.generator import FunctionGenerator

def fn(images, by=1): return images.mean((1, 2, 3)) * by * three
class Half(Projection):
    def __init__(self, by=0.5): self.by = by
    def __call__(self, images): return images * self.by
half = Half()
class Net(torch.nn.Module):
    def __init__(self): super().__init__(); self.layer = torch.nn.Conv2d(3, 1, 1)
    def forward(self, images): return self.layer(images)
class Bad(Half):
    def __init__(self): 1 / 0
number = 3
def build(n=4): return FunctionGenerator(lambda z: z[:, :3, None, None].expand(-1, -1, 8, 8), n, (8, 8))
generator = build()
def wrong(): return FunctionGenerator(lambda z: z, 0, (8, 8))
"""


@pytest.fixture
def mine(folder):
    (folder / "mine.py").write_text(MINE)
    (folder / "beside.py").write_text("three = 3\n")
    yield folder / "mine.py"
    sys.modules.pop("beside", None)


def test_functions_in_a_file_become_features(registry, mine):
    found = compose(["./mine.py:half"], ["./mine.py:fn(by=2)", "~./mine.py:Half(by=2) | mine.py:Net"], registry)
    images = torch.rand(2, 3, 4, 4)
    assert type(found.fixed[0].feature).__name__ == "Half"
    assert isinstance(found.varied[0].feature, FunctionFeature)
    torch.testing.assert_close(found.varied[0].feature(images), images.mean((1, 2, 3)) * 6)
    assert not found.varied[1].feature(images).requires_grad
    assert found.varied[0].text == 'file("./mine.py:fn", by=2)'
    assert found.varied[0].used[0].files == (("./mine.py", hashlib.sha256(MINE.encode()).hexdigest()),)
    assert str(mine.parent) not in sys.path


def test_weights_that_a_user_file_opens_are_hashed(registry, folder):
    (folder / "w.bin").write_bytes(b"weights")
    (folder / "net.py").write_text(
        "from eigenwalk.generator import FunctionGenerator\n"
        "def build(weights, kind='plain'):\n"
        "    return FunctionGenerator(lambda z: z[:, :3, None, None], latent_dim=3, resolution=(1, 1))\n"
    )
    (used,) = build_generator('./net.py:build(weights="./w.bin", kind=plain)', registry)[1]
    assert dict(used.files) == {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in used_names(used)
    }
    assert used_names(used) == ["./net.py", "./w.bin"]


def used_names(used: Used) -> list[str]:
    """The user's files that took part."""
    return [name for name, _ in used.files]


def test_a_changed_file_is_read_again(registry, mine):
    compose([], ["./mine.py:half"], registry)
    mine.write_text("def half(images): return images * 7\n")
    (term,) = compose([], ["./mine.py:half"], registry).varied
    assert isinstance(term.feature, FunctionFeature)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("./no.py:fn", FileError, "no file './no.py'"),
        ("./mine.py:hafl", UnknownName, "it has half"),
        ("./mine.py:fn(to=3)", OptionError, "takes (images, by=1), and the options given are to"),
        ("./mine.py:half(by=3)", OptionError, "takes no options"),
        ("./mine.py:Half(to=3)", OptionError, "the options given are to"),
        ("./mine.py:Bad", PluginError, "failed at line 16: ZeroDivisionError"),
        ("./mine.py:number", ContractError, "got a int"),
        ("~./mine.py:fn", CompositionError, "is a FunctionFeature"),
        ("./mine.py:fn | scale", CompositionError, "left of '|'"),
        ('file("./mine.py")', InputError, "the name of a function"),
    ],
)
def test_wrong_files_are_refused(registry, mine, text, kind, message):
    with pytest.raises(kind) as caught:
        compose([], [text], registry)
    assert message in str(caught.value)


def test_the_same_function_by_two_paths_is_one_feature(registry, mine):
    with pytest.raises(CompositionError, match="both fixed"):
        compose(["./mine.py:half"], [f'file("{mine}:half")'], registry)


@pytest.mark.parametrize(("source", "line"), [("x = 1\n\nx / 0\n", 3), ("x = 1\ndef f(:\n", 2), ("exit(1)\n", 1)])
def test_an_error_in_a_users_file_names_its_line(registry, folder, source, line):
    (folder / "bad.py").write_text(source)
    with pytest.raises(PluginError, match=rf"bad\.py failed at line {line}"):
        compose([], ["./bad.py:f"], registry)


def test_generators_are_built_from_names_and_files(registry, mine, folder):
    (folder / "toy.pkl").write_bytes(b"TOY")
    texts = ["toy", "toy(n=5)", "./mine.py:build", "./mine.py:build(n=6)", "./mine.py:generator", "toy.pkl(n=7)"]
    built = [build_generator(text, registry) for text in texts]
    assert [generator.latent_dim for generator, _ in built] == [4, 5, 4, 6, 4, 7]
    assert [used[0].name for _, used in built[:2]] == ["toy", "toy"]
    (used,) = built[-1][1]
    assert (used.distribution, used.files) == ("eigenwalk-toys", (("toy.pkl", hashlib.sha256(b"TOY").hexdigest()),))
    assert str(built[-1][0].path) == "toy.pkl"  # type: ignore[attr-defined]


def archive() -> bytes:
    """The bytes of a zip archive, as torch.save writes one."""
    import io

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("archive/data.pkl", b"\x80\x02}." * 100)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no file"),
        (b"", "is empty"),
        (archive()[:200], "truncated"),
        (archive(), "It is a PyTorch file that holds nothing\nIt is none of\n  Toy files (eigenwalk-toys)"),
        (b"hello, world", "./my_generator.py:build"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ],
)
def test_files_without_a_generator_are_refused(registry, folder, content, message):
    if content is not None:
        (folder / "g.pkl").write_bytes(content)
    with pytest.raises(FileError) as caught:
        build_generator("g.pkl", registry)
    assert message in str(caught.value)


def test_a_truncated_safetensors_file_is_refused(registry, folder):
    (folder / "g.safetensors").write_bytes((10**6).to_bytes(8, "little") + b"{}")
    with pytest.raises(FileError, match="truncated"):
        build_generator("g.safetensors", registry)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("rubbish", ContractError, "must return a Generator, got a int"),
        ("./mine.py:fn", OptionError, "images"),
        ("./mine.py:Half", ContractError, "FunctionGenerator(function"),
        ("./mine.py:wrong", ContractError, "latent_dim"),
        ("toy(n=x)", OptionError, "whole number"),
        ("tyo", UnknownName, "nearest: toy"),
        ("mean", UnknownName, "is a feature, not a generator"),
    ],
)
def test_wrong_generators_are_refused(registry, mine, text, kind, message):
    with pytest.raises(kind) as caught:
        build_generator(text, registry)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("fourier.low", "fourier.low"),
        ("fourier.high(6, edge=ideal)", "fourier.high(cycles=6, edge=ideal)"),
        ("fourier.band(2, 6)", "fourier.band(high=6, low=2)"),
        ("mask(box=(0, 0, 0.5, 1), feather=1)", "mask(box=(0, 0, 0.5, 1), feather=1)"),
        ("~mask((0, 0, 0.5, 1)) | fourier.low(4)", "~mask(box=(0, 0, 0.5, 1)) | fourier.low(cycles=4)"),
        ("pixels(8)", "pixels(size=8)"),
        ("~luminance", "~luminance"),
    ],
)
def test_features_of_this_repository_compose(text, canonical):
    (term,) = compose([], [text], Registry.discover()).varied
    assert term.text == canonical
    images = torch.rand(2, 3, 16, 16)
    values = term.feature.at(images)(images)
    assert (values.shape[:2], values.isfinite().all()) == ((2, 3), True)
    assert {used.version for used in term.used} == {"0.1.0"}


def test_a_leading_option_is_written_by_position():
    (term,) = compose([], ["rooms.part(part=(sofa,))"], Registry.discover()).varied
    assert term.text == "rooms.part(sofa)"


def test_a_complement_of_another_size_is_refused():
    node: Any = parse("~(luminance | pixels(size=8))")
    feature, _ = build_feature(node, Registry.discover())
    with pytest.raises(CompositionError, match="gives images of"):
        feature(torch.rand(2, 3, 16, 16))


@pytest.mark.parametrize("dim", [1, 3, 16, 100])
def test_more_samples_begin_with_those_of_a_smaller_call(dim):
    generator = FunctionGenerator(lambda z: z[:, :1, None, None].expand(-1, 3, 8, 8), dim, (8, 8))
    assert torch.equal(generator.sample(5, 1)[:2], generator.sample(2, 1))
    assert generator.sample(0, 1).shape == (0, dim)
