"""Rows of chains: energies, distances and saturation of hand-made states, and which of them are kept."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from energylens.generate import batches, levels
from energylens.generate.levels import Levels
from energylens.generate.recorder import Recorder

LEVELS = Levels(torch.tensor([-1.0, -2.0]), torch.tensor([0.5, 3.0]), torch.tensor([0.25, 0.5]))
START = torch.tensor([[[[0.5, 0.5], [0.0, 1.0]]], [[[0.2, 0.2], [0.2, 0.2]]]])
LOGITS = torch.tensor([[0.0, math.log(3)], [2.0, 2.0]])


class Doubled(nn.Module):
    """Twice the first two pixels as logits."""

    def forward(self, x):
        return 2 * x.flatten(1)[:, :2]


def recorder(loss="joint", every=0, frames=False, exact=True):
    return Recorder(Doubled(), exact, torch.tensor([1, 0]), [40, 41], LEVELS, loss, every, frames)


def told(seen, steps, x=START):
    for step in range(steps + 1):
        seen(step, x + 0.1 * step * (x == 0.2), LOGITS)
    return seen.ended(steps)


def test_the_columns_of_a_state_are_those_of_its_logits_and_pixels():
    rows, images = told(recorder(), 0)
    assert rows["sample"].tolist() == [40, 41]
    assert rows["label"].tolist() == [1, 0]
    assert list(rows["status"]) == ["generated"] * 2
    np.testing.assert_allclose(rows["energy"], [-math.log(4), -2 - math.log(2)])
    np.testing.assert_allclose(rows["joint_energy"], [-math.log(3), -2])
    np.testing.assert_allclose(rows["saturated"], [0.5, 0])
    np.testing.assert_allclose(rows["reference"], [-2, -1])
    np.testing.assert_allclose(rows["reference_saturated"], [0.5, 0.25])
    np.testing.assert_allclose(rows["reference_spread"], [3.0, 0.5])
    assert images[0, 0].tolist() == [[128, 128], [0, 255]]
    assert rows["clean_correct"] == [None, None]


@pytest.mark.parametrize(
    ("loss", "value"),
    [
        ("joint", -math.log(3)),
        ("ce", math.log(4 / 3)),
        ("marginal", -math.log(4)),
        ("reference", (2 - math.log(3)) ** 2),
    ],
)
def test_the_loss_is_the_samplers(loss, value):
    assert told(recorder(loss), 0)[0]["loss"][0] == pytest.approx(value)


@pytest.mark.parametrize(
    ("every", "last", "kept"), [(0, 5, [0, 5]), (2, 5, [0, 2, 4, 5]), (2, 4, [0, 2, 4]), (1, 2, [0, 1, 2])]
)
def test_the_start_every_so_many_steps_and_the_end_are_kept(every, last, kept):
    rows, _ = told(recorder(every=every), last)
    assert rows["step"].tolist() == np.repeat(kept, 2).tolist()
    np.testing.assert_allclose(rows["linf"][1::2], [0.1 * step for step in kept], atol=1e-6)
    np.testing.assert_allclose(rows["l2"][1::2], [0.2 * step for step in kept], atol=1e-6)


def test_where_all_chains_stand_still_their_last_state_is_that_of_the_steps_left():
    """Whatever the batch: another one may have ended later."""
    seen = recorder(every=2, frames=True)
    for step in range(4):
        seen(step, START + 0.1 * step * (START == 0.2), LOGITS)
    rows, images = seen.ended(7)
    assert rows["step"].tolist() == np.repeat([0, 2, 4, 6, 7], 2).tolist()
    np.testing.assert_allclose(rows["linf"][1::2], [0, 0.2, 0.3, 0.3, 0.3], atol=1e-6)
    assert images.shape[1] == 5


def test_with_frames_the_images_of_all_kept_states_are_there():
    _, images = told(recorder(every=2, frames=True), 5)
    assert images.shape == (2, 4, 1, 2, 2)
    assert images[1, :, 0, 0, 0].tolist() == [round(255 * (0.2 + 0.1 * step)) for step in (0, 2, 4, 5)]


def test_in_bfloat16_the_network_itself_is_asked_again():
    rows, _ = told(recorder(exact=False), 0)
    np.testing.assert_allclose(rows["joint_energy"], [-1.0, -0.4], rtol=1e-6)


def test_a_chain_that_became_nan_is_told_and_black():
    seen = recorder(every=1)
    broken = START.clone()
    broken[0] = torch.nan
    seen(0, START, LOGITS)
    seen(1, broken, torch.full((2, 2), torch.nan).where(torch.tensor([[True], [False]]), LOGITS))
    rows, images = seen.ended(1)
    assert list(rows["status"]) == ["generated", "generated", "nan", "generated"]
    assert not images[0].any()
    assert list(batches.remarks(rows)) == ["1 of 2 chains became NaN, seen first at step 1"]


def test_a_chain_is_saturated_beyond_half_way_from_real_images_to_all_pixels():
    columns = {"step": [0, 0, 3, 3], "status": ["generated"] * 4, "saturated": [1, 1, 0.63, 0.62]}
    columns["reference_saturated"] = [0.25] * 4
    assert list(batches.remarks(columns)) == ["1 of 2 chains saturated: most of their pixels are 0 or 1"]


def test_levels_are_means_over_each_classs_images(monkeypatch, tmp_path):
    from energylens.data import Data

    monkeypatch.setenv("ENERGYLENS_HOME", str(tmp_path))
    images = torch.tensor([[0, 255, 51, 51], [102, 0, 0, 0], [51, 51, 51, 51]], dtype=torch.uint8).view(3, 1, 2, 2)
    data = Data("made", "train", images, torch.tensor([1, 1, 0]), np.arange(3))
    found = levels.of(Doubled(), "0" * 64, data, batch=2)
    np.testing.assert_allclose(found.energy, [-0.4, -(2 + 0) / 2], rtol=1e-6)
    np.testing.assert_allclose(found.spread, [0, 1], atol=1e-6)  # E of class 1: -2 and 0
    np.testing.assert_allclose(found.saturated, [0, (2 / 4 + 3 / 4) / 2])
    again = levels.of(None, "0" * 64, data)  # kept: no network is asked
    assert torch.equal(again.energy, found.energy)
