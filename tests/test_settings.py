"""Recipes: the paper's is the default, a user's changes are kept, and what cannot be is refused."""

import dataclasses

import pytest
import torch

from energylens.data import Data
from energylens.errors import UserError
from energylens.train import objectives
from energylens.train.settings import Settings, difference, preset_of, recipe
from energylens.train.state import State


@pytest.mark.parametrize(
    ("preset", "objective", "data", "wanted"),
    [
        ("paper", "sat", "cifar10", {"epochs": 100, "lr": 0.1, "batch": 128, "eps": 8 / 255, "attack_steps": 10}),
        ("paper", "sat", "cifar10", {"weight_decay": 5e-4, "augment": True, "seed": 1, "cycle_momentum": True}),
        ("paper", "trades", "svhn:train", {"epochs": 30}),
        ("paper", "weat-adv", "cifar100", {"beta": 7}),
        ("paper", "weat-adv", "cifar10", {"beta": None}),
        ("paper", "weat-nat", "cifar100", {"beta": None}),
        ("paper", "tab1c-8", "cifar100", {"beta": None}),
        ("demo", "weat-adv", "digits", {"eps": 0.2, "epochs": 24, "augment": False}),
    ],
)
def test_presets_are_the_papers(preset, objective, data, wanted):
    made = recipe(preset, objective, data)
    assert {name: getattr(made, name) for name in wanted} == wanted


def test_betas_of_the_paper_reach_the_kl_term():
    """Table 1a takes 7 for WEAT_ADV on CIFAR-100, Table 1c keeps 6."""
    scales = {}
    for name in ("weat-adv", "tab1c-8"):
        made = recipe("paper", name, "cifar100")
        scales[name] = {term.name: term.scale for term in objectives.objective(name, made.beta).terms}["kl"]
    assert scales == {"weat-adv": 7, "tab1c-8": 6}


def test_a_change_goes_over_the_preset_and_none_is_no_change():
    made = recipe("paper", "weat-adv", "cifar100", beta=5.0, epochs=None, augment=False)
    assert (made.beta, made.epochs, made.augment) == (5, 100, False)


def test_jeats_one_step_is_eps_whatever_that_is():
    own = {"epochs": 200, "batch": 64, "lr": 1e-4, "attack_steps": 1}
    made = recipe("paper", "jeat", "cifar10")
    assert (made.eps, made.step_size) == (8 / 255, 8 / 255)
    assert {name: getattr(made, name) for name in own} == own
    assert recipe("paper", "jeat", "cifar10", eps=4 / 255).step_size == 4 / 255
    assert recipe("paper", "jeat", "cifar10", eps=4 / 255, step_size=0.01).step_size == 0.01
    assert recipe("demo", "jeat", "digits").step_size is None


def test_the_digits_are_trained_on_by_the_demo_preset():
    names = ("digits", "digits:train", "cifar10", "x.npz")
    assert [preset_of(name) for name in names] == ["demo", "demo", "paper", "paper"]


def images(count: int) -> Data:
    return Data("made", "train", torch.zeros(1, 1, 4, 4), torch.zeros(1, dtype=torch.long), torch.arange(count).numpy())


def schedule(settings: Settings, count: int) -> tuple[list[float], list[float]]:
    """Rate and momentum at the beginning of each epoch, and behind the last."""
    state = State(torch.nn.Linear(1, 1), objectives.OBJECTIVES["sat"], images(count), settings)
    group, steps = state.optimizer.param_groups[0], count // settings.batch + 1
    rates, momenta = [group["lr"]], [group["momentum"]]
    for step in range(1, settings.epochs * steps):
        state.update()
        if step % steps == 0 or step == settings.epochs * steps - 1:
            rates.append(group["lr"])
            momenta.append(group["momentum"])
    return rates, momenta


def test_the_rate_follows_the_papers_cycle():
    """Epoch -> rate, from the closed form of the schedule; momentum .95 -> .85 at the peak -> .95."""
    rates, momenta = schedule(Settings(), 50_000)
    known = {0: 0.004, 5: 0.0132, 10: 0.0372, 20: 0.0908, 25: 0.1, 40: 0.0905, 50: 0.075, 60: 0.0552, 70: 0.0345}
    for epoch, rate in (known | {75: 0.025, 78: 0.0198, 80: 0.0165, 90: 0.0043, 95: 0.0011, 100: 4e-7}).items():
        assert rates[epoch] == pytest.approx(rate, rel=0.02, abs=1e-5), epoch
    assert [momenta[0], momenta[25], momenta[100]] == pytest.approx([0.95, 0.85, 0.95], abs=1e-4)


def test_momentum_stays_where_it_is_not_cycled():
    momenta = schedule(Settings(epochs=4, cycle_momentum=False), 1000)[1]
    assert set(momenta) == {0.9}


def test_a_step_is_reserved_where_the_batch_divides_the_images():
    """floor(N / B) + 1 steps an epoch, as in the public code: 9 and not 8 for 1,024 images."""
    state = State(torch.nn.Linear(1, 1), objectives.OBJECTIVES["sat"], images(1024), Settings(epochs=2))
    assert state.schedule.total_steps == 18


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"eps": 0}, "--eps 0 must be above 0; an attack of radius 0 moves nothing: train the objective standard"),
        ({"eps": 8}, "--eps 8 is above 1, the whole range of a pixel; 8 of 255 is written 8/255"),
        ({"burn_in": 101}, "--burn-in 101 lies beyond the 100 epochs"),
        ({"select": "best-val", "select_after": 100}, "--select-after 100 lies beyond the 100 epochs"),
        ({"select_after": 3}, "--select-after goes with --select best-val or best-synthetic"),
        ({"epochs": 0}, "--epochs 0 must be a whole number, at least 1"),
        ({"awp": 0.005, "epochs": 10}, "--awp-warmup 10 leaves none of the 10 epochs"),
        ({"ema": 1.0}, "--ema 1 must be below 1"),
        ({"lr": float("nan")}, "--lr nan must be a number"),
        ({"weight_decay": -1}, "--weight-decay -1 must be a number, at least 0"),
        ({"optimizer": "sdg"}, "unknown optimizer 'sdg'; did you mean 'sgd'?"),
        ({"normalize": "mean"}, "unknown normalize 'mean'; did you mean 'mean1'?"),
        ({"select": "best"}, "unknown select 'best'"),
        ({"seed": -1}, "--seed -1 must be a whole number, at least 0"),
    ],
)
def test_what_cannot_be_is_told(settings, text):
    with pytest.raises(UserError) as error:
        Settings(**settings)
    assert text in str(error.value)


def test_an_unknown_preset_is_told():
    with pytest.raises(UserError, match="unknown preset 'demos'; did you mean 'demo'"):
        recipe("demos", "sat", "digits")


def test_differences_are_told_as_options():
    old = dataclasses.asdict(Settings(lr=0.2, beta=5))
    assert difference(old, Settings()) == ["--lr 0.2 there, 0.1 here", "--beta 5 there, none here"]
