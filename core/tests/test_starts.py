"""Starts that are given: latents in files of every format, waypoints of earlier runs, arrays."""

from __future__ import annotations

import zipfile
from pathlib import Path as FilePath

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

import eigenwalk
from eigenwalk.errors import FileError, InputError, RecipeError
from eigenwalk.generator import FunctionGenerator
from eigenwalk.names.registry import Registry
from eigenwalk.names.tree import Instance
from eigenwalk.path import Path
from eigenwalk.runs.api import start
from eigenwalk.runs.recipe import Recipe
from eigenwalk.runs.starts import read_latents, settle_space

M = torch.randn(3 * 8 * 8, 6, generator=torch.Generator().manual_seed(0)) / 8
ROWS = np.arange(18, dtype=np.float32).reshape(3, 6) / 20


def brightness(images: torch.Tensor) -> torch.Tensor:
    return images.mean((1, 2, 3))


def generator() -> FunctionGenerator:
    return FunctionGenerator(lambda z: 0.5 + (z @ M.T.to(z)).sin().unflatten(1, (3, 8, 8)) / 2, 6, (8, 8))


def paths(**entries: object) -> tuple[Path, ...]:
    return eigenwalk.run(generator(), vary=[brightness], steps=2, paths=2, **entries)  # type: ignore[arg-type]


