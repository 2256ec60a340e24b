"""Eq. 7 is what the released code does: without noise, both end at the same images."""

import runpy
from pathlib import Path

import pytest
import torch

from energylens import models
from energylens.generate.sampler import SAMPLERS, parse

sgld = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "public_sampler.py"))["sgld"]


@pytest.mark.parametrize("text", ["eq7:noise=0:steps=20", "sgld:noise=0:steps=10", "eq7:noise=0:steps=5:step_size=200"])
def test_without_noise_the_released_loop_ends_at_the_same_images_with_the_same_energies(text):
    """The last case moves pixels by more than 1, where the released code clamps and we do not."""
    net, sampler = models.load("demo:sat"), parse(text)
    x, y = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(0)), torch.arange(6)
    energies, theirs = [], []

    def observe(step, now, logits):
        energies.append(-logits)

    ours = sampler(net, x, y, index=list(range(6)), seed=0, observe=observe)
    released = sgld(net, x, y, sampler.steps, sampler.step_size, sampler.momentum, 0, theirs)
    torch.testing.assert_close(ours, released, rtol=0, atol=1e-5)
    torch.testing.assert_close(torch.stack(energies[:-1]), torch.stack(theirs), rtol=1e-4, atol=1e-4)


def test_the_noise_of_the_released_loop_is_as_large_as_ours():
    """A network without gradients, far from the borders: 5 steps of noise 0.001, 2 % apart at most."""
    flat, x = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3072, 2)), torch.full((8, 3, 32, 32), 0.5)
    torch.nn.init.zeros_(flat[1].weight)
    y, sampler = torch.zeros(8, dtype=torch.long), parse("eq7:steps=5")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        released = sgld(flat, x, y, 5, sampler.step_size, sampler.momentum, SAMPLERS["eq7"].noise, None)
    ours = sampler(flat, x, y, index=list(range(8)), seed=0)
    for end in (released, ours):
        assert float((end - 0.5).std()) == pytest.approx(0.001 * 5**0.5, rel=0.02)
