"""Two generators trained by others, opened as in ``docs/examples``; skipped if their files are not here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from eigenwalk import load_generator
from eigenwalk.path import Path as WalkedPath

ROOT = Path(__file__).parents[1]
REAL = Path(os.path.normpath(ROOT / "../shared/real"))
EXAMPLES = {"anime_dcgan": ("anime_dcgan.safetensors", 128), "faces_vae": ("faces_vae.pt", 32)}
BOX = "mask(box=(0.25, 0.25, 0.75, 0.8))"

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="the trained generators lie in ../shared/real")


def example(name: str) -> str:
    """Return the expression that opens the generator from the project's root."""
    return f"{ROOT}/docs/examples/{name}.py:build(weights='{REAL / EXAMPLES[name][0]}')"


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_real_generators_images_look_like_images(name):
    generator = load_generator(example(name))
    assert generator.latent_dim == EXAMPLES[name][1]
    latents = generator.sample(8, seed=0)
    images = generator(latents)
    assert images.shape == (8, 3, 64, 64)
    assert images.min() >= 0
    assert images.max() <= 1
    # Trained: images have contrast within, differ from each other, and are no noise (neighbours are alike).
    assert images.std((1, 2, 3)).min() > 0.1
    assert (images[0] - images[1]).square().mean().sqrt() > 0.1
    assert (images[..., 1:] - images[..., :-1]).abs().mean() < 0.5 * images.std()
    torch.testing.assert_close(generator(latents[3:4])[0], images[3], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_walk_by_name_holds_a_box(name, tmp_path):
    words = ["walk", example(name), "--fix", BOX, "--vary", f"~{BOX}", "--steps", "2", "--paths", "2", "--quiet"]
    code = "import sys; from eigenwalk.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, *words, "--out", "walked"]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "walked/strip.png").stat().st_size > 1000
    paths = [WalkedPath.load(file) for file in sorted((tmp_path / "walked/paths").glob("*.json"))]
    assert [(path.rank, path.sense) for path in paths] == [(1, 1), (1, -1)]
    for path in paths:
        assert len(path) == 3, path.status
        fixed, varied = path.roles
        last = path.waypoints[-1].changes
        assert last[varied.name] / varied.typical > 0.1
        assert last[fixed.name] / fixed.typical < 0.5 * last[varied.name] / varied.typical
