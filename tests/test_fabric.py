"""Two processes train as one does: every loss, every weight; only the first writes; a mistake of one ends both.

Batches are shared, so sums are rounded in another order: 1e-6 in float32, some 8 roundings of 1.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from plain_training import known
from safetensors.torch import load_file
from two_processes import CHOSEN, NORMED, SAT, WEAT, everything, in_two, numbers

from energylens.train.processes import Alone

pytest.importorskip("lightning", reason="Lightning is not installed: pip install 'energylens[processes]'")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def two(folder) -> list[dict[str, Any]]:
    return in_two(everything, folder)


@pytest.fixture(autouse=True)
def _known():
    with known():
        yield


@pytest.mark.parametrize("run", [SAT, WEAT], ids=lambda run: run.objective)
def test_losses_and_weights_are_those_of_one_process(two, tmp_path, run):
    losses, weights = numbers(Alone(), tmp_path, run, 3)
    for found in two:
        np.testing.assert_allclose(found[run.objective][0], losses, rtol=0, atol=1e-6)
        for key, value in weights.items():
            np.testing.assert_allclose(found[run.objective][1][key], value, rtol=0, atol=1e-6)


def test_both_processes_have_the_same_bits(two):
    for run in (SAT.objective, WEAT.objective, "normed"):
        one, other = (found[run][1] for found in two)
        assert all(np.array_equal(one[key], other[key]) for key in one)


def test_weights_are_normalised_over_the_images_of_all_processes(two):
    """(1 + 1 + 4 x 10) / 3, divided by the mean weight 2; normalised in each process it were 4."""
    assert [found["mean1"] for found in two] == pytest.approx([7, 7])


def test_batchnorms_running_mean_is_that_of_all_images(two, tmp_path):
    """Of the first step and layer, where no weight has moved; halves of one size have a mean of their means."""
    _, alone = numbers(Alone(), tmp_path, NORMED, 1)
    np.testing.assert_allclose(two[0]["normed"][1]["bn1.running_mean"], alone["bn1.running_mean"], rtol=0, atol=1e-6)
    assert np.abs(alone["bn1.running_mean"]).max() > 1e-3


def test_a_mistake_of_one_process_is_heard_by_both(two):
    assert [found["mistakes"] for found in two] == [["of 0", "of 1"]] * 2


def test_a_run_that_was_stopped_goes_on_with_the_same_bits(two, folder):
    del two
    whole, stopped = (folder / name / CHOSEN.name for name in ("whole", "stopped"))
    assert {path.name for path in whole.iterdir()} == {path.name for path in stopped.iterdir()}
    for name in ("last.safetensors", "best.safetensors"):
        one, other = load_file(whole / name), load_file(stopped / name)
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_buffers_that_are_no_numbers_stay(two):
    assert two[0]["normed"][1]["bn1.num_batches_tracked"] == 1
