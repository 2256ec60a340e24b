"""One loop for all objectives: what an epoch is made of, what it depends on, and where it stops."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from energylens import data
from energylens.attacks import PGD
from energylens.data import Data
from energylens.errors import UserError
from energylens.train import loop, objectives
from energylens.train.negatives import Diverged
from energylens.train.objectives import OBJECTIVES
from energylens.train.processes import Alone, Both
from energylens.train.settings import Settings, recipe

SMALL = recipe("demo", "sat", "digits", epochs=2, attack_steps=2, batch=16)
ARCH = "small-resnet:width=4"


@pytest.fixture(scope="module")
def images() -> Data:
    return data.load("digits:train", samples=40)


def trained(name: str, images: Data, settings: Settings) -> nn.Module:
    return loop.train(name, ARCH, images, settings)


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


def begun(name: str, images: Data, settings: Settings):
    return loop.begin(ARCH, OBJECTIVES[name], images, settings)


def test_training_learns_repeats_and_leaves_the_random_state_alone():
    images = data.load("digits:train", samples=256)
    settings = recipe("demo", "sat", "digits", epochs=6, attack_steps=1, batch=32)
    state = torch.get_rng_state()
    nets = [loop.train("sat", "small-resnet:width=8", images, settings) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), state)
    x, y, _ = images.batch(0, 256)
    assert same(*nets)
    assert (nets[0](x).argmax(1) == y).float().mean() > 0.5  # chance is 0.1
    assert not nets[0].training


def test_natural_images_pass_in_training_only_where_the_objective_says(images):
    """Of two epochs of three batches, SAT's BatchNorm counts 6 passes and TRADES's 12."""
    counts = {
        name: trained(name, images, SMALL).bn1.num_batches_tracked.item() for name in ("standard", "sat", "trades")
    }
    assert counts == {"standard": 6, "sat": 6, "trades": 12}


def test_an_unknown_objective_and_too_few_steps_are_told(images):
    with pytest.raises(UserError, match="unknown objective 'weat'; did you mean 'weat-"):
        loop.train("weat", ARCH, images)
    with pytest.raises(UserError, match=r"^4 steps in all are too few for OneCycle; take more --epochs, or a smaller"):
        loop.train("sat", ARCH, images, Settings(epochs=4, batch=64))


def test_each_image_is_seen_once_an_epoch_in_an_order_that_changes(images):
    state = begun("sat", images, SMALL)
    orders = [torch.cat(state.batches(images)).tolist() for _ in range(3)]
    assert all(sorted(order) == list(range(40)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert [len(rows) for rows in state.batches(images)] == [16, 16, 8]


def test_an_epoch_is_that_of_a_plain_loop(images):
    """SAT by hand: PGD in eval mode, one pass in train mode, SGD with the scheduled rate and momentum."""
    settings = replace(SMALL, epochs=2, channels_last=False)
    state = begun("sat", images, settings)
    net, order = copy.deepcopy(state.net), torch.Generator()
    order.set_state(state.order.get_state())
    next(loop.epochs(state, images))
    optimizer = torch.optim.SGD(net.parameters(), 0.4, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.4, total_steps=6, pct_start=0.25)
    for rows in torch.randperm(40, generator=order).split(16):
        x, y = images.images[rows], images.labels[rows]
        net.eval()
        x_adv = PGD(eps=0.2, steps=2, seed=1001)(net, x, y, index=rows)
        net.train()
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x_adv), y).backward()
        optimizer.step()
        schedule.step()
    for key, value in net.state_dict().items():
        torch.testing.assert_close(state.net.state_dict()[key], value, rtol=1e-4, atol=1e-5)


def test_start_noise_and_augmentation_depend_on_epoch_and_image_alone(images):
    settings, device = replace(SMALL, augment=True), torch.device("cpu")
    rows = torch.tensor([3, 7, 11])
    whole, _, index = loop.batch(images, rows, settings, 0, device)
    alone = loop.batch(images, rows[1:2], settings, 0, device)
    assert torch.equal(alone[0][0], whole[1])
    assert not torch.equal(loop.batch(images, rows, settings, 1, device)[0], whole)
    net = begun("trades", images, settings).net
    points = [
        loop.attacked(net, OBJECTIVES["trades"], settings, epoch, *batch)
        for epoch, batch in (
            (0, (whole, images.labels[index], index)),
            (0, (whole[1:2], images.labels[index[1:2]], index[1:2])),
            (1, (whole, images.labels[index], index)),
        )
    ]
    torch.testing.assert_close(points[0][1], points[1][0])
    assert not torch.equal(points[0], points[2])


@pytest.mark.parametrize("name", ["weat-adv", "jeat"])
def test_it_goes_on_from_a_state_with_the_same_bits(name, images):
    settings = replace(SMALL, ema=0.9, epochs=3)
    one = begun(name, images, settings)
    rows = list(loop.epochs(one, images))
    first = begun(name, images, settings)
    next(loop.epochs(first, images))
    other = begun(name, images, settings)
    other.load_state_dict(copy.deepcopy(first.state_dict()))
    torch.manual_seed(99)  # nothing depends on torch's own random state
    assert list(loop.epochs(other, images)) == rows[1:]
    assert same(one.net, other.net)
    assert same(one.result, other.result)


def test_the_average_of_the_weights_is_the_exponential_one(images):
    settings = replace(SMALL, ema=0.5)
    state = begun("sat", images, settings)
    state.averaged.update_parameters(state.net)  # the first sets it
    weight = state.net.linear.weight
    expected = weight.detach().clone()
    for _ in range(3):
        with torch.no_grad():
            weight += 1
        state.averaged.update_parameters(state.net)
        expected = 0.5 * expected + 0.5 * weight.detach()
    torch.testing.assert_close(state.result.linear.weight, expected)
    assert state.result is not state.net


def test_burn_in_trains_without_weights(images):
    """MAIL-AT in its burn-in is AT from MAIL's start: equal to the plain objective, and other behind it."""
    burned = trained("mail-at", images, replace(SMALL, burn_in=2))
    never = trained("mail-at", images, replace(SMALL, burn_in=0))
    state = loop.begin(ARCH, OBJECTIVES["mail-at"].plain, images, SMALL)
    list(loop.epochs(state, images))
    assert same(burned, state.net)
    assert not same(burned, never)
    assert loop.burn_in(OBJECTIVES["mail-at"], Settings()) == 75


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_every_objective_trains_and_tells_its_terms(name, images):
    settings = recipe("demo", name, "digits", epochs=2, attack_steps=1, batch=20)
    objective = objectives.objective(name)
    row = next(loop.epochs(loop.begin(ARCH, objective, images, settings), images))
    terms = [term.name for term in objective.terms] + ["negatives", "penalty"] * (objective.negatives is not None)
    assert row["loss"] == pytest.approx(sum(row[term] for term in terms), rel=1e-5)
    assert ("train_clean" in row, "train_robust" in row) == (objective.clean, objective.inner is not None)


