"""Chains with known paths: on quadratic energies, on linear networks, and where nothing but noise moves them."""

import math

import numpy as np
import pytest
import torch
from bowls import CURVATURE, MEANS, Counted, bowls, distances, flat, recurrence, states
from linear import CLASSES, SHAPE, Linear, images
from scipy.linalg import solve_discrete_lyapunov

from energylens import keyed
from energylens.generate.sampler import Sampler


@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_without_noise_the_path_is_the_recurrences(momentum):
    sampler = Sampler(step_size=0.05, steps=40, momentum=momentum, noise=0)
    y = torch.tensor([0, 1, 2, 2])
    offset = torch.rand(4, 1, 4, 4, generator=torch.Generator().manual_seed(0)) * 0.6 - 0.3
    center = MEANS[y][:, None, None, None]
    seen = states(sampler, bowls, center + offset, y)
    assert list(seen) == list(range(41))
    for step, factor in enumerate(distances(sampler, 40)):
        x, logits = seen[step]
        np.testing.assert_allclose(x, center + factor * offset, atol=1e-6)
        assert torch.equal(logits, bowls(x))
        assert not logits.requires_grad
        assert not x.requires_grad


@pytest.mark.parametrize(("momentum", "pull"), [(0.0, 0.1), (0.8, 0.1), (0.5, 0.02)])
def test_with_noise_the_spread_is_the_stationary_one(momentum, pull):
    """6,144 pixels: their variance is known to 1.8 %. Noise that v kept would make it at least 1.5 times as large."""
    sampler = Sampler(step_size=2 * pull / CURVATURE, steps=400, momentum=momentum, noise=0.01)
    x = torch.full((8, 3, 16, 16), 0.5)
    end = sampler(bowls, x, torch.zeros(8, dtype=torch.long), index=list(range(8)), seed=1)
    matrix = recurrence(sampler)
    wanted = solve_discrete_lyapunov(matrix, np.diag([sampler.noise**2, 0]))[0, 0]
    if not momentum:
        assert wanted == pytest.approx(sampler.noise**2 / (1 - (1 - pull) ** 2))  # AR(1)
    else:
        kept = solve_discrete_lyapunov(matrix, np.full((2, 2), sampler.noise**2))[0, 0]
        assert kept > 1.5 * wanted
    assert float((end - 0.5).square().mean()) == pytest.approx(wanted, rel=0.07)
    assert abs(float(end.mean()) - 0.5) < 4 * math.sqrt(wanted / end.numel())


def test_momentum_gets_there_in_fewer_steps():
    """Steps until 1 % of the distance is left; without momentum log(0.01) / log(1 - pull)."""
    found = []
    for momentum in (0.0, 0.8):
        sampler = Sampler(step_size=0.01, steps=250, momentum=momentum, noise=0)
        seen = states(sampler, bowls, torch.full((1, 1, 2, 2), 0.9), torch.tensor([0]))
        left = [float((x - 0.5).abs().max()) / 0.4 for x, _ in seen.values()]
        found.append(next(step for step, part in enumerate(left) if part < 0.01))
        assert found[-1] == int(np.argmax(np.abs(distances(sampler, 250)) < 0.01))
    assert found[0] == math.ceil(math.log(0.01) / math.log(0.98))
    assert found[1] < found[0] / 3


def test_noise_is_the_chains_own_and_is_not_kept_in_v():
    x = torch.full((3, 1, 2, 2), 0.5)
    index, sampler = [7, 0, 300], Sampler(steps=3, noise=0.01)
    end = sampler(flat, x, torch.zeros(3, dtype=torch.long), index=index, seed=5)
    for place, i in enumerate(index):
        rng = keyed.rng(5, keyed.STEP, i)
        drawn = sum(rng.standard_normal((1, 2, 2), dtype=np.float32) for _ in range(3))
        np.testing.assert_allclose(end[place], 0.5 + 0.01 * drawn, atol=1e-7)


def test_a_chain_depends_neither_on_its_place_nor_on_its_batch():
    net, x, y = Linear(), images(6), torch.arange(6) % CLASSES
    sampler, order = Sampler(steps=5, noise=0.01, step_size=0.001), torch.tensor([3, 0, 5, 2, 4, 1])
    for model, exact in ((net, {}), (lambda x: 0 * net(x), {"rtol": 0, "atol": 0})):
        whole = sampler(model, x, y, index=list(range(6)), seed=2)
        mixed = sampler(model, x[order], y[order], index=order.tolist(), seed=2)
        parts = [sampler(model, x[s], y[s], index=list(range(6))[s], seed=2) for s in (slice(0, 2), slice(2, 6))]
        torch.testing.assert_close(mixed, whole[order], **exact)
        torch.testing.assert_close(torch.cat(parts), whole, **exact)
        assert not torch.equal(whole, sampler(model, x, y, index=list(range(6)), seed=3))


