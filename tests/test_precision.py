"""Search in bfloat16: near the float32 one, and success decided in float32."""

import pytest
import torch

from energylens import data, models
from energylens.attacks import APGD, CW, FAB, HEPGD, PGD, Square
from energylens.attacks.precision import Half, exact
from energylens.reach import measure


@pytest.fixture(scope="module")
def sat():
    x, y, index = data.load("digits:test", samples=40).batch(0, 40)
    return models.load("demo:sat"), x, y, index


def test_half_gives_float32_logits_near_the_networks_own(sat):
    net, x, _, _ = sat
    with torch.no_grad():
        half, full = Half(net)(x), net(x)
    assert half.dtype == torch.float32
    assert not torch.equal(half, full)
    assert ((half - full).abs() / full.abs().amax()).max() < 0.03
    assert exact(Half(net)) is net
    assert exact(net) is net


class Lying(torch.nn.Module):
    """Stands for a network in low precision that takes every image for class 9; `exact` does not."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x) + 1000 * torch.nn.functional.one_hot(torch.tensor(9), 10)


@pytest.mark.parametrize(
    "attack",
    [
        FAB(eps=0.2, steps=5),
        FAB(eps=0.2, steps=5, classes=9),
        Square(eps=0.2, queries=30, semantics="paper"),
        CW(semantics="paper", c=5, steps=30),
        CW(steps=30, searches=2),
    ],
    ids=lambda attack: attack.name,
)
def test_attacks_that_accept_points_ask_the_float32_network(sat, attack):
    """Where the search network calls every image broken, only those that are so in float32 are taken."""
    net, x, y, _ = sat
    keep = y != 9
    x, y = x[keep], y[keep]
    half = Half(Lying(net))
    half.exact = net
    half.forward = Lying(net).forward  # the search sees the liar, the decision the network
    x_adv = attack(half, x, y)
    with torch.no_grad():
        broken = net(x_adv).argmax(1) != y
    moved = (x_adv - x).flatten(1).abs().amax(1) > 1e-6
    assert broken[moved].all()


def test_recorded_logits_are_those_of_the_float32_network(sat):
    net, x, y, index = sat
    attack = PGD(eps=0.2, steps=5)
    (found,) = measure(net, data.load("digits:test", samples=40), (attack,), 0, 40, precision="bf16")
    x_adv = attack(Half(net), x, y, index=index)
    torch.testing.assert_close(found[attack].x, x_adv)
    with torch.no_grad():
        torch.testing.assert_close(found[attack].logits, net(x_adv))


@pytest.mark.parametrize("attack", [PGD(eps=0.2), APGD(eps=0.2, steps=20)], ids=lambda attack: attack.name)
def test_both_precisions_measure_nearly_the_same(attack):
    """Mean E(x*) within 2 % or 0.03 nats; outcomes may differ where an image is just at the border."""
    images, net = data.load("digits:test", samples=100), models.load("demo:sat")
    ends = {}
    for precision in ("fp32", "bf16"):
        (found,) = measure(net, images, (attack,), 0, 100, precision=precision)
        points = found[attack]
        ends[precision] = (-points.logits.logsumexp(1).mean().item(), (points.logits.argmax(1) != points.y))
    assert ends["bf16"][0] == pytest.approx(ends["fp32"][0], rel=0.02, abs=0.03)
    assert (ends["bf16"][1] != ends["fp32"][1]).sum() <= 5


@pytest.mark.parametrize(
    "attack",
    [
        APGD(eps=0.2, steps=5, semantics="paper"),
        APGD(eps=0.2, steps=5, loss="targeted-dlr"),
        HEPGD(eps=0.2, steps=5, gamma="search"),
    ],
    ids=lambda attack: attack.name,
)
def test_others_do_not_stop_at_what_only_the_search_takes_for_broken(sat, attack):
    """A search that sees class 9 everywhere ends with points that float32 judges: broken, or given back."""
    net, x, y, _ = sat
    half = Half(net)
    half.forward = Lying(net).forward
    before, after = (net(points).argmax(1) != y for points in (x, attack(half, x, y)))
    if attack.falls_back:
        moved = (attack(half, x, y) - x).flatten(1).abs().amax(1) > 1e-6
        if attack.semantics == "paper":
            assert after[moved].all()
    assert (after | ~before).all()  # nothing that was broken is mended


@pytest.mark.parametrize("attack", [FAB(eps=0.2, steps=5), Square(eps=0.2, queries=30), CW(semantics="paper", c=5)])
def test_watching_a_bf16_search_changes_nothing(sat, attack):
    net, x, y, _ = sat
    seen = []
    watched = attack(Half(net), x, y, observe=lambda step, points, logits: seen.append(logits))
    assert torch.equal(watched, attack(Half(net), x, y))
    assert not any(logits.isnan().any() for logits in seen)
