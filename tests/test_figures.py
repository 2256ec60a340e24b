"""Every figure draws from made tables, shows what the paper shows, and says where it came from."""

import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.colors import to_hex

from energylens import draw, paths
from energylens.attacks import PGD, Attack
from energylens.claims import Verdict
from energylens.errors import UserError
from energylens.from_runs import OfTrainings
from energylens.generate import Generation, Method, Scored
from energylens.options import Drawn
from energylens.plots import style, violins
from energylens.recipe import Recipe, recipes
from energylens.train.objectives import OBJECTIVES

fig4 = paths.load("figures", "fig4")
RNG = np.random.default_rng(0)
MODELS = {"SAT": (RNG.normal(-0.7, 0.3, 60), 0.4), "TRADES": (RNG.normal(-0.1, 0.05, 60), 0.55)}


@pytest.mark.parametrize("name", paths.names("figures"))
def test_every_figure_declares_its_interface(name):
    module = paths.load("figures", name)
    assert module.__doc__
    assert set(module.NEEDS) <= set(paths.names("analyses"))
    assert module.WIDTH in style.WIDTHS_IN
    assert all(claim.__doc__ for claim in module.CLAIMS)
    assert isinstance(module.PAPER, dict)


@pytest.mark.parametrize("name", paths.names("analyses"))
def test_every_analysis_has_recipes_that_name_real_things(name):
    found = recipes(name)
    assert {"demo", "paper"} <= set(found)
    for recipe in found.values():
        if isinstance(recipe, OfTrainings):
            for run in (run for one in recipe.trainings for run in one.runs(Path("runs"))):
                assert run.objective in OBJECTIVES
            continue
        for part in recipe.parts if isinstance(recipe, Scored) else (recipe,):
            if isinstance(part, Generation):
                assert all(isinstance(method, Method) for method in part.methods)
            else:
                assert isinstance(part, Recipe)
                assert all(isinstance(attack, Attack) for attack in part.attacks)
            models, methods = part.names
            assert len(set(models)) == len(part.models)
            assert len(set(methods)) == len(methods)
        if isinstance(recipe, Recipe):
            assert len({attack.name for attack in recipe.attacks}) == len(recipe.attacks)


def test_figure_4s_models_stand_in_the_papers_order():
    recipe = paths.load("analyses", "delta_energy").PAPER
    assert [name.partition("=")[2] for name in recipe.models] == list(fig4.PAPER)
    assert [accuracy for accuracy, _ in fig4.PAPER.values()] == [
        49.25,
        59.64,
        53.08,
        56.29,
        56.17,
        57.09,
        67.73,
        70.69,
    ]
    assert recipe.attacks == (PGD(eps=8 / 255, steps=20),)
    assert (recipe.data, recipe.samples) == ("cifar10:test", None)


def test_figure_4_shows_half_violins_on_a_symlog_axis(made_table):
    with rc_context(style.rc(fig4.WIDTH)):
        figure = fig4.draw(made_table(MODELS))
    (ax,) = figure.axes
    assert ax.get_yscale() == "symlog"
    assert ax.yaxis.get_transform().linthresh == 1
    assert [label.get_text() for label in ax.get_xticklabels()] == ["SAT", "TRADES"]
    left, right = ax.collections[0], ax.collections[1]
    assert to_hex(left.get_facecolor()[0]) == style.MARGINAL
    assert to_hex(right.get_facecolor()[0]) == style.JOINT
    outline = left.get_paths()[0].vertices
    assert outline[:, 0].max() == pytest.approx(0)  # the left half lies left of its place
    deltas = MODELS["SAT"][0]
    assert outline[:, 1].min() == pytest.approx(deltas.min())
    assert outline[:, 1].max() == pytest.approx(deltas.max())
    assert right.get_paths()[0].vertices[:, 1].min() == pytest.approx(2 * deltas.min())
    assert sorted(line.get_ydata()[0] for line in ax.lines if line.get_linestyle() == "--") == [-1, 0, 1]
    assert figure.get_size_inches()[0] == style.TEXT_WIDTH_IN


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_figure_4s_numbers_are_this_tables_pgd_accuracies_and_say_so(made_table):
    found = texts(fig4.draw(made_table(MODELS)))
    assert found == [
        "40.0",
        "55.0",
        "accuracy [%] under PGD-20 (linf, eps 8/255), this table, 60 images of cifar10:test",
    ]


