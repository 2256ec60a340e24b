"""Tables of steps: every step of an attack, and forces whose directions are known."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from probing import recipe, run

from energylens import data, energy, measure, models, table
from energylens.attacks import APGD, PGD, Square
from energylens.errors import UserError
from energylens.options import Place
from energylens.recipe import Recipe


def steps_of(chosen: Recipe, tmp_path) -> pd.DataFrame:
    measure.run(chosen, "test", Place(tables=tmp_path / "tables"))
    return pd.read_parquet(tmp_path / "tables" / "test" / "steps")


def test_every_step_of_pgd_is_a_row_with_its_energies_and_loss(toy, tmp_path):
    found = steps_of(dataclasses.replace(toy, record="steps"), tmp_path)
    attacked = found[found["attack"] != "natural"]
    assert attacked.groupby("step").size().to_dict() == {0: 6, 1: 6, 2: 6, 3: 6}
    net, (x, y, index) = models.load(toy.models[0]), data.load(toy.data, samples=6).batch(0, 6)
    for steps in (1, 2, 3):
        x_adv = PGD(eps=0.1, step_size=0.025, steps=steps)(net, x, y, index=index)
        logits = net(x_adv).detach()
        rows = attacked[attacked["step"] == steps].sort_values("sample")
        np.testing.assert_allclose(rows["energy"], energy.marginal(logits), atol=1e-5)
        np.testing.assert_allclose(rows["loss"], energy.cross_entropy(logits, y), atol=1e-5)
        np.testing.assert_allclose(rows["linf"], (x_adv - x).abs().flatten(1).amax(1), atol=1e-6)
    natural = found[found["attack"] == "natural"]
    assert (natural["step"] == 0).all()
    assert natural["loss"].isna().all()
    assert attacked["cos_joint"].isna().all()


def test_steps_are_measured_once_and_read_by_image(toy, tmp_path):
    chosen = dataclasses.replace(toy, record="steps")
    steps_of(chosen, tmp_path)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "tables").rglob("*.parquet")}
    steps_of(chosen, tmp_path)
    assert files == {path: path.stat().st_mtime_ns for path in (tmp_path / "tables").rglob("*.parquet")}
    first = table.open(tmp_path / "tables" / "test" / "steps", ["toy"], ["pgd-eps0.1-steps3"], samples=2)
    assert sorted(first["sample"].unique()) == [0, 1]
    assert len(first) == 2 + 2 * 4


LINEAR = """
import torch
from torch import nn

class Net(nn.Module):
    '''logits (a.x, -a.x, 5): E(x) and E(x, y) pull along +-a.'''
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(16))

    def forward(self, x):
        score = (x - 0.5).flatten(1) @ self.weight
        return torch.stack([score, -score, torch.full_like(score, -50.0)], 1)

def net():
    return Net()
"""


def test_forces_of_a_model_whose_gradients_are_all_parallel(tmp_path):
    """With w = (1, ..., 1) PGD's sign steps are parallel to both gradients: cosines are 1 or -1.

    E(x, 0) = -w.x, so for class 0 +grad E(x, 0) = -w, which is the way PGD goes: cos_joint is 1. While the
    true class leads, E(x) is about E(x, y) and -grad E(x) is +w, against the step: cos_marginal is -1.
    Behind the boundary the other class leads, -grad E(x) = -w: cos_marginal is 1.
    """
    (tmp_path / "linear.py").write_text(LINEAR)
    x = np.full((2, 4, 4, 1), 160, np.uint8)  # class 0 by a score of 16 * 0.127
    np.savez(tmp_path / "grey.npz", images=x, labels=np.zeros(2, int))
    attack = PGD(eps=0.3, step_size=0.05, steps=6, start="clean")
    chosen = Recipe((f"{tmp_path}/linear.py:net",), str(tmp_path / "grey.npz"), (attack,), record="forces")
    found = steps_of(chosen, tmp_path)
    rows = found[(found["attack"] != "natural") & (found["sample"] == 0)].sort_values("step")
    np.testing.assert_allclose(rows["cos_joint"][:6], 1, atol=1e-5)
    np.testing.assert_allclose(rows["cos_marginal"][:6], [-1, -1, -1, 1, 1, 1], atol=1e-5)
    np.testing.assert_allclose(rows["update_norm"][:6], 0.05 * 4, atol=1e-5)
    assert rows["cos_joint"].isna().tolist() == 6 * [False] + [True]


def test_other_attacks_are_watched_call_by_call(toy_net, npz, tmp_path):
    chosen = recipe(toy_net(), npz, attacks=(Square(eps=0.1, queries=5, batch=10),), record="steps")
    found = steps_of(chosen, tmp_path)
    rows = found[found["attack"] != "natural"]
    assert rows["step"].max() >= 1
    assert rows["loss"].isna().all()
    assert rows.groupby("sample")["step"].is_monotonic_increasing.all()
    assert (rows["linf"] <= 0.1 + 1e-6).all()


def test_forces_of_an_attack_without_steps_up_a_loss_are_refused(toy_net, npz, tmp_path):
    chosen = recipe(toy_net(), npz, attacks=(APGD(eps=0.1, steps=2),), record="forces")
    with pytest.raises(UserError, match="takes no steps up a loss, so it has no forces; take --record steps"):
        run(chosen, tmp_path)
    assert not list((tmp_path / "tables").rglob("*.parquet"))


def test_a_bf16_search_records_float32_logits_at_every_step(tmp_path):
    chosen = Recipe(
        ("demo:sat",), "digits:test", (PGD(eps=0.2, steps=2),), samples=3, record="steps", precision="bf16", logits=True
    )
    found = steps_of(chosen, tmp_path)
    assert set(found["precision"]) == {"fp32", "bf16"}
    net, seen = models.load("demo:sat"), {}
    from energylens.attacks.precision import Half

    x, y, index = data.load("digits:test", samples=3).batch(0, 3)
    PGD(eps=0.2, steps=2)(Half(net), x, y, index=index, observe=lambda k, x_adv, _: seen.update({k: x_adv.clone()}))
    rows = found[(found["attack"] != "natural") & (found["step"] == 2)].sort_values("sample")
    with torch.no_grad():
        np.testing.assert_allclose(np.stack(rows["logits"].to_list()), net(seen[2]), atol=1e-5)
