"""SGLD follows its formula on energies known in closed form; the replay buffer is used and can be resumed."""

import pytest
import torch
from small_training import small_net
from torch import nn

from energylens import energy
from energylens.errors import UserError
from energylens.train.negatives import Buffer, Diverged, Negatives

SHAPE = (1, 4, 4)
SMALL = Negatives(steps=1, buffer=20, rho=0.0)


class Quadratic(nn.Module):
    """E(x) = stiffness / 2 |x - 0.5|^2 of an image, by one logit; remembers which images it is shown."""

    def __init__(self, stiffness: float):
        super().__init__()
        self.stiffness, self.seen = stiffness, []

    def forward(self, x):
        self.seen.append(x.detach().clone())
        return -self.stiffness / 2 * (x - 0.5).square().flatten(1).sum(1, keepdim=True)


def starts(rho: float, count: int = 10) -> tuple[torch.Tensor, Buffer]:
    """What chains of a buffer of constant images start from, and the buffer after them."""
    net = Quadratic(0)
    buffer = Buffer(Negatives(steps=2, buffer=20, rho=rho, noise=0.0), SHAPE, seed=3)
    buffer.images[:] = torch.linspace(0, 1, 20)[:, None, None, None]
    buffer.sample(net, count)
    return net.seen[0], buffer


def constant(x: torch.Tensor) -> torch.Tensor:
    return (x == x[:, :1, :1, :1]).flatten(1).all(1)


def test_a_step_without_noise_is_the_formula():
    """x - step_size grad E(x) = x - 0.4 (x - 0.5)."""
    buffer = Buffer(Negatives(steps=1, step_size=0.8, noise=0.0, buffer=20, rho=0.0), SHAPE, seed=0)
    net = Quadratic(0.5)
    x_k = buffer.sample(net, 20)
    torch.testing.assert_close(x_k, net.seen[0] - 0.4 * (net.seen[0] - 0.5))


def test_after_many_steps_the_moments_are_those_of_the_chain():
    """x' - c = (1 - a)(x - c) + noise n forgets its start; its variance is noise^2 / (1 - (1 - a)^2)."""
    settings = Negatives(steps=60, step_size=1.0, noise=0.03, buffer=2000, rho=1.0)
    x_k = Buffer(settings, SHAPE, seed=1).sample(Quadratic(0.1), 2000)
    assert x_k.mean().item() == pytest.approx(0.5, abs=0.005)
    assert x_k.std().item() == pytest.approx(0.03 / (1 - 0.9**2) ** 0.5, rel=0.02)
    assert 0 < x_k.min() < x_k.max() < 1  # the clamp had no part in it


def test_images_stay_in_0_1():
    x_k = Buffer(Negatives(steps=3, buffer=5, noise=0.5), SHAPE, seed=0).sample(Quadratic(-9), 5)
    assert x_k.unique().tolist() == [0, 1]


def test_the_buffer_replays_what_it_wrote():
    """Of 20 images all are drawn; the second time each chain starts from an end of the first."""
    buffer, net = Buffer(SMALL, SHAPE, seed=0), Quadratic(0.5)
    first = buffer.sample(net, 20)
    second = buffer.sample(net, 20)
    places = torch.cdist(net.seen[1].flatten(1), first.flatten(1)).argmin(1)
    assert torch.equal(net.seen[1], first[places])
    assert sorted(places.tolist()) == list(range(20))
    assert {tuple(image.flatten().tolist()) for image in buffer.images} == {
        tuple(image.flatten().tolist()) for image in second
    }


def test_only_the_drawn_places_change():
    buffer = Buffer(SMALL, SHAPE, seed=0)
    before = buffer.images.clone()
    buffer.sample(Quadratic(0.5), 7)
    assert (buffer.images != before).flatten(1).any(1).sum() == 7


def test_rho_0_and_rho_1_see_different_starts():
    """The buffer's images are constant, noise is not."""
    (stored, _), (noise, used) = starts(rho=0.0), starts(rho=1.0)
    assert constant(stored).all()
    assert not constant(noise).any()
    assert constant(used.images).sum() == 10  # ends of fresh chains are written back too


def test_rho_is_the_share_of_fresh_chains():
    net, buffer = Quadratic(0), Buffer(Negatives(steps=1, buffer=4000, rho=0.25), SHAPE, seed=0)
    buffer.images[:] = 0.5
    buffer.sample(net, 4000)
    assert (~constant(net.seen[0])).float().mean().item() == pytest.approx(0.25, abs=0.03)  # 4 standard errors


