"""Keyed random numbers: the same for an image in any batch, and never the same for two uses."""

import numpy as np
import torch

from energylens import keyed
from energylens.attacks import starts
from energylens.attacks.geometry import BALLS


def philox(first: int, second: int) -> np.random.Generator:
    """Philox counts from 0 under a key of 128 bits, its lower half first."""
    return np.random.Generator(np.random.Philox(key=first + (second << 64)))


def test_the_key_is_seed_stream_and_index():
    for seed, stream, index in [(0, 0, 0), (3, 2, 7), (2**63 - 1, keyed.TARGETS, 2**32 - 1), (1, keyed.STEP, 5)]:
        wanted = philox(seed, (stream << 32) + index).standard_normal(3)
        assert (keyed.rng(seed, stream, index).standard_normal(3) == wanted).all()


def test_no_two_uses_share_numbers():
    uses = (0, 1, keyed.TARGETS, keyed.START, keyed.STEP)
    keys = [(seed, stream, index) for seed in (0, 1) for stream in uses for index in (0, 1, 2**32 - 1)]
    drawn = {tuple(keyed.rng(*key).integers(2**63, size=2)) for key in keys}
    assert len(drawn) == len(keys)


def test_the_streams_of_attacks_are_those_of_all_recorded_tables():
    """Restart r is stream r, the wrong classes are stream 2^31."""
    x, index, ball = torch.zeros(2, 1, 2, 3), [4, 9], BALLS["linf"]
    drawn = [philox(1, (2 << 32) + i).standard_normal((1, 2, 3), dtype=np.float32) for i in index]
    assert torch.equal(starts.tiny(x, 0.1, ball, 1, 2, index), 0.001 * torch.from_numpy(np.stack(drawn)))
    y = torch.tensor([3, 0])
    shift = [1 + int(philox(1, (1 << 63) + i).integers(9)) for i in index]
    assert starts.random_wrong_class(y, 10, 1, index).tolist() == [(3 + shift[0]) % 10, shift[1]]
