"""Objectives and inner attacks equal plain transcriptions of what is published, to float64's last digits."""

import pytest
import torch
import transcriptions as published
from small_training import BATCH, small_batch, small_net

from energylens.attacks.geometry import BALLS
from energylens.attacks.starts import STARTS
from energylens.train.objectives import OBJECTIVES, objective

EPS, STEP, SEED = 0.1, 0.03, 5


def value_and_gradients(compute) -> tuple[list[torch.Tensor], torch.nn.Module]:
    net = small_net()
    value = compute(net)
    return [value, *torch.autograd.grad(value, list(net.parameters()))], net


def check_equal(row, formula, **how):
    x, x_adv, y = small_batch()
    ours, net = value_and_gradients(lambda net: row.loss(*row.logits(net, x, x_adv), y, **how))
    theirs, plain_net = value_and_gradients(lambda net: formula(net, x, x_adv, y))
    for our, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(our, their, rtol=0, atol=1e-10)
    torch.testing.assert_close(net.state_dict(), plain_net.state_dict(), rtol=0, atol=1e-12)  # BatchNorm's too


@pytest.mark.parametrize("name", list(published.ROWS))
def test_row_equals_its_published_formula_value_and_parameter_gradients(name):
    check_equal(OBJECTIVES[name], published.ROWS[name])


@pytest.mark.parametrize("name", ["trades", "mart", "mail-trades", "weat-nat", "weat-adv", "tab1c-2", "tab1c-6"])
def test_beta_scales_the_kl_term_as_published(name):
    check_equal(objective(name, beta=2.5), lambda *batch: published.ROWS[name](*batch, beta=2.5))


@pytest.mark.parametrize("name", ["sat", "trades"])
def test_der_adds_the_squared_difference_of_energies(name):
    formula = {"sat": published.sat_with_der, "trades": published.trades_with_der}[name]
    check_equal(objective(name, der=0.7), lambda *batch: formula(*batch, factor=0.7))


def test_mean1_divides_weights_by_their_mean_which_is_detached():
    check_equal(OBJECTIVES["weat-nat"], published.weat_nat_mean1, normalize="mean1")
    check_equal(OBJECTIVES["mart"], published.mart_mean1, normalize="mean1")


def published_climb(net, x, y) -> dict:
    def ce(net, x_adv):
        return published.cross_entropy(net(x_adv), y).mean()

    def kl(net, x_adv):
        return published.divergence(net(x), net(x_adv)).sum()  # the natural logits once more in every step

    return {"ce": ce, "kl": kl, "joint": lambda net, x_adv: -published.of_class(net(x_adv), y).sum()}


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if OBJECTIVES[name].inner])
def test_inner_attack_walks_the_published_path(name):
    """Ten steps from the same noise. Some pixels lie at 0 and 1, so that both clamps count."""
    x, _, y = small_batch()
    x = (1.4 * x - 0.2).clamp(0, 1)
    inner = OBJECTIVES[name].inner
    noise = STARTS[inner.start](x, EPS, BALLS["linf"], SEED, 0, list(range(BATCH)))
    if inner.start == "uniform":
        noise = (x + noise).clamp(0, 1) - x  # as Rice et al. 2020 do; that of TRADES and MART is left as it is
    steps, step = (1, EPS) if name == "fgsm-at" else (10, STEP)
    ours = inner.attack(EPS, 10, STEP, SEED)(small_net(), x, y)
    loss = published_climb(small_net(), x, y)[inner.loss]
    theirs = published.inner_loop(small_net(), x, noise, loss, step, EPS, steps)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    assert (ours - x).abs().max() > 0.99 * EPS


def test_inner_attacks_of_the_rows_are_those_of_the_public_code():
    inner = {name: (row.inner.loss, row.inner.start) for name, row in OBJECTIVES.items() if row.inner}
    assert inner == {
        "fgsm-at": ("ce", "clean"),
        "sat": ("ce", "uniform"),
        "jeat": ("joint", "uniform"),
        **dict.fromkeys(["mart", "mail-at", "tab1c-1", "tab1c-2", "tab1c-3"], ("ce", "tiny")),
        **dict.fromkeys(["trades", "mail-trades", "weat-nat", "weat-adv"], ("kl", "tiny")),
        **dict.fromkeys(["tab1c-4", "tab1c-5", "tab1c-6", "tab1c-7", "tab1c-8"], ("kl", "tiny")),
    }
    assert set(OBJECTIVES) == {*inner, "standard"} == {*published.ROWS, "jeat"}  # JEAT's is in test_jeat.py


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_released_kl_differs_by_its_1e12_alone(dtype):
    """log(q + 1e-12) adds at most sum_k p_k 1e-12 / q_k to log q: 1e-8 where the smallest q is 1e-4."""
    rng = torch.Generator().manual_seed(0)
    clean, adv = (torch.randn(500, 10, generator=rng, dtype=dtype) for _ in range(2))
    q = adv.softmax(1)
    ours = OBJECTIVES["tab1c-4"].terms[1].loss(clean, adv, torch.zeros(500, dtype=torch.long))
    rounding = 1e-5 if dtype == torch.float32 else 1e-14
    bound = (clean.softmax(1) * 1e-12 / q).sum(1) + rounding
    assert ((ours - published.kl_as_coded(clean, adv)).abs() <= bound).all()
    assert q.min() > 1e-4
