"""A generator named by the path of its checkpoint: opened by the plugin that recognises the file."""

from __future__ import annotations

from importlib.resources import files

import pytest
import torch

from eigenwalk import load_generator
from eigenwalk.errors import FileError

ROOMS = files("eigenwalk_miniatures") / "rooms/generator.safetensors"


def test_a_generator_of_our_training_is_opened_by_its_path(tmp_path):
    file = tmp_path / "generator.safetensors"
    file.write_bytes(ROOMS.read_bytes())
    opened, shipped = load_generator(str(file)), load_generator("rooms")
    z = shipped.sample(2, 0)
    assert torch.equal(opened(z), shipped(z))
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(FileError, match="cannot be opened"):
        load_generator(str(file))
