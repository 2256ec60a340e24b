"""The identities of the papers hold to rounding, whatever the size of the logits and the number of classes."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from energylens import energy

CASES = [
    (dtype, classes, size)
    for dtype in (torch.float32, torch.float64)
    for classes in (2, 3, 10, 100, 1000)
    for size in (1e-3, 1, 30, 1e3, 1e4)
]
BETA = 6


@dataclass(frozen=True)
class Batch:
    natural: torch.Tensor
    adversarial: torch.Tensor
    y: torch.Tensor
    kl: torch.Tensor
    """KL(p(. | x) || p(. | x*)) by numpy in extended precision"""
    ce: torch.Tensor
    tolerance: float


def _log_softmax(logits: torch.Tensor) -> np.ndarray:
    exact = logits.numpy().astype(np.longdouble)
    exact = exact - exact.max(1, keepdims=True)
    return exact - np.log(np.exp(exact).sum(1, keepdims=True))


@pytest.fixture(params=CASES, ids=lambda case: f"{str(case[0])[6:]}-K{case[1]}-{case[2]:g}")
def batch(request) -> Batch:
    """Logits of that size at natural and adversarial images, and what is known of them.

    Rounding is allowed 4 x machine epsilon x the largest number that is rounded: 1, a logit, or an
    energy (which reaches log K where all logits are small).
    """
    dtype, classes, size = request.param
    rng = torch.Generator().manual_seed(classes)
    natural, adversarial = (torch.randn(64, classes, generator=rng, dtype=torch.float64) for _ in range(2))
    natural, adversarial = (logits / logits.abs().max() * size for logits in (natural, adversarial))
    adversarial[:32] = natural[:32] + adversarial[:32] / size  # small drifts of large logits too
    natural, adversarial = natural.to(dtype), adversarial.to(dtype)
    y = torch.randint(classes, (64,), generator=rng)
    log_p, log_q = _log_softmax(natural), _log_softmax(adversarial)
    kl = torch.from_numpy((np.exp(log_p) * (log_p - log_q)).sum(1).astype(float))
    ce = torch.from_numpy(-log_p[np.arange(64), y].astype(float))
    largest = max(1.0, *(float(logits.abs().max()) for logits in (natural, adversarial)), math.log(classes))
    return Batch(natural, adversarial, y, kl, ce, 4 * torch.finfo(dtype).eps * largest)


def assert_equal(value: torch.Tensor, known: torch.Tensor, tolerance: float) -> None:
    torch.testing.assert_close(value.double(), known.double(), rtol=0, atol=tolerance)


def test_cross_entropy_is_joint_minus_marginal(batch):
    """Equation 3."""
    difference = energy.joint(batch.natural, batch.y) - energy.marginal(batch.natural)
    assert_equal(energy.cross_entropy(batch.natural, batch.y), difference, batch.tolerance)
    assert_equal(difference, batch.ce, batch.tolerance)


def test_kl_is_the_sum_of_its_two_terms(batch):
    """Equation 5."""
    conditional, marginal = energy.kl_split(batch.natural, batch.adversarial)
    assert_equal(conditional + marginal, batch.kl, batch.tolerance)
    assert torch.equal(marginal, energy.marginal(batch.natural) - energy.marginal(batch.adversarial))


def test_trades_is_its_energies(batch):
    """Equation 6: E(x,y) + (beta-1) E(x) - beta {E(x*) + E_{p(.|x)}[E(x,k) - E(x*,k)]}."""
    drift = -energy.kl_split(batch.natural, batch.adversarial)[0]
    from_energies = (
        energy.joint(batch.natural, batch.y)
        + (BETA - 1) * energy.marginal(batch.natural)
        - BETA * (energy.marginal(batch.adversarial) + drift)
    )
    assert_equal(from_energies, batch.ce + BETA * batch.kl, (1 + BETA) * batch.tolerance)


def test_uniform_logits_have_known_energies():
    logits = torch.full((1, 10), 3.0, dtype=torch.float64)
    y = torch.tensor([4])
    assert energy.marginal(logits).item() == pytest.approx(-3 - math.log(10))
    assert energy.joint(logits, y).item() == -3
    assert energy.entropy(logits).item() == pytest.approx(math.log(10))
    assert energy.cross_entropy(logits, y).item() == pytest.approx(math.log(10))
    assert energy.prob_margin(logits, y).item() == 0
    assert energy.logit_margin(logits, y).item() == 0


def test_margins_are_positive_where_the_class_is_predicted():
    logits = torch.tensor([[math.log(0.7), math.log(0.2), math.log(0.1)]] * 3, dtype=torch.float64)
    y = torch.arange(3)
    torch.testing.assert_close(energy.prob_margin(logits, y), torch.tensor([0.5, -0.5, -0.6], dtype=torch.float64))
    expected = torch.tensor([math.log(3.5), -math.log(3.5), -math.log(7)], dtype=torch.float64)
    torch.testing.assert_close(energy.logit_margin(logits, y), expected)


def test_a_constant_added_to_all_logits_lowers_both_energies_by_it():
    logits = torch.tensor([[1.0, 2.0, 3.0]])
    y = torch.tensor([1])
    assert energy.marginal(logits + 5).item() == pytest.approx(energy.marginal(logits).item() - 5)
    assert energy.joint(logits + 5, y).item() == energy.joint(logits, y).item() - 5


def test_needs_a_class_axis():
    with pytest.raises(IndexError):
        energy.marginal(torch.zeros(3))
