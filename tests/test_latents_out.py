"""Latents of other StyleGAN tools as they write them, and ours as they read them: each is a start, to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import stylegan_files
import torch

import eigenwalk


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return stylegan_files.write("ada-16", tmp_path, contrast=0.3).rename(tmp_path / "net.pkl")


def started(text: str, generator: str = "net.pkl") -> tuple[str, np.ndarray]:
    """The space of a walk's generator, and the latent of its first start."""
    run = eigenwalk.start(eigenwalk.Recipe.of(generator=generator, vary=["pixels"], starts=[text], paths=2, steps=1))
    return run.problem.linearisation.generator.space, run.starts[0].latent.numpy()


def write_as_tools_do(w: np.ndarray, layers: int) -> dict[str, np.ndarray]:
    """Write `w` ``(1, width)`` and w+ in the layouts of the tools; return what each file holds, by name."""
    repeated = np.repeat(w[:, None], layers, axis=1)
    plus = repeated + np.linspace(0, 1, layers, dtype=np.float32)[None, :, None]
    np.savez("projected_w.npz", w=repeated)  # NVIDIA's projector: one w, for every layer
    np.savez("projected_wplus.npz", w=plus)
    torch.save(torch.from_numpy(plus), "latents.pt")  # e4e, pSp: (images, layers, w); DragGAN loads such a tensor
    torch.save({"latent": torch.from_numpy(plus), "seed": 3}, "dragged.pt")
    np.save("w.npy", w)  # SeFa, InterFaceGAN, GANSpace: (images, w)
    np.save("wp.npy", plus)
    np.save("layers.npy", plus[0])  # stylegan-encoder: (layers, w)
    np.save("mean.npy", repeated)  # one w for every layer, without a name
    every_layers = dict.fromkeys(
        ("projected_wplus.npz", "latents.pt", "dragged.pt", "wp.npy", "layers.npy"), plus.ravel()
    )
    return {"projected_w.npz": w[0], "mean.npy": w[0], "w.npy": w[0], **every_layers}


def test_files_open_as_their_tools_make_them(file: Path) -> None:
    generator = eigenwalk.load_generator("open(net.pkl, space=w)")
    layers, width = generator.latent_shape
    w = generator.sample(1, 7).numpy()
    assert w.shape == (1, width)
    for name, expected in write_as_tools_do(w, layers).items():
        named = "open(net.pkl, space=w)" if name == "w.npy" else "net.pkl"  # (images, w) may be z: the file cannot say
        space, latent = started(name, named)
        assert space == ("w" if expected.size == width else "w+"), name
        assert np.array_equal(latent, expected), name


def test_of_as_many_latents_as_layers_one_is_a_z_where_it_is_asked_for_by_number(file: Path) -> None:
    z = np.random.default_rng(0).standard_normal((6, 16)).astype(np.float32)
    np.save("six.npy", z)
    assert [started("six.npy")[0], started("six.npy:3")[0]] == ["w+", "z"]
    assert np.array_equal(started("six.npy:3")[1], z[3])
    np.savez("named.npz", z=z)
    assert started("named.npz")[0] == "z"


@pytest.mark.parametrize("space", ["z", "w", "w+", "s"])
def test_what_export_writes_is_a_start_in_its_space(file: Path, space: str) -> None:
    generator = f'open(net.pkl, space="{space}")'
    paths = eigenwalk.run(generator, vary=["pixels"], steps=1, paths=1)
    eigenwalk.export(paths, "out", ["npz", "npy", "pt"])
    held = np.load("out/seed0-1+.npz")
    (key,) = held.files
    shape = eigenwalk.load_generator(generator).latent_shape
    assert key == {"w+": "w"}.get(space, space) and held[key].shape == (2, *(shape or (paths[0].latents.shape[1],)))
    for ending in ("npz", "npy", "pt"):
        there, latent = started(f"out/seed0-1+.{ending}:1", "net.pkl" if ending == "npz" else generator)
        assert there == space and np.array_equal(latent, paths[0].waypoints[1].latent), ending
    paths[0].save("paths")
    assert started("paths/seed0-1+.json:1")[0] == space  # a path knows its space