@pytest.fixture
def file(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> FilePath:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_every_format() -> None:
    np.save("one.npy", ROWS)
    np.savez("one.npz", w=ROWS)
    np.savez_compressed("compressed.npz", ROWS)
    torch.save(torch.from_numpy(ROWS), "one.pt")
    torch.save(
        {"a.png": {"img": torch.zeros(1, 3, 4, 4), "latent": torch.from_numpy(ROWS), "noise": []}}, "rosinality.pt"
    )
    save_file({"w": ROWS}, "one.safetensors")
    np.savez("beside.npz", w=ROWS, settings=np.array({"steps": 1}, dtype=object), names=np.array(["a", "b", "c"]))


def test_every_format_gives_the_numbers_that_were_saved(file: FilePath) -> None:
    write_every_format()
    for place in sorted(file.iterdir()):
        rows = read_latents(place.name).rows(generator())
        assert rows is not None and np.array_equal(rows.numpy(), ROWS), place.name


def in_space(space: str, dim: int, layers: int = 0) -> FunctionGenerator:
    made = FunctionGenerator(lambda latents: latents, dim, (8, 8), space=space)
    made.latent_shape = (layers, 512) if layers else ()
    return made


Z, W, PLUS = in_space("z", 512), in_space("w", 512, 18), in_space("w+", 18 * 512, 18)


@pytest.mark.parametrize(
    ("shape", "opened", "rows"),
    [
        ((512,), Z, 1),
        ((2, 512), Z, 2),
        ((2, 1, 512), Z, 2),
        ((1, 18, 512), Z, None),
        ((2, 18, 512), PLUS, 2),
        ((1, 2, 18, 512), PLUS, 2),
        ((18, 512), PLUS, 1),
        ((18, 1, 512), PLUS, 1),
        ((512, 18), PLUS, None),
        ((2, 9216), PLUS, 2),
        ((1, 18, 512), W, 1),
        ((18, 512), W, 1),
        ((17, 512), W, 17),
        ((2, 100, 1, 1), in_space("z", 100), 2),
        ((4, 5, 5), in_space("z", 100), 1),
        ((2, 7), Z, None),
    ],
)
def test_a_shape_is_so_many_latents(
    shape: tuple[int, ...], opened: FunctionGenerator, rows: int | None, file: FilePath
) -> None:
    np.save("x.npy", np.zeros(shape, np.float32))
    found = read_latents("x.npy").rows(opened)
    assert (None if found is None else len(found)) == rows


def test_layers_that_differ_are_no_w(file: FilePath) -> None:
    np.save("x.npy", np.random.default_rng(0).standard_normal((1, 18, 512)))
    assert read_latents("x.npy").rows(W) is None
    np.save("x.npy", np.random.default_rng(0).standard_normal((18, 512)))
    found = read_latents("x.npy").rows(W)
    assert found is not None and len(found) == 18


def test_safetensors_beside_json_of_another_tool_are_latents(file: FilePath) -> None:
    save_file({"w": ROWS}, "me.safetensors")
    (file / "me.json").write_text('{"steps": 500}')
    assert np.array_equal(paths(starts=["me.safetensors:1"])[0].latents[0], ROWS[1])


def test_walks_begin_at_the_given_latents_beside_those_of_seeds(file: FilePath) -> None:
    write_every_format()
    found = paths(starts=["one.npy:1-2", ROWS[:1], ROWS[1:2] + 0.1], seeds=[4])
    origins = ["seed 4", "one.npy:1", "one.npy:2", "latents 2", "latents 3"]
    assert [path.origin for path in found[::2]] == origins
    assert [path.name for path in found[::2]] == ["seed4-1+", "start0-1+", "start1-1+", "start2-1+", "start3-1+"]
    assert np.array_equal(np.stack([path.latents[0] for path in found[2:8:2]]), ROWS[[1, 2, 0]])


def test_a_walk_from_a_file_goes_on_where_it_was_stopped(file: FilePath) -> None:
    np.save("one.npy", ROWS)
    entries = {"generator": generator(), "vary": [brightness], "paths": 2, "steps": 3}
    recipe = Recipe.of(**entries, starts=["one.npy:1-2"])
    fronts = list(start(recipe).fronts())
    again = list(start(recipe, paths=fronts[1].paths, arrays=fronts[1].arrays()).fronts())
    assert all(np.array_equal(a.latents, b.latents) for a, b in zip(again[-1].paths, fronts[-1].paths, strict=True))


def test_a_saved_waypoint_is_a_start_and_so_is_the_last_one_unnamed(file: FilePath) -> None:
    (first, _) = paths(starts=[ROWS[:1]])
    first.save("paths")
    assert Path.load("paths/start0-1+.json").origin == first.origin
    for text, index in (("paths/start0-1+.json:1", 1), ("paths/start0-1+.safetensors", 2)):
        again = paths(starts=[text])
        assert np.array_equal(again[0].latents[0], first.latents[index])


def test_a_waypoint_of_another_generator_is_walked_from_with_a_word(file: FilePath) -> None:
    paths(starts=[ROWS[:1]])[0].save("paths")
    elsewhere = Instance("another", generator())
    for named, said in ((generator(), False), (elsewhere, True)):
        recipe = Recipe.of(generator=named, vary=[brightness], starts=["paths/start0-1+.json"], paths=2)
        notes = " ".join(start(recipe).notes)
        assert ("start0-1+.json in FunctionGenerator" in notes and "its picture is another here" in notes) == said


def write_bomb() -> None:
    with zipfile.ZipFile("bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("w.npy", "w") as member:
        for _ in range(1025):
            member.write(bytes(1 << 20))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing.npy", "cannot read the start nothing.npy"),
        ("cut.npy", "which the file does not hold"),
        (
            "object.npy",
            r"object\.npy holds Python objects, which NumPy saves as a pickle, .* save the latents as floats",
        ),
        ("words.npy", "words.npy holds values of type <U1: save the latents"),
        ("objects.npz", "w.npy in objects.npz holds Python objects"),
        ("bomb.npz", "would unpack to more"),
        ("nan.npy", "not finite"),
        ("words.json", "words.json is no saved path: words.safetensors is missing, .* a start is a .npy"),
        ("two.npz", r"holds a \(3, 6\), b \(3, 6\): save latents alone"),
        ("one.npy:3", "holds 3 latents, 0 to 2"),
        ("one.npy:2-1", "a range such as one.npy:0-3"),
        ("number.npy", r"holds \(\), and a latent"),
        ("wide.npy", r"holds \(2, 7\), and a latent of .* has 6 in z coordinates"),
        ("huge.npy", "not finite"),
        ("long.npy", r"large and may not be safe to load securely\.$"),
        ("list.pt", "list.pt holds no tensor of floats, outside of lists .*: save the latents as floats"),
        ("flipped.npz", r"flipped.npz is damaged, or no .npz file"),
        (".", "is a folder; a start is"),
    ],
)
def test_a_file_that_will_not_do_says_why(text: str, said: str, file: FilePath) -> None:
    np.save("one.npy", ROWS)
    np.save("wide.npy", np.zeros((2, 7)))
    np.save("number.npy", np.float32(3))
    np.save("nan.npy", ROWS * np.nan)
    np.save("object.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.savez("objects.npz", w=np.array([{}], dtype=object), allow_pickle=True)
    np.save("words.npy", np.array(["a"]))
    np.savez("two.npz", a=ROWS, b=ROWS)
    (file / "cut.npy").write_bytes((file / "one.npy").read_bytes()[:-8])
    (file / "words.json").write_text("{}")
    np.save("huge.npy", ROWS.astype(float) * 1e300)
    torch.save([torch.from_numpy(ROWS)], "list.pt")
    (file / "long.npy").write_bytes(b"\x93NUMPY\x01\x00" + (60_000).to_bytes(2, "little") + b"(" * 60_000)
    np.savez_compressed("flipped.npz", w=ROWS)
    packed = bytearray((file / "flipped.npz").read_bytes())
    packed[60:80] = bytes(255 - one for one in packed[60:80])
    (file / "flipped.npz").write_bytes(packed)
    if text == "bomb.npz":
        write_bomb()
    with pytest.raises((FileError, InputError), match=said):
        paths(starts=[text])


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((1, 6), complex), "complex"),
        (np.zeros((1, 6), bool), "bool"),
        (np.array([None]), "arrays of numbers"),
        (np.zeros((1, 7)), "1, 7"),
        (np.full((1, 6), 1e30), "start .* no latent of this generator"),
    ],
)
def test_an_array_that_will_not_do_says_why(array: np.ndarray, said: str) -> None:
    with pytest.raises((FileError, InputError), match=said):
        paths(starts=[array])