def test_gradients_of_the_losses_are_those_by_hand():
    net, x, y = Linear(), images(5), torch.tensor([0, 1, 2, 3, 4])
    reference = torch.tensor([1.0, -2.0, 0.0, 3.0, -1.0])
    w, logits = net.weight.detach(), net(x).detach()
    mean = logits.softmax(1) @ w
    gap = -logits.gather(1, y[:, None]) - reference[y][:, None]
    by_hand = {"joint": -w[y], "marginal": -mean, "ce": mean - w[y], "reference": -2 * gap * w[y]}
    for loss, gradient in by_hand.items():
        sampler = Sampler(steps=1, step_size=0.01, noise=0, loss=loss)
        moved = sampler(net, x, y, index=list(range(5)), seed=0, reference=reference)
        torch.testing.assert_close((moved - x).flatten(1), -0.005 * gradient, rtol=1e-4, atol=1e-6)


def test_the_border_holds_and_inputs_stay():
    net, x, y = Linear(), images(4), torch.arange(4)
    before = x.clone()
    end = Sampler(steps=3, step_size=1e3, noise=0)(net, x, y, index=[0, 1, 2, 3], seed=0)
    assert torch.equal(end, (net.weight.detach()[y] > 0).float().reshape(end.shape))
    assert torch.equal(x, before)
    assert not x.requires_grad


def test_a_chain_that_reached_its_class_stands_still_and_costs_nothing():
    """E(x, y) = 2 |x - m|^2 falls to within 0.1 nats of 0 first for the chains that start near."""
    sampler = Sampler(step_size=0.05, steps=60, momentum=0, noise=0, stop=0.01)
    start = torch.tensor([0.3, 0.1, 0.2])
    x = (0.5 + start[:, None, None, None]).expand(3, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    energies = CURVATURE / 2 * 48 * np.outer(start.double() ** 2, distances(sampler, 60) ** 2)
    halts = (energies < 0.1).argmax(1)
    assert len(set(halts)) == 3
    net = Counted()
    seen = states(sampler, net, x, torch.zeros(3, dtype=torch.long), reference=torch.zeros(3))
    assert list(seen) == list(range(max(halts) + 1))
    assert net.sizes == [sum(step <= halts) for step in range(max(halts) + 1)]
    for step, (now, logits) in seen.items():
        left = start.numpy() * distances(sampler, 60)[np.minimum(step, halts)]
        np.testing.assert_allclose(now[:, 0, 0, 0], 0.5 + left, atol=1e-6)
        torch.testing.assert_close(logits, bowls(now))
    assert net.formats == {True}
    assert now.is_contiguous(memory_format=torch.channels_last)
    unseen = sampler(net, x, torch.zeros(3, dtype=torch.long), index=[0, 1, 2], seed=0, reference=torch.zeros(3))
    assert torch.equal(unseen, now)


def test_chains_that_never_stop_go_on_beside_one_that_did():
    sampler = Sampler(step_size=0.05, steps=4, momentum=0, noise=0, stop=1e-6)
    x, y = torch.stack([torch.full((1, 2, 2), 0.5), torch.full((1, 2, 2), 0.9)]), torch.zeros(2, dtype=torch.long)
    net = Counted()
    end = sampler(net, x, y, index=[0, 1], seed=0, reference=torch.zeros(3))
    assert net.sizes == [2, 1, 1, 1]  # and no last pass, since nobody looks
    np.testing.assert_allclose(end[:, 0, 0, 0], [0.5, 0.5 + 0.4 * 0.9**4], atol=1e-6)


def test_noise_is_drawn_anew_until_the_loss_does_not_rise():
    """Nearly without a gradient: a draw is good where w_y . noise >= 0; the third is taken unseen."""
    net, x = Linear(), images(16)
    y, sampler = torch.arange(16) % CLASSES, Sampler(steps=2, step_size=1e-12, noise=1e-3, tries=3)
    end, counts = sampler(net, x, y, index=list(range(16)), seed=0), set()
    for i in range(16):
        rng, w = keyed.rng(0, keyed.STEP, i), net.weight[y[i]].detach().reshape(SHAPE).numpy()
        draws = [rng.standard_normal(SHAPE, dtype=np.float32) for _ in range(6)]
        good = [(w * drawn).sum() >= 0 for drawn in draws]
        first = next(k for k in range(3) if good[k] or k == 2)
        second = next(k for k in range(first + 1, first + 4) if good[k] or k == first + 3)
        np.testing.assert_allclose(end[i], x[i].numpy() + 1e-3 * (draws[first] + draws[second]), atol=1e-6)
        counts |= {first + 1, second - first}
    assert counts == {1, 2, 3}
