"""APGD, FAB, Square and AutoAttack: the same points as pyautoattack's, known optima, and no trace."""

import dataclasses

import pytest
import torch
from linear import Linear, distances, images
from pyautoattack import AutoAttack as TheirAutoAttack
from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
from pyautoattack.fab_pt import FABAttack_PT
from pyautoattack.square import SquareAttack

from energylens import data, models
from energylens.attacks import APGD, FAB, AutoAttack, Square
from energylens.errors import UserError

EPS = 0.2


@pytest.fixture(scope="module")
def sat():
    x, y, index = data.load("digits:test", samples=30).batch(0, 30)
    return models.load("demo:sat"), x, y, index


def theirs(name: str, net, norm: str):
    lp, eps = {"linf": "Linf", "l2": "L2"}[norm], EPS if norm == "linf" else 1.5
    few = {"norm": lp, "eps": eps, "seed": 0, "device": "cpu"}
    if name in ("apgd-ce", "apgd-dlr"):
        return APGDAttack(net, n_iter=8, loss=name[5:], **few).perturb
    if name == "apgd-t":
        return APGDAttack_targeted(net, n_iter=8, **few).perturb
    if name in ("fab", "fab-t"):
        return FABAttack_PT(net, n_iter=8, targeted=name == "fab-t", **few).perturb
    return SquareAttack(net, n_queries=60, **few).perturb


OURS = {
    "apgd-ce": APGD(steps=8, semantics="paper"),
    "apgd-dlr": APGD(steps=8, semantics="paper", loss="dlr"),
    "apgd-t": APGD(steps=8, semantics="paper", loss="targeted-dlr"),
    "fab": FAB(steps=8),
    "fab-t": FAB(steps=8, classes=9),
    "square": Square(queries=60, semantics="paper"),
}


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", list(OURS))
def test_papers_semantics_gives_pyautoattacks_own_points(sat, name, norm):
    net, x, y, _ = sat
    ours = dataclasses.replace(OURS[name], norm=norm, eps=EPS if norm == "linf" else 1.5)
    assert ours.name.startswith(name)
    found = ours(net, x, y)
    torch.testing.assert_close(found, theirs(name, net, norm)(x, y), rtol=0, atol=1e-6)
    with torch.no_grad():
        assert (net(found).argmax(1) != y).float().mean() > (net(x).argmax(1) != y).float().mean()


def test_autoattack_gives_pyautoattacks_own_points_and_says_which_part_found_them(sat, monkeypatch):
    net, x, y, _ = sat
    from energylens.attacks import autoattack

    small = tuple(
        dataclasses.replace(part, **({"queries": 100} if isinstance(part, Square) else {"steps": 6}))
        for part in autoattack.STANDARD
    )
    monkeypatch.setattr(autoattack, "STANDARD", small)
    peer = TheirAutoAttack(net, eps=EPS, seed=0, device="cpu")
    peer.fab.n_iter, peer.square.n_queries = 6, 100
    peer.apgd = APGDAttack(net, n_iter=6, eps=EPS, seed=0, device="cpu", logger=peer.logger)
    peer.apgd_targeted = APGDAttack_targeted(net, n_iter=6, eps=EPS, seed=0, device="cpu", logger=peer.logger)
    seen = {}
    found = AutoAttack(eps=EPS)(net, x, y, observe=lambda step, x_adv, logits: seen.update({step: logits.argmax(1)}))
    torch.testing.assert_close(found, peer.run_standard_evaluation(x, y, batch_size=100)[0], rtol=0, atol=1e-6)
    accuracies = [(seen[step] == y).float().mean().item() for step in range(5)]
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[4] < accuracies[0]


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("classes", [0, 9])
def test_fab_finds_the_nearest_boundary_of_a_linear_model(norm, classes):
    net, x = Linear(), images()
    y = net(x).argmax(1)
    nearest = distances(net, x, y, norm).min(1).values
    x_adv = FAB(eps=1.0, norm=norm, steps=30, classes=classes)(net, x, y)
    delta = (x_adv - x).flatten(1)
    reached = delta.abs().amax(1) if norm == "linf" else delta.norm(dim=1)
    assert (net(x_adv).argmax(1) != y).all()
    assert (reached >= 0.999 * nearest).all()
    assert (reached <= 1.06 * nearest).all()  # it oversteps by 5 %


