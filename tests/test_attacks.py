"""Attacks by name: what a reference gives, what a name carries, and what is refused."""

import pytest
import torch

from energylens.attacks import PGD, parse, title
from energylens.attacks.starts import random_wrong_class
from energylens.errors import UserError


def test_random_targets_are_wrong_uniform_and_keyed_by_image():
    y = torch.arange(9000) % 10
    target = random_wrong_class(y, 10, 0, list(range(9000)))
    assert (target != y).all()
    counts = torch.bincount((target - y) % 10, minlength=10)[1:]
    assert counts.min() > 900  # expected 1,000 each, standard deviation 30
    assert counts.max() < 1100
    assert torch.equal(target[5:7], random_wrong_class(y[5:7], 10, 0, [5, 6]))


@pytest.mark.parametrize(
    ("attack", "name"),
    [
        (PGD(), "pgd"),
        (PGD(eps=4 / 255), "pgd-eps4_255"),
        (PGD(eps=0.2, steps=50), "pgd-eps0.2-steps50"),
        (PGD(norm="L2", eps=0.5), "pgd-eps0.5-norml2"),
        (PGD(loss="kl", start="tiny"), "pgd-kl"),
        (PGD(loss="targeted-ce", seed=3), "pgd-t-seed3"),
        (PGD(clamp_start=False), "pgd-clampstartfalse"),
    ],
)
def test_name_carries_what_is_not_the_default(attack, name):
    assert attack.name == name


def test_references_give_attacks():
    assert parse("pgd") == PGD()
    assert parse("pgd:steps=50:norm=L2:eps=1/2") == PGD(steps=50, norm="l2", eps=0.5)
    assert parse("pgd-kl:eps=4/255") == PGD(loss="kl", start="tiny", eps=4 / 255)


def test_titles_for_figures():
    assert title("pgd-eps0.2") == "PGD-20"
    assert title("pgd-kl-steps10") == "PGD-KL-10"
    assert title("mine") == "mine"


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: parse("pdg"), "unknown attack 'pdg'; did you mean 'pgd'? available: pgd, pgd-kl, pgd-t"),
        (lambda: parse("pgd:step=5"), "unknown setting of attack pgd 'step'; did you mean 'steps'?"),
        (lambda: parse("pgd:steps"), "'steps' in 'pgd:steps' is no setting; write pgd:KEY=VALUE"),
        (lambda: PGD(norm="l3"), "unknown norm of PGD 'l3'; did you mean 'l2'? available: linf, l2"),
        (lambda: PGD(loss="dlr"), "unknown loss of PGD 'dlr'"),
        (lambda: PGD(eps=0), "PGD(eps=0): eps must be a number, above 0"),
        (lambda: PGD(steps=2.5), "PGD(steps=2.5): steps must be a whole number, at least 1"),
        (lambda: PGD(eps=8), "PGD(eps=8) is above 1, the whole range of a pixel; 8 of 255 is written 8/255"),
        (lambda: PGD(clamp_start="no"), "PGD(clamp_start='no'): clamp_start is true or false"),
        (lambda: parse("pgd:norm=l2"), "write pgd:norm=l2:eps=0.5, say"),
        (lambda: PGD(step_size="x"), "PGD(step_size='x'): step_size must be a number, above 0"),
        (lambda: PGD(eps=float("nan")), "PGD(eps=nan): eps must be a number"),
        (lambda: PGD(loss="kl", start="clean"), "would follow rounding noise: KL is flat at the clean input"),
    ],
)
def test_mistakes_are_named(make, text):
    with pytest.raises(UserError) as error:
        make()
    assert text in str(error.value)
