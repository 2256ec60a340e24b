"""A checkpoint of any kind is told from its first half, without running what is in it."""

import pytest
import torch
from safetensors.torch import save_file

from energylens.models import sound

STATE = {"linear.weight": torch.arange(3000.0)}


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


KINDS = {
    "zip": lambda path: torch.save(STATE, path),
    "before torch 1.6": lambda path: torch.save(STATE, path, _use_new_zipfile_serialization=False),
    "safetensors": lambda path: save_file(STATE, path),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_checkpoint_is_sound_and_its_beginnings_are_not(kind, tmp_path):
    path = tmp_path / "net.pt"
    KINDS[kind](path)
    assert sound.checkpoint(path)
    content = path.read_bytes()
    for size in (len(content) - 1, len(content) // 2, 200, 20, 3):
        path.write_bytes(content[:size])
        assert not sound.checkpoint(path), size


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_checkpoint_is_left_to_its_reader_and_does_not_run(zipped, tmp_path):
    path, made = tmp_path / "net.pt", tmp_path / "made"
    torch.save({**STATE, "more": Payload(made)}, path, _use_new_zipfile_serialization=zipped)
    assert sound.checkpoint(path)
    assert not made.exists()
