"""What every attack has in common: ball, range, determinism, statuses, observation, and no trace left."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from linear import Linear
from torch import nn

from energylens import data, record
from energylens.attacks import ATTACKS, Attack, AutoAttack, autoattack
from energylens.attacks.geometry import BALLS
from energylens.attacks.watch import Watched
from energylens.errors import UserError
from energylens.reach import measure

FEW = {"steps": 3, "queries": 12, "searches": 2}
GIVEN_CLASS = ("pgd-t", "cw-t", "square-t")


def few(name: str, **changes) -> Attack:
    """An attack by name that is over soon."""
    fields = {field.name for field in dataclasses.fields(ATTACKS[name])}
    chosen = {key: value for key, value in (FEW | changes).items() if key in fields}
    if chosen.get("semantics") == "paper":
        chosen.pop("searches", None)  # CW searches its constant in the strict semantics alone
    return dataclasses.replace(ATTACKS[name], **chosen)


@pytest.fixture(autouse=True)
def _short_autoattack(monkeypatch):
    short = tuple(
        dataclasses.replace(part, **({"queries": 12} if hasattr(part, "queries") else {"steps": 3}))
        for part in autoattack.STANDARD
    )
    monkeypatch.setattr(autoattack, "STANDARD", short)


def small_net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 64, 6)
    )


def images(count: int = 5) -> torch.Tensor:
    return torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(1)).round(decimals=1)


LABELS = torch.tensor([0, 1, 2, 3, 4])


@settings(deadline=None, max_examples=60)
@given(
    name=st.sampled_from(list(ATTACKS)),
    norm=st.sampled_from(["linf", "l2"]),
    eps=st.floats(1e-3, 0.7),
    seed=st.integers(0, 3),
    semantics=st.sampled_from(["strict", "paper"]),
)
def test_every_point_lies_in_its_ball_and_in_range_and_comes_again(name, norm, eps, seed, semantics):
    attack = few(name, norm=norm, eps=eps, seed=seed, semantics=semantics)
    net, x = small_net(), images()
    x_adv = attack(net, x, LABELS)
    assert x_adv.shape == x.shape
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1
    if attack.eps is not None:
        assert BALLS[attack.norm].norm(x_adv - x).max() <= eps + 1e-6
    assert torch.equal(x_adv, attack(net, x, LABELS))


@pytest.mark.parametrize("name", [name for name in ATTACKS if ATTACKS[name].batch is None or name.startswith("cw")])
def test_our_own_attacks_do_not_depend_on_the_batch(name):
    net, x, index = small_net().eval(), images(), torch.arange(20, 25)
    whole = few(name)(net, x, LABELS, index=index)
    alone = [few(name)(net, x[i : i + 1], LABELS[i : i + 1], index=index[i : i + 1]) for i in range(5)]
    assert ((whole - torch.cat(alone)).abs() > 1e-4).float().mean() < 0.01  # the sign of a rounding-sized gradient


@pytest.mark.parametrize("name", list(ATTACKS))
def test_leaves_modes_flags_gradients_random_state_and_input_as_they_were(name):
    net, x = small_net().train(), images()
    net[0].weight.requires_grad_(False)
    before = x.clone()
    statistics, state = net[1].running_mean.clone(), torch.get_rng_state()
    few(name)(net, x, LABELS)
    assert net.training
    assert [p.requires_grad for p in net.parameters()] == [False, True, True, True, True, True]
    assert all(parameter.grad is None for parameter in net.parameters())
    assert torch.equal(net[1].running_mean, statistics)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(x, before)


@pytest.mark.parametrize("name", list(ATTACKS))
def test_channels_last_images_are_attacked_too(name):
    net, x = small_net().eval(), images()
    usual = few(name)(net, x, LABELS)
    fast = few(name)(net, x.contiguous(memory_format=torch.channels_last), LABELS)
    assert ((usual - fast).abs() > 1e-3).float().mean() < 0.05  # a sign of a rounding-sized gradient may differ


@pytest.mark.parametrize("name", list(ATTACKS))
def test_every_attack_can_be_observed(name):
    net, x, seen = small_net().eval(), images(), []
    attack = few(name)
    x_adv = attack(net, x, LABELS, observe=lambda step, points, logits: seen.append((step, points.clone(), logits)))
    assert [step for step, _, _ in seen] == list(range(len(seen)))
    for _, points, logits in seen:
        torch.testing.assert_close(net(points).detach(), logits, atol=1e-4, rtol=1e-4)
    assert torch.equal(attack(net, x, LABELS), x_adv)  # being watched changes nothing
    if attack.observed and len(seen) > 1:
        assert torch.equal(seen[-1][1], x_adv)


@pytest.mark.parametrize("name", [name for name in ATTACKS if name not in GIVEN_CLASS])
def test_attacks_without_a_given_class_refuse_one(name):
    with pytest.raises(UserError, match="takes no target; given-class attacks are pgd-t, cw-t and square-t"):
        few(name)(small_net(), images(), LABELS, target=LABELS)


@pytest.mark.parametrize("target", ["random", "least-likely", 2])
@pytest.mark.parametrize("name", GIVEN_CLASS)
def test_given_class_attacks_reach_their_class(name, target):
    """A linear model of five classes and a ball that holds all of them: pred == target for every image."""
    net, x = Linear(), 0.5 + 0.1 * torch.rand(8, 3, 6, 6, generator=torch.Generator().manual_seed(2))
    y = net(x).argmax(1)
    attack = dataclasses.replace(few(name, eps=0.45, steps=60, queries=400, searches=6, c=1.0), target=target)
    wanted = attack.wanted(net(x).detach(), y, list(range(8)))
    pred = net(attack(net, x, y)).argmax(1)
    assert torch.equal(pred, wanted)
    if target == "least-likely":
        assert torch.equal(wanted, net(x).argmin(1))
    if target == "random":
        assert (wanted != y).all()
    if target == 2:
        assert (wanted == 2).all()


def test_a_class_that_the_model_has_not_is_refused():
    with pytest.raises(
        UserError, match="needs a model of at least 8 classes, this one has 6; take a target from 0 to 5"
    ):
        few("pgd-t", target=7)(small_net(), images(), LABELS)


def made(npz_images: torch.Tensor, labels: torch.Tensor, folder) -> data.Data:
    import numpy as np

    path = folder / "made.npz"
    np.savez(path, images=npz_images.numpy(), labels=labels.numpy())
    return data.load(str(path))


@pytest.mark.parametrize("name", ["apgd-ce", "apgd-t", "fab", "square", "cw", "autoattack", "pgd"])
def test_statuses_say_what_happened_to_every_image(name, tmp_path):
    """Image 0 is wrong before; images 1 to 4 are right, and cannot be moved over in so small a ball.

    CW has no ball, and moves them.
    """
    net, x = Linear(), 0.5 + 0.2 * (torch.rand(5, 3, 6, 6, generator=torch.Generator().manual_seed(3)) - 0.5)
    y = net(x).argmax(1)
    y[0] = (y[0] + 1) % 5
    attack = few(name, eps=1e-5, semantics="paper", **({"c": 50.0, "steps": 100} if name == "cw" else {}))
    (found,) = measure(net, made(x, y, tmp_path), (attack,), 0, 5)
    columns = record.columns(found[attack], attack)
    failed = {"cw": "success", "pgd": "best_effort"}.get(name, "clean_fallback")
    wrong = {"pgd": "success"}.get(name, "not_attacked")
    assert columns["status"].tolist() == [wrong] + 4 * [failed]
    assert (columns["pred"] == columns["label"]).tolist() == [False] + 4 * [name != "cw"]


def test_autoattack_names_the_part_that_moved_an_image(tmp_path):
    net, x = Linear(), 0.5 + 0.2 * (torch.rand(6, 3, 6, 6, generator=torch.Generator().manual_seed(3)) - 0.5)
    y = net(x).argmax(1)
    y[0] = (y[0] + 1) % 5
    attack = AutoAttack(eps=0.4)
    (found,) = measure(net, made(x, y, tmp_path), (attack,), 0, 6)
    columns = record.columns(found[attack], attack)
    assert columns["part"].tolist() == [None] + 5 * ["apgd-ce"]


def test_watching_tells_the_rows_of_a_part_of_the_batch_by_the_nearest_image():
    seen = []
    x = images()
    watched = Watched(small_net().eval(), x, lambda step, points, logits: seen.append(points))
    watched(x + 0.001)
    watched(x[[3, 1]] + 0.01)
    moved = (seen[1] - seen[0]).flatten(1).abs().amax(1)
    assert (moved > 0.005).tolist() == [False, True, False, True, False]


@pytest.mark.parametrize(
    ("x", "y", "text"),
    [
        (255 * images(), LABELS, r"images from 0 to 255; attacks take \[0, 1\]"),
        (2 * images() - 1, LABELS, "images from -1 to 1; attacks take"),
        (images(2), LABELS, "2 images and 5 labels"),
        (images(), LABELS.float(), "classes are int64: y.long()"),
    ],
)
def test_batches_that_are_none_are_refused(x, y, text):
    with pytest.raises(UserError, match=text.replace("()", r"\(\)")):
        few("pgd")(small_net(), x, y)
