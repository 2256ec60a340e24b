"""Carlini-Wagner: the nearest point of a linear model, adv-lib's and torchattacks' own results, and the quirks."""

import json
from pathlib import Path

import pytest
import torch
from linear import Linear, distances, images

from energylens import data, models
from energylens.attacks import CW

RECORDED = json.loads((Path(__file__).parent / "recorded" / "cw.json").read_text())
"""by recorded/make_cw.py, with adv-lib 0.2.8 and torchattacks 3.5.1"""


@pytest.fixture(scope="module")
def sat():
    x, y, _ = data.load("digits:test", samples=24).batch(0, 24)
    return models.load("demo:sat"), x, y


SETTINGS = {
    "adv-lib": CW(c=0.1, steps=60, searches=6),
    "adv-lib, targeted": CW(c=0.1, steps=60, searches=6, target="random"),
    "torchattacks": CW(semantics="paper"),
    "torchattacks, targeted": CW(semantics="paper", c=3, steps=60, target="random"),
}


@pytest.mark.parametrize("name", list(RECORDED))
def test_finds_what_the_other_library_found(sat, name):
    net, x, y = sat
    target = (y + 1) % 10 if "targeted" in name else None
    x_adv = SETTINGS[name](net, x, y, target=target)
    with torch.no_grad():
        pred = net(x_adv).argmax(1)
    l2 = (x_adv - x).flatten(1).norm(dim=1)
    recorded = torch.tensor(RECORDED[name]["l2"])
    close = (l2 - recorded).abs() < 1e-3 + 1e-3 * recorded
    assert close.float().mean() >= 0.95  # rounding may shift one image's search
    assert (l2.mean() / recorded.mean()).item() == pytest.approx(1, abs=0.005)
    assert (pred == torch.tensor(RECORDED[name]["pred"])).float().mean() >= 0.95


def test_strict_finds_the_nearest_point_of_a_linear_model():
    net, x = Linear(), images()
    y = net(x).argmax(1)
    nearest = distances(net, x, y, "l2").min(1).values
    x_adv = CW(steps=200, searches=10, lr=0.002)(net, x, y)
    l2 = (x_adv - x).flatten(1).norm(dim=1)
    assert (net(x_adv).argmax(1) != y).all()
    assert (l2 >= 0.999 * nearest).all()
    assert (l2 <= 1.05 * nearest).all()


def test_strict_reaches_a_given_class_no_nearer_than_possible():
    net, x = Linear(), images()
    y = net(x).argmax(1)
    target = (y + 2) % 5
    x_adv = CW(steps=200, searches=10, target="random")(net, x, y, target=target)
    assert (net(x_adv).argmax(1) == target).all()
    # leaving y for `target` is a lower bound: other classes may lie between
    assert (
        (x_adv - x).flatten(1).norm(dim=1) >= 0.999 * distances(net, x, y, "l2").gather(1, target[:, None])[:, 0]
    ).all()


def test_kappa_moves_the_point_that_far_beyond_the_boundary():
    net, x = Linear(), images()
    y = net(x).argmax(1)
    logits = net(CW(kappa=2.0, steps=100)(net, x, y))
    beyond = logits.scatter(1, y[:, None], -torch.inf).amax(1) - logits.gather(1, y[:, None])[:, 0]
    assert (beyond >= 2).all()


class Shifted(Linear):
    def forward(self, x):
        return super().forward(x) - 100


def test_a_constant_added_to_all_logits_changes_only_the_papers_semantics():
    """torchattacks' margin takes logits below zero for zero (its issue 184)."""
    x = images()
    y = Linear()(x).argmax(1)
    wrong = {}
    for semantics in ("paper", "strict"):
        for net in (Linear(), Shifted()):
            x_adv = CW(semantics=semantics, c=10)(net, x, y)
            wrong[semantics, type(net)] = (net(x_adv).argmax(1) != y).float().mean().item()
    assert wrong["paper", Linear] > 0.9
    assert wrong["paper", Shifted] == 0
    assert wrong["strict", Linear] == wrong["strict", Shifted] == 1


def test_pixels_at_0_and_1_never_move_in_the_papers_semantics():
    net, x = Linear(), images()
    x[:, :, :2] = 0.0
    x[:, :, 4:] = 1.0
    y = net(x).argmax(1)
    border = (x == 0) | (x == 1)
    settings = {"c": 10.0, "lr": 0.2, "steps": 100}
    moved = {word: (CW(semantics=word, **settings)(net, x, y) - x).abs()[border].max() for word in ("paper", "strict")}
    assert moved["paper"] < 1e-6
    assert moved["strict"] > 1e-3


def test_strict_treats_every_image_alone():
    net, x = Linear(), images()
    y = net(x).argmax(1)
    whole = CW(steps=30, searches=3)(net, x, y)
    alone = torch.cat([CW(steps=30, searches=3)(net, x[i : i + 1], y[i : i + 1]) for i in range(len(x))])
    torch.testing.assert_close(whole, alone, atol=1e-5, rtol=0)
