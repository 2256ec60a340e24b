"""JEAT's loss against a plain transcription; what it does on the digits, beside SAT."""

import runpy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_training import BATCH, small_batch, small_net

from energylens import data, energy
from energylens.errors import UserError
from energylens.train.loop import train
from energylens.train.negatives import Diverged, Negatives
from energylens.train.objectives import OBJECTIVES, objective
from energylens.train.select import accuracies
from energylens.train.settings import recipe

JEAT = OBJECTIVES["jeat"]


def small_negatives() -> torch.Tensor:
    return torch.rand(BATCH, 3, 6, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


def ours(net, penalty):
    x, x_adv, y = small_batch()
    row = replace(JEAT, negatives=Negatives(penalty=penalty))
    _, logits = row.logits(net, x, torch.cat([x_adv, small_negatives()]))
    return row.loss(logits[:BATCH], logits[:BATCH], y, negative=logits[BATCH:])


def transcription(net, penalty):
    """grad [E(x_adv, y) - E(x_adv)] + grad [E(x_adv) - E(x_K)], the energies small, images normalised together."""
    _, x_adv, y = small_batch()
    logits = net(torch.cat([x_adv, small_negatives()]))
    adv, negative = logits[:BATCH], logits[BATCH:]
    e_adv, e_negative = -torch.log(adv.exp().sum(1)), -torch.log(negative.exp().sum(1))
    e_adv_y = torch.stack([-adv[i, y[i]] for i in range(BATCH)])
    value = (e_adv_y - e_adv).mean() + (e_adv - e_negative).mean()
    return value + penalty * (e_adv**2 + e_negative**2).mean()


@pytest.mark.parametrize("penalty", [0.0, 0.1])
def test_loss_and_parameter_gradients_equal_the_transcription(penalty):
    results = []
    for compute in (ours, transcription):
        net = small_net()
        value = compute(net, penalty)
        results.append([value, *torch.autograd.grad(value, list(net.parameters()))])
    for mine, plain in zip(*results, strict=True):
        torch.testing.assert_close(mine, plain, rtol=0, atol=1e-10)


def test_parts_are_named():
    logits, y = torch.zeros(2, 4), torch.tensor([0, 1])
    parts = JEAT.parts(logits, logits + 1, y, negative=logits - 2)
    e_adv, e_negative = -1 - torch.log(torch.tensor(4.0)), 2 - torch.log(torch.tensor(4.0))
    assert list(parts) == ["joint_adv", "negatives", "penalty"]
    torch.testing.assert_close(parts["joint_adv"], torch.tensor(-1.0))
    torch.testing.assert_close(parts["negatives"], -e_negative)
    torch.testing.assert_close(parts["penalty"], 0.1 * (e_adv**2 + e_negative**2))


def test_the_mean_can_be_that_of_several_processes():
    rng = torch.Generator().manual_seed(0)
    adv, negative = (torch.randn(8, 5, generator=rng) for _ in range(2))
    y = torch.arange(8) % 5
    halves = [
        JEAT.loss(adv[part], adv[part], y[part], mean=lambda values: values.sum() / 8, negative=negative[part])
        for part in (slice(0, 3), slice(3, 8))
    ]
    torch.testing.assert_close(sum(halves), JEAT.loss(adv, adv, y, negative=negative))


def test_negatives_can_be_neither_forgotten_nor_given_to_another_objective():
    logits, y = torch.zeros(2, 4), torch.tensor([0, 1])
    with pytest.raises(ValueError, match="logits at negatives are for objectives that have them"):
        JEAT.loss(logits, logits, y)
    with pytest.raises(ValueError, match="needed there"):
        OBJECTIVES["sat"].loss(logits, logits, y, negative=logits)


def test_its_attack_climbs_the_joint_energy():
    """Of a linear network: from anywhere in the ball, a step of eps ends on the side of x where f_y falls."""
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(108, 7, dtype=torch.float64))
    x = 0.4 + 0.2 * small_batch()[0]
    y = small_batch()[2]
    attack = JEAT.inner.attack(0.1, 1, 0.1, 0)
    assert (attack.steps, attack.step, attack.loss, attack.start) == (1, 0.1, "joint", "uniform")
    moved = (attack(net, x, y) - x).flatten(1) * -net[1].weight[y].detach().sign()
    assert moved.min() >= -1e-12
    assert moved.max() == pytest.approx(0.1)


def test_beta_is_refused():
    with pytest.raises(UserError, match="objective jeat has no KL term for beta=3"):
        objective("jeat", beta=3)


def test_one_pass_of_both_kinds_hides_from_batchnorm_which_is_which():
    """In passes of their own, two batches that differ by a constant get the same logits: their energies cannot part."""
    net = small_net()
    x = small_batch()[0]
    apart = net(x), net(x / 2)
    torch.testing.assert_close(*apart, atol=1e-3, rtol=1e-3)
    adv, negative = net(torch.cat([x, x / 2])).split(BATCH)
    assert (adv - negative).abs().mean() > 0.1


@pytest.mark.slow
def test_on_the_digits_it_stands_at_most_10_points_below_sat():
    """Both by preset `demo`; the guard would stop a run that diverges."""
    images, test = data.load("digits:train"), data.load("digits:test")
    nets = {name: train(name, "small-resnet", images, recipe("demo", name, "digits")) for name in ("sat", "jeat")}
    found = {name: accuracies(net, test, 0.2) for name, net in nets.items()}
    assert found["jeat"]["robust"] >= found["sat"]["robust"] - 0.1
    assert found["jeat"]["clean"] > 0.9
    noise = torch.rand(test.images.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        of_data, of_noise = (energy.marginal(nets["jeat"](images)).mean() for images in (test.images, noise))
    assert of_noise > of_data + 1


def test_a_learning_rate_that_is_much_too_high_makes_the_guard_stop_the_run():
    digits = runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "jeat.py"))
    row = replace(JEAT, negatives=Negatives(steps=1, buffer=64, penalty=0.0))
    with pytest.raises(Diverged, match=r"diverged at step \d+"):
        digits["train"](row, data.load("digits:train", samples=64), epochs=200, lr=1.0)
