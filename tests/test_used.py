"""Options that some of the named objectives can use: these train with them, the others as if they were not typed."""

import pytest

from energylens.train.command import What, runs
from energylens.train.objectives import OBJECTIVES


@pytest.mark.parametrize(
    ("typed", "using"),
    [
        ({"burn_in": 0}, ["mail-at", "weat-adv"]),
        ({"normalize": "mean1"}, ["mail-at", "weat-adv"]),
        ({"beta": 3.0}, ["weat-adv"]),
        ({"der": 1.0}, ["fgsm-at", "sat", "mail-at", "weat-adv", "jeat"]),
        ({"attack_steps": 2}, ["sat", "mail-at", "weat-adv", "jeat"]),
        ({"step_size": 0.1}, ["sat", "mail-at", "weat-adv", "jeat"]),
        ({"sgld_steps": 3, "buffer": 99, "rho": 0.5}, ["jeat"]),
        ({"cycle_momentum": False, "momentum": 0.5}, ["standard", "fgsm-at", "sat", "mail-at", "weat-adv"]),
        ({"ema": 0.9}, ["standard", "fgsm-at", "sat", "mail-at", "weat-adv", "jeat"]),
    ],
)
def test_those_that_can_use_an_option_have_it_and_the_others_their_usual_recipe(typed, using):
    names = ["standard", "fgsm-at", "sat", "mail-at", "weat-adv", "jeat"]
    name = list(typed)[-1]
    for run, usual in zip(runs(names, What(), typed), runs(names, What(), {}), strict=True):
        has = getattr(run.settings, name) == typed[name]
        assert has == (run.objective in using), run.objective
        if not has and name != "momentum":  # the rate's cycle is for all
            assert run == usual


def test_a_subset_is_left_unperturbed_by_those_that_attack_and_standard_trains_on_all():
    made = {run.objective: run for run in runs(["all"], What(subset="classes:0"), {})}
    assert list(made) == list(OBJECTIVES)
    assert {name for name, run in made.items() if run.subset is None} == {"standard"}
    assert made["standard"] == runs(["standard"], What(), {})[0]
    removed = runs(["standard", "sat"], What(subset="classes:0", subset_mode="removed"), {})
    assert [run.subset for run in removed] == ["classes:0", "classes:0"]
    assert [run.subset for run in runs(["standard"], What(subset="classes:0"), {})] == ["classes:0"]  # refused later
