"""Energies while training, measured: numbers known in closed form, and a network that is none the worse for it."""

import random

import numpy as np
import pandas as pd
import pytest
import torch
from telemetry import EPS, Sloped, grey, measured, sets
from torch import nn

from energylens import energy, epochs
from energylens.attacks import PGD
from energylens.errors import UserError
from energylens.models import architectures
from energylens.schema import EPOCHS
from energylens.train.epochs import record


@pytest.fixture
def run(tmp_path):
    return tmp_path / "runs" / "sat-toy-1"


def test_energies_of_a_linear_network_are_those_of_the_worst_point(run):
    """Logits (s, -s), s = w.x - b: PGD with the true class 0 ends at s - eps |w|_1, for E(x, 0) = -s rises there."""
    net = Sloped()
    record(net, run, "r", 3, sets())
    rows = epochs.pairs(epochs.open(run, ["pgd-eps0.1"], ["train"])).sort_values("sample")
    x, _, _ = grey().batch(0, 6)
    s = net.score(x).detach().double().numpy()
    worst = s - EPS * float(net.weight.detach().abs().sum())
    np.testing.assert_allclose(rows["joint_energy_natural"], -s, rtol=1e-5)
    np.testing.assert_allclose(rows["joint_energy"], -worst, rtol=1e-5)
    np.testing.assert_allclose(rows["delta_joint_energy"], worst - s, rtol=1e-5)
    np.testing.assert_allclose(rows["delta_energy"], np.logaddexp(worst, -worst) - np.logaddexp(s, -s), atol=1e-5)
    assert (rows["delta_joint_energy"] < 0).all()


def test_the_two_terms_add_up_to_the_divergence_and_the_second_is_delta_energy(run):
    net = measured(run, keep_logits=True)
    table = epochs.open(run)
    rows = epochs.pairs(table).set_index(["split", "sample"])
    natural = table[table["attack"] == "natural"].set_index(["split", "sample"])
    assert natural["kl_conditional"].isna().all()
    assert natural["kl_marginal"].isna().all()
    p, q = (torch.tensor(np.stack(list(part["logits"]))).double().log_softmax(1) for part in (
        natural.loc[rows.index], rows
    ))  # fmt: skip
    divergence = (p.exp() * (p - q)).sum(1)
    np.testing.assert_allclose(rows["kl_conditional"].astype(float) + rows["kl_marginal"], divergence, atol=1e-5)
    np.testing.assert_allclose(rows["kl_marginal"], rows["delta_energy"], atol=1e-5)
    x, _, index = grey().batch(0, 6)
    with torch.no_grad():
        exact = energy.marginal(net.eval()(x).double())
    train = natural.loc["train"].loc[index.numpy()]
    np.testing.assert_allclose(train["energy"], exact, rtol=1e-5)


def test_files_have_the_columns_of_a_table_and_pandas_reads_them(run):
    measured(run, epoch=12)
    found = pd.read_parquet(run / "epochs")
    assert set(found) == {*EPOCHS.names, "model", "attack"}
    names = sorted(str(path.relative_to(run)) for path in run.rglob("*.parquet"))
    assert names == [
        "epochs/model=r/attack=natural/test-0012.parquet",
        "epochs/model=r/attack=natural/train-0012.parquet",
        "epochs/model=r/attack=pgd-eps0.1-steps2/train-0012.parquet",
        "epochs/model=r/attack=pgd-eps0.1/test-0012.parquet",
        "epochs/model=r/attack=pgd-eps0.1/train-0012.parquet",
    ]
    attacked = found[found["attack"] == "pgd-eps0.1"]
    for column, value in {"epoch": 12, "eps": EPS, "norm": "linf", "seed": 0, "model_ref": "r"}.items():
        assert (attacked[column] == value).all()
    assert found.groupby("attack", observed=True)["key"].nunique().to_dict() == {
        "natural": 2, "pgd-eps0.1": 2, "pgd-eps0.1-steps2": 1
    }  # fmt: skip


def test_a_network_in_training_is_left_as_it_was(run):
    """BatchNorm is the trap: the choice of a memory layout calls the network as well."""
    net = architectures.build("small-resnet:depth=6").train()
    frozen_part = next(net.parameters()).requires_grad_(False)
    nn.functional.cross_entropy(net(torch.rand(8, 1, 16, 16)), torch.arange(8)).backward()
    modes = [module.training for module in net.modules()]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    gradients = [None if p.grad is None else p.grad.clone() for p in net.parameters()]
    states = torch.get_rng_state(), str(np.random.get_state()), random.getstate()
    record(net, run, "r", 0, [("train", grey(side=16), (PGD(eps=EPS, steps=1),))])
    assert [module.training for module in net.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not frozen_part.requires_grad
    for parameter, gradient in zip(net.parameters(), gradients, strict=True):
        assert (parameter.grad is None) == (gradient is None)
        assert gradient is None or torch.equal(parameter.grad, gradient)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (str(np.random.get_state()), random.getstate()) == states[1:]


def test_a_network_that_draws_numbers_moves_no_stream_of_the_training(run):
    class Noisy(Sloped):
        def forward(self, x):
            return super().forward(x) + torch.rand(1)

    before = torch.get_rng_state()
    record(Noisy(), run, "r", 0, sets())
    assert torch.equal(torch.get_rng_state(), before)


def test_an_autocast_of_the_training_does_not_reach_the_numbers(run, tmp_path):
    measured(tmp_path / "plain")
    with torch.autocast("cpu", torch.bfloat16):
        measured(run)
    plain, inside = epochs.open(tmp_path / "plain"), epochs.open(run)
    np.testing.assert_array_equal(plain["energy"], inside["energy"])


def test_a_batch_that_does_not_fit_is_halved(run):
    class Small(Sloped):
        def forward(self, x):
            if len(x) > 3:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
            return super().forward(x)

    record(Small(), run, "r", 0, sets())
    (about, *_) = epochs.open(run, splits=["train"]).attrs["provenance"]
    assert about["batch"] == 2
    assert about["rows"] == 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": -1}, "epoch -1 cannot be"),
        ({"sets": [*sets(), *sets()]}, "two sets of images are called 'train'; give each a name of its own"),
        ({"sets": [("a/b", grey(), ())]}, "'a/b' cannot name a table"),
        ({"sets": [("train", grey(), (PGD(), PGD()))]}, "attack pgd stands twice for the images 'train'"),
    ],
)
def test_mistakes_are_told_before_any_work(run, changes, message):
    asked = {"epoch": 0, "sets": sets()} | changes
    with pytest.raises(UserError, match=message):
        record(Sloped(), run, "r", **asked)
    assert not run.exists()
