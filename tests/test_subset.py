"""Subsets of the training images: which they are, and that they are not attacked, or not trained on."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from small_runs import ready, train
from toy_subsets import HIGH, LOW, SETTINGS, WRONG, N, make, same, toy_run

from energylens import data, epochs
from energylens.models import files
from energylens.train import pick
from energylens.train.prepare import Energies, Ready
from energylens.train.processes import Both


@pytest.fixture
def toy(tmp_path, monkeypatch) -> Path:
    """A folder of its own with the toy images and networks."""
    monkeypatch.chdir(tmp_path)
    make(tmp_path)
    return tmp_path


def sizes(made: Ready) -> tuple[int, int]:
    """Images of the subset, images that are trained on."""
    return len(made.subset), len(made.data)


@pytest.mark.parametrize(
    ("which", "images"),
    [
        ("misclassified", WRONG),
        ("high", HIGH),
        ("low", LOW),
        ("classes:1", range(1, N, 2)),
        ("classes:0,1", range(N)),
    ],
)
def test_the_images_are_those_that_one_finds_by_hand(toy, which, images):
    made = ready(toy / "runs", toy_run(which))
    assert tuple(made.subset.rows["sample"]) == tuple(images)
    assert torch.equal(made.subset.natural.nonzero().flatten(), torch.tensor(list(images)))
    if which in ("misclassified", "high", "low"):
        energies = made.subset.rows["energy"].to_numpy()
        np.testing.assert_allclose(energies, -10 - 8 * (7 * np.array(images) % N) / N, atol=1e-5)
        assert (made.subset.rows["pred"] != made.subset.rows["label"]).all() == (which == "misclassified")


def test_places_are_those_in_the_split_also_of_drawn_images(toy):
    made = ready(toy / "runs", toy_run("misclassified", samples=30, shuffle_seed=3))
    drawn = data.load("toy.npz", samples=30, shuffle_seed=3).index
    assert list(made.subset.rows["sample"]) == [place for place in drawn if place in WRONG]
    assert not set(made.subset.rows["sample"]) - set(WRONG)


def test_equal_energies_take_the_first_images():
    found = pd.DataFrame({"sample": range(6), "label": 0, "pred": [0, 1, 0, 0, 1, 0], "energy": -1.0})
    assert [list(pick.pick(which, found, "net")["sample"]) for which in ("high", "low")] == [[0, 2], [0, 2]]


def test_an_image_without_a_class_is_misclassified():
    found = pd.DataFrame({"sample": range(3), "label": 0, "pred": [0, -1, 0], "energy": [-1.0, np.nan, -2.0]})
    assert list(pick.pick("misclassified", found, "net")["sample"]) == [1]
    assert list(pick.pick("low", found, "net")["sample"]) == [2]


def test_with_every_image_unperturbed_adversarial_training_is_standard_training(toy):
    everything = train(toy / "runs", toy_run("classes:0,1"))
    standard = train(toy / "runs", toy_run(None, objective="standard"))
    assert same(everything, standard)
    assert not same(everything, train(toy / "runs", toy_run("classes:0")))


def test_removed_images_are_as_if_they_had_never_been_there(toy):
    """The last ten images are a class of their own: without them the set is that of the first thirty."""
    saved = dict(np.load("toy.npz"))
    saved["labels"][30:] = 2
    np.savez("toy.npz", **saved)
    removed = train(toy / "runs", toy_run("classes:2", "removed"))
    assert sizes(removed) == (10, 30)
    assert same(removed, train(toy / "runs", toy_run(None, samples=30, title="thirty")))


@pytest.mark.parametrize("objective", ["sat", "trades", "weat-adv", "mail-at", "jeat"])
def test_these_images_and_no_others_stay_as_they_are(toy, objective, monkeypatch):
    """Told apart by their second pixel before the attack; AWP takes the same images, JEAT's negatives come behind."""
    seen = []
    real = Both.forward

    def forward(self, x, x_adv):
        seen.append((x, x_adv[: len(x)]))
        return real(self, x, x_adv)

    monkeypatch.setattr(Both, "forward", forward)
    changes = {"sgld_steps": 1, "buffer": 16} if objective == "jeat" else {"awp": 0.005, "awp_warmup": 1}
    run = toy_run("high", objective=objective, settings=replace(SETTINGS, epochs=2, **changes))
    train(toy / "runs", run)
    assert len(seen) == 6 if objective == "jeat" else 9
    for x, x_adv in seen:
        places = (x[:, 0, 0, 1] * N).round().int() * 23 % N  # 7 * 23 = 161 = 1 mod 40
        left = (x == x_adv).flatten(1).all(1)
        assert set(places[left].tolist()) == set(places.tolist()) & set(HIGH)


def test_energies_are_measured_on_all_training_images(toy):
    made = train(toy / "runs", toy_run("misclassified", "removed"), Energies(every=4))
    assert set(epochs.open(made.folder.path, splits="train")["sample"]) == set(range(N))
    assert sizes(made) == (3, 37)


def test_images_held_out_for_the_selection_are_in_no_subset(toy):
    settings = replace(SETTINGS, select="best-val", val_images=20, epochs=9)
    made = ready(toy / "runs", toy_run("classes:0", "removed", settings=settings))
    assert len(made.subset) + len(made.data) + len(made.apart) == N
    assert not set(made.subset.rows["sample"]) & set(made.apart.index)


def test_a_run_tells_its_subset_in_its_description_and_its_checkpoint(toy):
    made = train(toy / "runs", toy_run("high"))
    assert made.folder.path.name == "sat-high-unperturbed-toy-npz-small-resnet+width=4-1".replace("toy-npz", "toy.npz")
    about = json.loads((made.folder.path / "run.json").read_text())
    told = {"subset": "high", "subset_mode": "unperturbed", "subset_model": "nets.py:by_hand", "subset_size": 3}
    assert {name: about[name] for name in told} == told
    assert len(about["subset_model_sha"]) == 64
    metadata = files.metadata(made.folder.path / "last.safetensors")
    assert {name: metadata[name] for name in told} == told
    assert list(pd.read_parquet(made.folder.path / "subset.parquet")["sample"]) == list(HIGH)
