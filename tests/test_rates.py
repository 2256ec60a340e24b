"""Seconds an image: measured, told from the same attack on other models, or not at all."""

import pytest

from energylens.rates import Rates, spoken


@pytest.fixture
def rates() -> Rates:
    """`big` is three times as slow as `small`; PGD was seen on `small` alone, at 2 s an image."""
    made = Rates()
    for pair, images, seconds in (
        (("small", "natural"), 100, 10.0),
        (("big", "natural"), 50, 15.0),
        (("small", "pgd"), 10, 20.0),
    ):
        made.add(pair, images, seconds)
    return made


def test_what_was_seen(rates):
    assert rates.rate(("small", "natural")) == pytest.approx(0.1)
    rates.add(("small", "natural"), 100, 30.0)
    assert rates.rate(("small", "natural")) == pytest.approx(0.2)


def test_the_same_attack_on_a_slower_model(rates):
    assert rates.rate(("big", "pgd")) == pytest.approx(6.0)
    assert rates.rate(("unseen", "pgd")) == pytest.approx(2.0)
    assert rates.rate(("big", "square")) is None


def test_time_left(rates):
    assert rates.left([(("big", "pgd"), 10), (("small", "natural"), 5)]) == pytest.approx(60.5)
    # of Square nothing is known: as slow as the mean of the others, 60 s for 10 images
    assert rates.left([(("big", "pgd"), 10), (("big", "square"), 5)]) == pytest.approx(90.0)
    # or as the mean of all that was seen: 45 s for 160 images
    assert rates.left([(("big", "square"), 160)]) == pytest.approx(45.0)
    assert Rates().left([(("big", "square"), 5)]) is None
    assert Rates().left([]) == 0


def test_images_begun_anew_leave_no_rate():
    rates = Rates()
    rates.add(("net", "pgd"), 8, 1.0)
    rates.add(("net", "pgd"), -8, 0.0)
    assert rates.rate(("net", "pgd")) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "unknown"),
        (0.41, "0.4 s"),
        (41, "41 s"),
        (119, "119 s"),
        (720, "12.0 min"),
        (12600, "3.5 h"),
        (2e5, "2.3 days"),
    ],
)
def test_times_in_words(seconds, words):
    assert spoken(seconds) == words
