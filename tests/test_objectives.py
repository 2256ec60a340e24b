"""Traps of the public trainers, each by name, and what a user can change of an objective."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_training import BATCH, small_batch, small_logits, small_net
from torch import nn

from energylens import energy
from energylens.errors import UserError
from energylens.train.objectives import OBJECTIVES, Inner, Objective, Term, objective
from energylens.train.terms import boosted_ce, ce_adv, der, kl
from energylens.train.weights import mail, ones, unsure, weat

PAGE = Path(__file__).parent.parent / "docs" / "objectives.md"
NO_CLASS = torch.zeros(1, dtype=torch.long)


def test_weats_weight_at_known_energies():
    """From the formula: 1.4427 at E = 0, 0.7615 at 1, 0.1 at 10."""
    for size, known in ((0.0, 1.4427), (1.0, 0.7615), (10.0, 0.1)):
        logits = torch.tensor([[size, -200.0]])
        assert energy.marginal(logits).item() == pytest.approx(-size)
        assert weat(logits, logits, NO_CLASS).item() == pytest.approx(known, rel=1e-3)


def test_trap_weats_weight_stays_finite_where_the_released_exp_overflows():
    logits = torch.tensor([[102.0, -200.0]])  # float32: exp(102) is inf
    assert 1 / torch.log(1 + torch.exp(energy.marginal(logits).abs())) == 0
    assert weat(logits, logits, NO_CLASS).item() == pytest.approx(1 / 102, rel=1e-6)


@pytest.mark.parametrize("weight", [weat, mail, ones])
def test_trap_weats_and_mails_weights_are_detached(weight):
    assert not weight(*small_logits()).requires_grad


def test_trap_marts_weight_lets_gradients_through():
    """d(1 - p_y) / d f_y = -p_y (1 - p_y) at the natural image."""
    clean, adv, y = small_logits()
    (gradient,) = torch.autograd.grad(unsure(clean, adv, y).sum(), clean)
    p = clean.softmax(1)[range(BATCH), y]
    torch.testing.assert_close(gradient[range(BATCH), y], -p * (1 - p))


def test_mails_weight_at_known_margins():
    """3 sigmoid(2 PM): sure and right 0.358, on the boundary 1.5, sure and wrong 2.642; natural logits do not count."""
    adv = torch.tensor([[50.0, 0.0, 0.0], [1.0, 1.0, -50.0], [0.0, 50.0, 0.0]])
    weights = mail(torch.randn(3, 3), adv, torch.zeros(3, dtype=torch.long))
    torch.testing.assert_close(weights, torch.tensor([0.3576, 1.5, 2.6424]), atol=1e-4, rtol=0)


def test_trap_mails_margin_is_not_bound_to_ten_classes():
    """Of 100 classes: p_y = 0.2 in class 77, 0.5 in class 99; PM = 0.3."""
    p = torch.full((1, 100), 0.3 / 98)
    p[0, 77], p[0, 99] = 0.2, 0.5
    weight = mail(p.log(), p.log(), torch.tensor([77]))
    assert weight.item() == pytest.approx(3 * torch.tensor(0.6).sigmoid().item())


def test_trap_kl_stays_finite_with_its_gradient_where_softmax_underflows():
    """Both networks are sure, of two classes: KL = 300 nats, while the plain formula is NaN."""
    clean, adv = torch.tensor([[0.0, 300.0]]).requires_grad_(), torch.tensor([[300.0, 0.0]]).requires_grad_()
    p, q = clean.softmax(1), adv.softmax(1)
    assert (p * torch.log(p / q)).sum().isnan()
    value = kl(clean, adv, NO_CLASS)
    assert value.item() == 300
    for_clean, for_adv = torch.autograd.grad(value.sum(), (clean, adv))
    assert for_clean.isfinite().all()
    torch.testing.assert_close(for_adv, torch.tensor([[1.0, -1.0]]))  # q - p


@pytest.mark.parametrize("loss", [kl, der])
def test_trap_kl_and_der_flow_through_both_sides(loss):
    clean, adv, y = small_logits()
    assert all((gradient != 0).any() for gradient in torch.autograd.grad(loss(clean, adv, y).sum(), (clean, adv)))


def test_boosted_ce_at_a_known_point():
    """p = (0.7, 0.2, 0.1), class 1: CE 1.6094, and -log(1.0001 - 0.7) = 1.2036."""
    adv = torch.tensor([[0.7, 0.2, 0.1]], dtype=torch.float64).log()
    assert boosted_ce(adv, adv, torch.tensor([1])).item() == pytest.approx(1.60944 + 1.20364, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "passes"),
    [("standard", 1), ("fgsm-at", 1), ("sat", 1), ("mail-at", 1), ("trades", 2), ("mart", 2), ("weat-adv", 2)],
)
def test_trap_batchnorm_counts_each_kind_of_images_once_and_the_attack_not_at_all(name, passes):
    net, (x, _, y), row = small_net(), small_batch(), OBJECTIVES[name]
    x_adv = row.inner.attack(0.1, 3, None, 0)(net, x, y) if row.inner else x
    torch.testing.assert_close(net.state_dict(), small_net().state_dict(), rtol=0, atol=0)
    row.logits(net, x, x_adv)
    assert net[1].num_batches_tracked == passes


def test_trap_natural_and_adversarial_images_share_no_batch_statistics():
    """Each kind is normalised by its own mean: logits of natural images do not depend on the adversarial ones."""
    x, x_adv, _ = small_batch()
    clean, _ = OBJECTIVES["trades"].logits(small_net(), x, x_adv)
    assert torch.equal(clean, OBJECTIVES["trades"].logits(small_net(), x, 1 - x_adv)[0])


@pytest.mark.parametrize("weight", [weat, mail, unsure])
def test_mean1_makes_the_weights_mean_one(weight):
    row = Objective(None, (Term(ones, 3, weight),))  # a loss of 1 for every image
    batch = small_logits()
    assert row.loss(*batch, normalize="mean1").item() == pytest.approx(3, abs=1e-12)
    assert row.loss(*batch).item() == pytest.approx(3 * weight(*batch).mean().item(), abs=1e-12)


def test_in_the_burn_in_mail_is_sat_and_trades_exactly():
    assert OBJECTIVES["mail-trades"].plain == objective("trades", beta=5)
    assert OBJECTIVES["mail-at"].plain == replace(OBJECTIVES["sat"], inner=Inner("ce", "tiny"))
    batch = small_logits()
    for mine, plain in (("mail-at", "sat"), ("mail-trades", "trades")):
        burning = OBJECTIVES[mine].plain.loss(*batch)
        assert torch.equal(burning, objective(plain, 5 if plain == "trades" else None).loss(*batch))
    assert {name: row.burn_in for name, row in OBJECTIVES.items() if row.burn_in} == dict.fromkeys(
        ["mail-at", "mail-trades", "tab1c-6"], 0.75
    )


def test_parts_are_named_and_add_up_to_the_loss():
    batch = small_logits()
    parts = objective("weat-adv", beta=7, der=0.5).parts(*batch)
    assert list(parts) == ["ce_adv", "kl", "der"]
    assert sum(parts.values()) == objective("weat-adv", beta=7, der=0.5).loss(*batch)
    twice = Objective(None, (Term(ce_adv), Term(ce_adv, 2))).parts(*batch)
    assert twice["ce_adv"].item() == pytest.approx(3 * OBJECTIVES["sat"].loss(*batch).item())


def test_the_mean_can_be_that_of_several_processes():
    clean, adv, y = small_logits()
    halves = [
        OBJECTIVES["mart"].loss(clean[rows], adv[rows], y[rows], mean=lambda values: values.sum() / BATCH)
        for rows in (slice(0, 5), slice(5, BATCH))
    ]
    torch.testing.assert_close(sum(halves), OBJECTIVES["mart"].loss(clean, adv, y))


def test_der_brings_the_natural_images_in():
    assert not OBJECTIVES["sat"].clean
    assert objective("sat", der=1).clean
    assert objective("sat", der=0) == OBJECTIVES["sat"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "weat"}, "unknown objective 'weat'; did you mean 'weat-"),
        ({"name": "sat", "beta": 2}, "objective sat has no KL term for beta=2; leave beta out, or take one of trades,"),
        ({"name": "mail-at", "beta": 0}, "mart, mail-trades, weat-nat, weat-adv, tab1c-1, tab1c-2"),
        ({"name": "trades", "beta": -1}, "beta=-1: beta must be a finite number, at least 0"),
        ({"name": "trades", "beta": True}, "beta=True: beta must be a finite number, at least 0"),
        ({"name": "trades", "beta": float("inf")}, "beta=inf: beta must be a finite number, at least 0"),
        ({"name": "trades", "der": float("nan")}, "der=nan: der must be a finite number, at least 0"),
        ({"name": "standard", "der": 1}, "objective standard has no attack for der=1; leave der out, or take sat"),
    ],
)
def test_a_users_mistakes_are_told_in_one_line(settings, message):
    with pytest.raises(UserError) as told:
        objective(**settings)
    assert message in str(told.value)
    assert "\n" not in str(told.value)


def test_mistakes_in_a_row_of_ones_own_are_told_when_it_is_made():
    with pytest.raises(UserError, match="unknown loss of PGD 'dlr'; available: ce, kl"):
        Inner("dlr", "tiny")
    with pytest.raises(UserError, match="KL is flat at the clean input"):
        Inner("kl", "clean")
    with pytest.raises(UserError, match=r"Objective\(burn_in=75\): burn_in is a share of the epochs, from 0 to 1"):
        Objective(None, (Term(ce_adv),), burn_in=75)
    with pytest.raises(UserError, match="unknown normalize 'mean'; did you mean 'mean1'"):
        OBJECTIVES["sat"].loss(*small_logits(), normalize="mean")


def test_a_rows_own_steps_come_before_the_recipes():
    fgsm, sat = (OBJECTIVES[name].inner.attack(0.1, 10, 0.02, 3) for name in ("fgsm-at", "sat"))
    assert (fgsm.steps, fgsm.step, fgsm.seed) == (1, 0.1, 3)
    assert (sat.steps, sat.step, sat.seed) == (10, 0.02, 3)
    assert Inner("ce", "uniform", step=0.5).attack(0.1, 10, None, 0).step == 0.05
    assert OBJECTIVES["sat"].inner.attack(0.1, 10, None, 0).step == 0.025


def test_joint_ascent_climbs_e_of_x_and_y_as_far_as_a_linear_network_lets_it():
    net, (x, _, y) = nn.Sequential(nn.Flatten(), nn.Linear(108, 7, dtype=torch.float64)), small_batch()
    x = 0.5 + 0.1 * x
    x_adv = Inner("joint", "uniform").attack(0.1, 20, 0.025, 0)(net, x, y)
    torch.testing.assert_close((x_adv - x).flatten(1), -0.1 * net[1].weight[y].sign())


def test_the_pages_row_of_ones_own_runs_and_prints_what_the_page_says(monkeypatch, capsys):
    example, output = re.search(r"```python\n(.*?)```\n\n```\n(.*?)```", PAGE.read_text(), re.DOTALL).groups()
    monkeypatch.setattr("energylens.train.objectives.OBJECTIVES", dict(OBJECTIVES))
    exec(compile(example, str(PAGE), "exec"), {})
    told, printed = (re.findall(r"(.+) (\d\.\d+)", text) for text in (output, capsys.readouterr().out))
    assert [name for name, _ in printed] == [name for name, _ in told]
    assert [float(value) for _, value in printed] == pytest.approx([float(value) for _, value in told], abs=0.01)


def test_the_page_has_every_row():
    assert set(OBJECTIVES) == set(
        re.findall(r"`([\w-]+)`", "".join(re.findall(r"^\| (`.*?) \|", PAGE.read_text(), re.M)))
    )