@pytest.mark.parametrize("attack", [APGD(loss="targeted-dlr", steps=20), FAB(steps=20), FAB(steps=20, classes=9)])
def test_multi_target_attacks_break_just_the_images_of_a_linear_model_that_can_be_broken(attack):
    net, x = Linear(), images(24)
    y = net(x).argmax(1)
    nearest = distances(net, x, y, "linf").min(1).values
    eps = nearest.median().item()
    broken = net(dataclasses.replace(attack, eps=eps)(net, x, y)).argmax(1) != y
    clear = ((nearest / eps) - 1).abs() > 0.06
    assert torch.equal(broken[clear], nearest[clear] < eps)


@pytest.mark.parametrize("loss", ["ce", "dlr"])
def test_apgd_keeps_its_best_point_where_it_fails_or_gives_the_image_back(loss):
    """Strict: a failure's margin has fallen by 40 % at least of what a linear model allows; paper: the image itself."""
    net, x = Linear(), images(24)
    y = net(x).argmax(1)
    eps = 0.5 * distances(net, x, y, "linf").min().item()
    margin = lambda p: -(net(p) - net(p).gather(1, y[:, None])).scatter(1, y[:, None], -torch.inf).amax(1)  # noqa: E731
    best = APGD(eps=eps, loss=loss, steps=30)(net, x, y)
    apart = (net.weight[y][:, None] - net.weight[None]).abs().sum(2)
    margins = net(x).gather(1, y[:, None]) - net(x)
    least = (margins - eps * apart).scatter(1, y[:, None], torch.inf).amin(1)
    assert (margin(best) >= least - 1e-4).all()
    assert (margin(best) <= least + 0.6 * (margin(x) - least)).all()
    assert torch.equal(APGD(eps=eps, loss=loss, steps=30, semantics="paper")(net, x, y), x)


def test_square_keeps_its_best_point_where_it_fails_and_never_beats_what_is_possible():
    net, x = Linear(), images(24)
    y = net(x).argmax(1)
    eps = 0.5 * distances(net, x, y, "linf").min().item()
    best = Square(eps=eps, queries=100)(net, x, y)
    assert (net(best).argmax(1) == y).all()
    assert ((best - x).flatten(1).abs().amax(1) > 0.9 * eps).all()
    assert (distances(net, best, y, "linf").min(1).values < distances(net, x, y, "linf").min(1).values).all()
    assert torch.equal(Square(eps=eps, queries=100, semantics="paper")(net, x, y), x)


@pytest.mark.parametrize("classes", [3, 4, 5])
@pytest.mark.parametrize("name", ["apgd-ce", "apgd-dlr", "apgd-t", "fab", "fab-t", "square"])
def test_few_classes_are_attacked_or_the_error_says_how_many_it_takes(classes, name):
    net, x = Linear(classes), images(4)
    attack = dataclasses.replace(OURS[name], eps=0.3)
    if name == "apgd-t" and classes < 4:
        with pytest.raises(UserError, match="needs a model of at least 4 classes, this one has 3; take apgd-ce"):
            attack(net, x, net(x).argmax(1))
    else:
        y = net(x).argmax(1)
        assert (net(attack(net, x, y)).argmax(1) != y).all()


def test_batches_are_those_of_the_setting_and_keyed_by_their_first_image(sat):
    net, x, y, index = sat
    attack = APGD(eps=EPS, steps=3, batch=10, semantics="paper")
    whole = attack(net, x, y, index=index)
    parts = [attack(net, x[i : i + 10], y[i : i + 10], index=index[i : i + 10]) for i in (0, 10, 20)]
    assert torch.equal(whole, torch.cat(parts))
    first = APGDAttack(net, n_iter=3, norm="Linf", eps=EPS, seed=10, device="cpu").perturb(x[10:20], y[10:20])
    assert torch.equal(parts[1], first)


def test_no_warning_and_no_print_on_vanishing_gradients(capsys):
    flat = lambda x: 0 * x.flatten(1)[:, :4] + torch.tensor([1.0, 0, 0, 0])  # noqa: E731
    x, y = images(3), torch.zeros(3, dtype=torch.long)
    assert torch.equal(APGD(loss="dlr", steps=2, semantics="paper")(flat, x, y), x)
    out = capsys.readouterr()
    assert out.out == out.err == ""