def test_arrays_of_whole_numbers_and_of_few_bits_are_starts() -> None:
    found = paths(starts=[np.ones((1, 6), int), torch.full((1, 6), 0.5, dtype=torch.bfloat16)])
    assert [path.latents[0].tolist() for path in found[::2]] == [[1.0] * 6, [0.5] * 6]
    with pytest.raises(RecipeError, match=r"starts must be a list: write starts=\[latents\]"):
        paths(starts=ROWS)


def test_starts_of_two_spaces_are_refused_together(monkeypatch: pytest.MonkeyPatch) -> None:
    spaces = [
        Instance(space, FunctionGenerator(lambda z: z, dim, (8, 8), space=space))
        for space, dim in (("w", 6), ("w+", 18))
    ]
    monkeypatch.setattr("eigenwalk.runs.starts._in_each_space", lambda node: iter(spaces))
    each = [np.zeros((1, 6)), np.arange(18.0).reshape(1, 3, 6)]
    recipe = Recipe.of(generator=generator(), vary=[brightness], starts=each)
    with pytest.raises(InputError, match=r"no space has all: one holds \(1, 6\), one holds \(1, 3, 6\)"):
        settle_space(recipe, [read_latents(one) for one in recipe.starts], Registry())


def test_the_same_start_twice_is_refused(file: FilePath) -> None:
    np.save("one.npy", ROWS)
    with pytest.raises(InputError, match=r"one\.npy:1 is given twice"):
        paths(starts=["one.npy", "one.npy:1"])


def test_a_recipe_needs_a_seed_or_a_start() -> None:
    with pytest.raises(RecipeError, match="at least one seed, or starts"):
        Recipe.of(generator="rooms", vary=["pixels"], seeds=[])


def test_recipes_without_starts_read_as_before() -> None:
    recipe = Recipe.of(generator="rooms", vary=["pixels"])
    assert recipe.seeds == (0,) and "starts" not in recipe.text() and "starts" not in recipe.identity()
    given = Recipe.of(generator="rooms", vary=["pixels"], starts=["me.pt:3"])
    assert given.seeds == () and Recipe.parse(given.text()) == given and given.slug() != recipe.slug()
