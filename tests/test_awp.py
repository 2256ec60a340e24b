"""AWP's gradients equal the public code's with its proxy network, and afterwards the network is as it was."""

from copy import deepcopy

import pytest
import torch
import transcriptions as published
from small_training import small_batch, small_net
from torch import nn

from energylens.errors import UserError
from energylens.train import awp
from energylens.train.objectives import OBJECTIVES

ROWS = ["standard", "sat", "trades", "mart", "mail-trades", "weat-adv"]
GAMMA = 0.02


def loss_of(name: str, net: nn.Module):
    x, x_adv, y = small_batch()
    row = OBJECTIVES[name]
    return lambda: row.loss(*row.logits(net, x, x_adv), y)


def ours(name: str, gamma: float = GAMMA, average=None) -> nn.Module:
    """The network after a backward pass at the worst point."""
    net = small_net()
    loss = loss_of(name, net)
    with awp.perturbed(net, loss, gamma, average):
        loss().backward()
    return net


@pytest.mark.parametrize("name", ROWS)
def test_gradients_equal_those_of_the_public_code_with_a_proxy_network(name):
    net, batch = small_net(), small_batch()
    diff = published.awp_diff(net, lambda proxy: published.ROWS[name](proxy, *batch), lr=0.1)
    published.add_into_weights(net, diff, GAMMA)
    published.ROWS[name](net, *batch).backward()
    found = ours(name)
    for parameter, their in zip(found.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, their.grad, rtol=0, atol=1e-10)
    torch.testing.assert_close(found[1].running_var, net[1].running_var, rtol=0, atol=1e-12)
    assert found[1].num_batches_tracked == net[1].num_batches_tracked  # the ascent's passes do not count


@pytest.mark.parametrize("name", ROWS)
def test_the_weights_come_back_to_the_bit(name):
    assert all(map(torch.equal, ours(name).parameters(), small_net().parameters()))


def test_inside_layers_are_gamma_of_their_norm_away_up_the_loss_and_vectors_stay():
    net = small_net()
    before, loss = deepcopy(net), loss_of("trades", net)
    lower = loss().item()
    with awp.perturbed(net, loss, 1e-3):
        for there, here in zip(net.parameters(), before.parameters(), strict=True):
            moved = 1e-3 * here.norm().item() if here.dim() > 1 else 0.0
            assert (there - here).norm().item() == pytest.approx(moved, rel=1e-9)
        assert loss().item() > lower


def test_batchnorms_statistics_do_not_move_in_the_ascent():
    net = small_net()
    before = deepcopy(net.state_dict())
    with awp.perturbed(net, loss_of("trades", net), GAMMA):
        for name, buffer in net.named_buffers():
            assert torch.equal(buffer, before[name])
    assert all(parameter.grad is None for parameter in net.parameters())


def test_gamma_of_zero_gives_the_gradients_without_awp():
    net = small_net()
    loss_of("mart", net)().backward()
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(ours("mart", 0).parameters(), net.parameters(), strict=True))


def test_an_average_over_processes_sets_the_direction():
    """Two processes see half a batch each; with the mean of their gradients both go where one process goes."""
    x, x_adv, y = small_batch()
    x, x_adv, y = x[:6], x_adv[:6], y[:6]
    net = nn.Sequential(nn.Flatten(), nn.Linear(108, 7, dtype=torch.float64))
    row, whole = OBJECTIVES["trades"], deepcopy(net)

    def loss(net, rows):
        return row.loss(*row.logits(net, x[rows], x_adv[rows]), y[rows])

    (other,) = torch.autograd.grad(loss(net, slice(3, 6)), [net[1].weight])
    with (
        awp.perturbed(whole, lambda: loss(whole, slice(0, 6)), GAMMA),
        awp.perturbed(net, lambda: loss(net, slice(0, 3)), GAMMA, average=lambda mine: (mine + other) / 2),
    ):
        torch.testing.assert_close(net[1].weight, whole[1].weight, rtol=0, atol=1e-12)


def test_an_error_inside_puts_the_weights_back():
    net = small_net()
    with pytest.raises(RuntimeError, match="inside"), awp.perturbed(net, loss_of("sat", net), GAMMA):
        raise RuntimeError("inside")
    assert all(map(torch.equal, net.parameters(), small_net().parameters()))


def test_an_error_in_the_ascent_puts_the_statistics_back():
    net = small_net()
    x, *_ = small_batch()

    def broken():
        net(x)
        raise RuntimeError("in the loss")

    with pytest.raises(RuntimeError, match="in the loss"), awp.perturbed(net, broken, GAMMA):
        pass
    assert all(map(torch.equal, net.buffers(), small_net().buffers()))


def test_frozen_layers_and_layers_without_a_gradient_stay():
    net = small_net()
    net[0].weight.requires_grad_(False)
    net.register_parameter("unused", nn.Parameter(torch.ones(2, 2, dtype=torch.float64)))
    with awp.perturbed(net, loss_of("sat", net), GAMMA):
        assert torch.equal(net[0].weight, small_net()[0].weight)
        assert torch.equal(net.unused, torch.ones(2, 2, dtype=torch.float64))
        assert not torch.equal(net[4].weight, small_net()[4].weight)


@pytest.mark.parametrize("gamma", [-0.1, float("nan"), float("inf")])
def test_a_gamma_that_is_no_length_is_refused(gamma):
    net = small_net()
    with (
        pytest.raises(UserError, match=f"AWP's gamma={gamma} must be a finite number, at least 0"),
        awp.perturbed(net, loss_of("sat", net), gamma),
    ):
        pass
