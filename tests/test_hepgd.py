"""HE-PGD between PGD and the ascent of E(x, y), and the search that keeps E(x)."""

import dataclasses

import pytest
import torch

from energylens import data, energy, models
from energylens.attacks import FGSM, HEPGD, PGD
from energylens.errors import UserError


@pytest.fixture(scope="module")
def standard():
    x, y, index = data.load("digits:test", samples=40).batch(0, 40)
    return models.load("demo:standard-10"), x, y, index


def test_gamma_0_is_pgd(standard):
    net, x, y, index = standard
    ours = HEPGD(eps=0.1, steps=4, gamma=0)(net, x, y, index=index)
    assert torch.equal(ours, PGD(eps=0.1, step_size=0.1 / 8, steps=4)(net, x, y, index=index))


def test_gamma_1_climbs_the_joint_energy():
    """logits (w.x, w.x + u.x): CE's gradient follows u alone, that of E(x, 0) = -w.x follows -w."""
    w, u = torch.tensor([1.0, -2.0, 3.0]), torch.tensor([-1.0, -1.0, -1.0])
    net = lambda x: torch.stack([x.flatten(1) @ w, x.flatten(1) @ (w + u)], 1)  # noqa: E731
    x, y = torch.full((2, 3, 1, 1), 0.5), torch.zeros(2, dtype=torch.long)
    joint = HEPGD(eps=0.1, steps=20, gamma=1)(net, x, y)
    torch.testing.assert_close((joint - x).flatten(1), -0.1 * w.sign().expand(2, -1))
    cross = HEPGD(eps=0.1, steps=20, gamma=0)(net, x, y)
    torch.testing.assert_close((cross - x).flatten(1), 0.1 * u.sign().expand(2, -1))


def test_searched_gamma_fools_the_network_at_its_natural_energy(standard):
    net, x, y, index = standard
    x_adv = HEPGD(eps=0.2, steps=20, gamma="search")(net, x, y, index=index)
    pgd = PGD(eps=0.2, steps=20)(net, x, y, index=index)
    with torch.no_grad():
        natural, kept, plain = (energy.marginal(net(points)) for points in (x, x_adv, pgd))
        assert (net(x_adv).argmax(1) != y).float().mean() >= 0.95
    assert (kept - natural).abs().median() < 0.1
    assert (kept - natural).abs().median() < 0.1 * (plain - natural).abs().median()


def test_fgsm_is_one_step_of_pgd_from_the_clean_image(standard):
    net, x, y, _ = standard
    whole = PGD(eps=0.1, step_size=0.1, steps=1, start="clean")(net, x, y)
    assert torch.equal(FGSM(eps=0.1)(net, x, y), whole)


@pytest.mark.parametrize("gamma", [-1, "find", float("inf")])
def test_a_gamma_that_is_none_is_named(gamma):
    with pytest.raises(UserError, match=r"HEPGD\(gamma=.*gamma is a number, at least 0, or 'search'"):
        dataclasses.replace(HEPGD(), gamma=gamma)