def test_figure_4_adds_published_accuracies_only_where_all_models_have_one(made_table):
    published = {
        name: MODELS[short] for name, short in (("Engstrom2019Robustness", "SAT"), ("Zhang2020Geometry", "TRADES"))
    }
    found = texts(fig4.draw(made_table(published, reference="robustbench:cifar10/Linf/{}")))
    assert found[:2] == ["40.0", "55.0"]
    assert found[3:5] == ["49.25", "59.64*"]
    assert "AutoAttack, published" in found[5]
    mixed = made_table(published | {"mine": MODELS["SAT"]}, reference="robustbench:cifar10/Linf/{}")
    assert len(texts(fig4.draw(mixed))) == 4


def test_claims_of_every_figure_give_verdicts(made_table):
    for claim in fig4.CLAIMS:
        verdict = claim(delta_energy=made_table(MODELS))
        assert isinstance(verdict, Verdict)
        assert re.match(r"(holds|fails|cannot tell)\b", str(verdict))


def test_a_violin_of_equal_values_is_a_tick_and_nan_is_left_out(made_table):
    figure = fig4.draw(made_table({"a": ([1.0] * 5, 1), "b": ([np.nan, 1, 2, 3], 1), "c": ([np.nan] * 3, 1)}))
    assert len(figure.axes[0].collections) == 2  # the halves of b


def test_violin_areas_are_shares_of_images_on_the_drawn_axis():
    """Two clusters of equal size a decade apart on a log part of the axis have equal areas."""
    from matplotlib import pyplot as plt

    rng = np.random.default_rng(0)
    values = np.concatenate([10 ** rng.normal(1, 0.05, 4000), 10 ** rng.normal(2, 0.05, 4000)])
    _, ax = plt.subplots()
    ax.set_yscale("symlog", linthresh=1)
    import pandas as pd

    violins.halves(ax, {"a": (pd.Series(values), pd.Series(values))}, ("red", "blue"), ("l", "r"))
    outline = ax.collections[1].get_paths()[0].vertices
    heights = ax.yaxis.get_transform().transform(outline[:, 1])
    middle = ax.yaxis.get_transform().transform(np.array([10**1.5]))[0]
    keep = outline[:, 0] > 1e-9
    low, high = (outline[keep & side, 0].sum() for side in (heights < middle, heights > middle))
    assert low == pytest.approx(high, rel=0.05)


def test_styles_are_settings_that_matplotlib_accepts():
    for width, inches in style.WIDTHS_IN.items():
        with rc_context(style.rc(width)):
            assert style.rc(width)["figure.figsize"][0] == inches
            assert style.rc(width)["pdf.fonttype"] == 42


def choice(**given):
    return draw.job("fig6a", "demo", Drawn(**given), None).needs


def test_a_users_choices_go_to_the_tables_that_they_are_for():
    needs = choice(models=["nets.py:net"], data="cifar10", eps=8 / 255, samples=7)
    chains, points = needs["generators"], needs["generator_robustness"]
    assert (chains.data, chains.images, points.data, points.samples) == ("cifar10:train", 7, "cifar10", None)
    assert points.attacks[0].eps == 8 / 255


def test_a_choice_that_no_table_of_a_figure_takes_is_refused():
    with pytest.raises(UserError, match=r"--eps 0.1: chains have no such thing; leave it out"):
        draw.job("fig5e", "demo", Drawn(eps=0.1), None)
    with pytest.raises(UserError, match=r"--features is for tables of scores, and fig4 has none; leave it out"):
        draw.job("fig4", "demo", Drawn(features=["inception"]), None)