def test_awp_begins_behind_its_warm_up(images):
    plain = trained("sat", images, SMALL)
    late = trained("sat", images, replace(SMALL, awp=0.01, awp_warmup=1, epochs=2))
    early = trained("sat", images, replace(SMALL, awp=0.01, awp_warmup=0))
    assert not same(plain, late)
    assert not same(late, early)
    settings = replace(SMALL, awp=0.01, awp_warmup=1)
    first = begun("sat", images, settings)
    other = begun("sat", images, SMALL)
    next(loop.epochs(first, images))
    next(loop.epochs(other, images))
    assert same(first.net, other.net)


def test_bfloat16_trains_close_to_float32(images):
    rows = {}
    for precision in ("fp32", "bf16"):
        settings = replace(SMALL, precision=precision)
        state = begun("trades", images, settings)
        rows[precision] = next(loop.epochs(state, images))
        assert state.net.linear.weight.dtype == torch.float32
    assert rows["bf16"]["loss"] != rows["fp32"]["loss"]
    assert rows["bf16"]["loss"] == pytest.approx(rows["fp32"]["loss"], rel=0.02)


def test_jeats_sampler_takes_the_recipes_settings(images):
    settings = recipe("demo", "jeat", "digits", rho=1.0)
    negatives = loop.chosen("jeat", settings).negatives
    assert (negatives.steps, negatives.buffer, negatives.rho) == (10, 1000, 1)
    with pytest.raises(UserError, match="sat draws no negatives: leave out --sgld-steps, --buffer and --rho, or train"):
        loop.chosen("sat", replace(SMALL, rho=0.5))


def test_energies_that_diverge_stop_the_run_with_its_step(images):
    settings = replace(SMALL, lr=1e3)
    with pytest.raises(Diverged, match=r"^the energies diverged at step [23]: mean E\(x_adv\)"):
        list(loop.epochs(begun("jeat", images, settings), images))


def test_adam_trains_too(images):
    settings = replace(SMALL, optimizer="adam", lr=0.01, epochs=15)
    state = begun("standard", images, settings)
    rows = list(loop.epochs(state, images))
    assert rows[-1]["loss"] < 0.7 * rows[0]["loss"]


def test_nan_in_the_loss_is_told_with_its_place_and_term(images):
    state = begun("trades", images, replace(SMALL, lr=1e30))
    with pytest.raises(loop.NotFinite, match=r"^the loss became \w+ in epoch 1, step 2 \((ce_clean|kl)"):
        list(loop.epochs(state, images))


def test_nan_in_a_weight_is_told_at_the_end_of_its_epoch(images):
    state = begun("sat", images, replace(SMALL, batch=40, epochs=3))
    state.optimizer.register_step_post_hook(lambda *_: state.net.linear.bias.data.fill_(np.nan))
    with pytest.raises(loop.NotFinite, match=r"^linear.bias became NaN or infinite in epoch 1, step 1"):
        list(loop.epochs(state, images))


def test_one_process_of_two_has_its_part_of_the_mean():
    """The parts' gradients, averaged, are the whole batch's, though the parts differ in size."""
    values = torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64, requires_grad=True)
    gradients = []
    for rank in range(2):
        one = Alone()
        one.rank, one.size = rank, 2
        mine = values[one.share(torch.arange(3))]
        gradients.append(torch.autograd.grad(one.mean(3)(mine), values)[0])
    torch.testing.assert_close(sum(gradients) / 2, torch.full((3,), 1 / 3, dtype=torch.float64))


def test_both_passes_see_batchnorm_in_the_order_of_the_public_code():
    """Natural images first: the adversarial ones move the running mean last, and weigh more."""
    net = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten())
    Both(net, OBJECTIVES["trades"])(torch.zeros(2, 1, 2, 1), torch.ones(2, 1, 2, 1))
    assert net[0].running_mean.item() == pytest.approx(0.1)
