"""PGD finds what is known to be the worst point, stays in its ball, and leaves no trace."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from energylens.attacks import PGD
from energylens.attacks.geometry import BALLS
from energylens.errors import UserError

X = torch.full((4, 3, 2, 2), 0.5)
Y = torch.tensor([0, 1, 0, 1])


def small_net(classes: int = 5) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 64, classes)
    )


def images(count: int = 6) -> torch.Tensor:
    return torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("start", ["uniform", "tiny", "clean"])
def test_reaches_the_corner_of_the_linf_ball_of_a_linear_model(linear_two_classes, start):
    weights, model = linear_two_classes
    x_adv = PGD(eps=0.1, steps=10, start=start)(model, X, Y)
    direction = (2 * Y - 1)[:, None] * weights.sign()
    torch.testing.assert_close((x_adv - X).flatten(1), 0.1 * direction)


def test_reaches_the_pole_of_the_l2_ball_of_a_linear_model(linear_two_classes):
    weights, model = linear_two_classes
    x_adv = PGD(eps=0.2, steps=40, norm="l2", start="clean")(model, X, Y)
    direction = (2 * Y - 1)[:, None] * weights / weights.norm()
    torch.testing.assert_close((x_adv - X).flatten(1), 0.2 * direction, atol=1e-5, rtol=1e-5)


def test_targeted_ce_climbs_towards_the_wanted_class(linear_two_classes):
    weights, model = linear_two_classes
    x_adv = PGD(eps=0.1, steps=10, loss="targeted-ce")(model, X, Y, target=torch.zeros_like(Y))
    torch.testing.assert_close((x_adv - X).flatten(1), 0.1 * weights.sign().expand(4, -1))


def test_kl_needs_no_label_and_reaches_a_corner(linear_two_classes):
    _, model = linear_two_classes
    x_adv = PGD(eps=0.1, steps=10, loss="kl", start="tiny")(model, X, Y)
    torch.testing.assert_close((x_adv - X).flatten(1).abs(), torch.full((4, 12), 0.1))
    again = PGD(eps=0.1, steps=10, loss="kl", start="tiny")(model, X, 1 - Y)
    torch.testing.assert_close(x_adv, again, rtol=0, atol=0)


@settings(deadline=None, max_examples=25)
@given(
    eps=st.floats(1e-3, 0.7),
    norm=st.sampled_from(list(BALLS)),
    loss_start=st.sampled_from([("ce", "uniform"), ("ce", "clean"), ("ce", "tiny"), ("kl", "tiny")]),
    clamp_start=st.booleans(),
    restarts=st.integers(1, 2),
    seed=st.integers(0, 5),
)
def test_every_point_lies_in_its_ball_and_in_range(eps, norm, loss_start, clamp_start, restarts, seed):
    loss, start = loss_start
    x = images(3).round(decimals=1)  # some pixels on the border of [0, 1]
    attack = PGD(
        eps=eps,
        steps=3,
        norm=norm,
        loss=loss,
        start=start,
        clamp_start=clamp_start,
        restarts=restarts,
        seed=seed,
    )
    x_adv = attack(small_net(), x, torch.tensor([0, 1, 2]))
    assert BALLS[norm].norm(x_adv - x).max() <= eps + 1e-6
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1


def test_start_noise_depends_on_seed_restart_and_index_alone():
    net, x, y = small_net().eval(), images(), torch.arange(6) % 5
    index = torch.tensor([10, 11, 12, 13, 14, 15])
    whole = PGD(eps=0.1, steps=2)(net, x, y, index=index)
    parts = [PGD(eps=0.1, steps=2)(net, x[i : i + 1], y[i : i + 1], index=index[i : i + 1]) for i in range(6)]
    torch.testing.assert_close(whole, torch.cat(parts), rtol=0, atol=1e-5)
    assert not torch.equal(whole, PGD(eps=0.1, steps=2)(net, x, y, index=index + 1))
    assert not torch.equal(whole, PGD(eps=0.1, steps=2, seed=1)(net, x, y, index=index))
    assert torch.equal(whole, PGD(eps=0.1, steps=2)(net, x, y, index=index))


def test_uniform_start_fills_the_ball():
    """Means and second moments of the uniform distributions on the two balls, over 2,000 draws."""
    x = torch.zeros(2000, 3)
    from energylens.attacks.starts import uniform

    linf = uniform(x, 0.5, BALLS["linf"], 0, 0, list(range(2000)))
    l2 = uniform(x, 0.5, BALLS["l2"], 0, 0, list(range(2000)))
    assert linf.abs().max() <= 0.5
    assert linf.mean().item() == pytest.approx(0, abs=0.02)
    assert linf.pow(2).mean().item() == pytest.approx(0.25 / 3, rel=0.03)
    assert l2.norm(dim=1).max() <= 0.5 + 1e-6
    assert (l2.norm(dim=1) ** 3).mean().item() == pytest.approx(0.125 / 2, rel=0.04)  # volume is uniform


def test_first_point_is_clamped_unless_asked_not_to():
    seen = []
    x = torch.zeros(2, 3, 8, 8)
    for clamp_start in (True, False):
        attack = PGD(eps=0.1, steps=1, clamp_start=clamp_start)
        attack(
            small_net(),
            x,
            Y[:2],
            observe=lambda step, x_adv, logits: seen.append(x_adv.min().item()) if not step else None,
        )
    assert seen[0] == 0
    assert -0.1 <= seen[1] < -0.05


def test_observer_sees_the_state_after_each_update():
    net, x, y = small_net().eval(), images(), torch.arange(6) % 5
    seen = {}
    final = PGD(eps=0.1, steps=4)(
        net, x, y, observe=lambda step, x_adv, logits: seen.update({step: (x_adv.clone(), logits)})
    )
    assert list(seen) == [0, 1, 2, 3, 4]
    assert torch.equal(seen[4][0], final)
    for x_adv, logits in seen.values():
        torch.testing.assert_close(net(x_adv), logits)
    short = PGD(eps=0.1, step_size=0.025, steps=2)(net, x, y)
    torch.testing.assert_close(short, seen[2][0])


def test_restarts_keep_the_point_of_highest_loss():
    net, x, y = small_net().eval(), images(), torch.arange(6) % 5
    loss = lambda x_adv: nn.functional.cross_entropy(net(x_adv), y, reduction="none")  # noqa: E731
    one, three = (PGD(eps=0.3, steps=1, step_size=1e-3, restarts=n)(net, x, y) for n in (1, 3))
    assert (loss(three) >= loss(one) - 1e-6).all()
    assert (loss(three) > loss(one)).any()


@pytest.mark.parametrize("loss", ["ce", "kl"])
def test_makes_no_forward_pass_that_the_loss_does_not_need(loss):
    net, calls = small_net().eval(), []
    net.register_forward_hook(lambda *_: calls.append(1))
    PGD(steps=7, loss=loss, start="tiny")(net, images(), Y.repeat(2)[:6])
    assert len(calls) == {"ce": 7, "kl": 8}[loss]


def test_leaves_mode_flags_gradients_and_random_state_as_they_were():
    net = small_net().train()
    net[1].eval()
    net[0].weight.requires_grad_(False)
    before = [module.training for module in net.modules()], [p.requires_grad for p in net.parameters()]
    statistics, state = net[1].running_mean.clone(), torch.get_rng_state()
    PGD(steps=2)(net, images(), torch.zeros(6, dtype=torch.long))
    assert before == (
        [module.training for module in net.modules()],
        [p.requires_grad for p in net.parameters()],
    )
    assert all(parameter.grad is None for parameter in net.parameters())
    assert torch.equal(net[1].running_mean, statistics)
    assert torch.equal(torch.get_rng_state(), state)


def test_leaves_the_model_as_it_was_after_an_exception():
    net = small_net().train()

    def fail(step, x_adv, logits):
        assert not net.training
        assert not any(parameter.requires_grad for parameter in net.parameters())
        raise RuntimeError("stop here")

    with pytest.raises(RuntimeError, match="stop here"):
        PGD()(net, images(), torch.zeros(6, dtype=torch.long), observe=fail)
    assert all(module.training for module in net.modules())
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_works_where_gradients_are_switched_off():
    with torch.no_grad():
        x_adv = PGD(eps=0.1, steps=2)(small_net(), images(), torch.zeros(6, dtype=torch.long))
    assert not torch.equal(x_adv, images())
    assert not x_adv.requires_grad


def test_keeps_channels_last_and_finds_the_same_point():
    net, x, y = small_net().eval(), images(), torch.arange(6) % 5
    usual = PGD(eps=0.1, steps=3)(net, x, y)
    fast = PGD(eps=0.1, steps=3)(net, x.contiguous(memory_format=torch.channels_last), y)
    assert fast.is_contiguous(memory_format=torch.channels_last)
    assert ((usual - fast).abs() > 1e-5).float().mean() < 0.01  # the sign of a rounding-sized gradient may differ


def test_a_target_for_an_attack_that_takes_none_is_refused():
    with pytest.raises(UserError, match="attack pgd takes no target; given-class attacks are pgd-t, cw-t and square-t"):
        PGD()(small_net(), images(), Y.repeat(2)[:6], target=torch.zeros(6, dtype=torch.long))