def test_a_loaded_state_goes_on_with_the_same_bits():
    net, settings = small_net(dtype=torch.float32), Negatives(steps=3, buffer=30, rho=0.3)
    whole, other = Buffer(settings, (3, 6, 6), seed=0), Buffer(settings, (3, 6, 6), seed=1)
    whole.sample(net, 8)
    state = whole.state_dict()
    expected = [whole.sample(net, 8) for _ in range(3)]
    other.load_state_dict(state)
    assert all(torch.equal(other.sample(net, 8), one) for one in expected)
    assert torch.equal(other.images, whole.images)


def test_the_network_and_the_global_random_state_come_back_as_they_were():
    net = small_net(dtype=torch.float32)
    net[4].bias.requires_grad_(False)
    before, random = {key: value.clone() for key, value in net.state_dict().items()}, torch.get_rng_state()
    x_k = Buffer(Negatives(steps=2, buffer=8), (3, 6, 6), seed=0).sample(net, 8)
    torch.testing.assert_close(net.state_dict(), before, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(parameter.grad is None for parameter in net.parameters())
    assert [parameter.requires_grad for parameter in net.parameters()].count(False) == 1
    assert net.training
    assert not x_k.requires_grad


def test_chains_lower_the_energy():
    net, settings = small_net(dtype=torch.float32), Negatives(buffer=16, rho=1.0)
    x_k = Buffer(settings, (3, 6, 6), seed=0).sample(net, 16)
    noise = torch.rand(16, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    net.eval()
    assert energy.marginal(net(x_k)).mean() < energy.marginal(net(noise)).mean() - 0.03


@pytest.mark.parametrize(
    ("positive", "negative"), [(51.0, 10.0), (0.0, -51.0), (26.0, -26.0), (float("nan"), 0.0), (0.0, float("inf"))]
)
def test_the_guard_fires_on_a_made_divergence(positive, negative):
    settings = Negatives(limit=50)
    with pytest.raises(Diverged, match=r"diverged at step 12: mean E\(x_adv\) .*, mean E\(x_K\) .*limit 50; take"):
        settings.check(12, torch.full((4, 1), -positive), torch.full((4, 1), -negative))


def test_the_guard_lets_a_healthy_step_pass_and_tells_its_energies():
    energies = Negatives(limit=50).check(0, torch.full((4, 1), -24.0), torch.full((4, 1), 25.0))
    assert energies == (24.0, -25.0)
    assert Negatives().check(0, *(small_net()(torch.rand(2, 3, 6, 6).double()) for _ in range(2)))


def test_the_signal_carries_step_and_numbers():
    with pytest.raises(Diverged) as told:
        Negatives(limit=3).check(7, torch.full((4, 1), -2.0), torch.full((4, 1), 2.0))
    assert (told.value.step, told.value.positive, told.value.negative, told.value.limit) == (7, 2, -2, 3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, r"Negatives\(steps=0\): steps must be a whole number, at least 1"),
        ({"step_size": 0}, r"step_size must be a number, above 0"),
        ({"noise": -1}, r"noise must be a number, at least 0"),
        ({"buffer": 1e4}, r"Negatives\(buffer=10000.0\): buffer must be a whole number"),
        ({"rho": 5}, r"Negatives\(rho=5\): rho is a probability, from 0 to 1"),
        ({"penalty": float("nan")}, "penalty must be a number"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(UserError, match=message):
        Negatives(**settings)


def test_a_buffer_smaller_than_the_batch_is_refused():
    with pytest.raises(UserError, match="a batch of 21 needs a replay buffer of 21 or more, not 20"):
        Buffer(SMALL, SHAPE, seed=0).sample(Quadratic(1), 21)


def test_the_state_of_another_buffer_is_refused():
    state = Buffer(SMALL, (3, 4, 4), seed=0).state_dict()
    with pytest.raises(UserError, match=r"holds \(20, 3, 4, 4\), this run's \(20, 1, 4, 4\); resume with the same"):
        Buffer(SMALL, SHAPE, seed=0).load_state_dict(state)
    with pytest.raises(UserError, match="drew its negatives on cuda; resume it there, not on cpu"):
        Buffer(SMALL, SHAPE, seed=0).load_state_dict(Buffer(SMALL, SHAPE, seed=0).state_dict() | {"device": "cuda"})
