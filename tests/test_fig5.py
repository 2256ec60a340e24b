"""Figures 5b-d from made tables: where points lie, what is printed, and claims with known answers."""

import io
import json

import numpy as np
import pandas as pd
import pytest
import torch
from made_tables import rows
from matplotlib import rc_context
from PIL import Image
from safetensors.torch import save_file
from scipy import stats

from energylens import classes, command, figure, paths
from energylens.claims import CANNOT_TELL, FAILS, HOLDS
from energylens.models import architectures
from energylens.plots import style

fig5b, fig5c, fig5d = (paths.load("figures", name) for name in ("fig5b", "fig5c", "fig5d"))
N = 60
RNG = np.random.default_rng(0)
MARGIN = np.linspace(-0.9, 0.9, N)
NOISE = RNG.permutation(MARGIN)


def points(joint, energy, margin=MARGIN) -> pd.DataFrame:
    label, n = np.zeros(len(margin), int), len(margin)
    natural = rows("SAT", "natural", "ref", np.full(n, -50.0), label, label, prob_margin=1.0)
    attacked = rows("SAT", "pgd", "ref", energy, label, label, joint=joint, prob_margin=margin)
    return pd.concat([natural, attacked], ignore_index=True)


def drawn(module, made):
    with rc_context(style.rc(module.WIDTH)):
        shown = module.draw(made)
        shown.draw_without_rendering()
    return shown


@pytest.mark.parametrize(("module", "values"), [(fig5b, -3 * MARGIN), (fig5c, NOISE)])
def test_margins_of_attacked_images_stand_against_their_energies(module, values):
    (ax,) = drawn(module, points(-3 * MARGIN, NOISE)).axes
    (cloud,) = ax.collections
    assert np.asarray(cloud.get_offsets()) == pytest.approx(np.column_stack([values, MARGIN]))
    pearson, spearman = stats.pearsonr(values, MARGIN).statistic, stats.spearmanr(values, MARGIN).statistic
    numbers = f"Pearson {pearson:.2f}, Spearman {spearman:.2f}".replace("-", "−")
    assert ax.get_title() == f"SAT under PGD-20\n60 images of cifar10:test\n{numbers}"
    assert ax.get_ylabel().startswith(r"PM $= p_y - \max_{j\neq y}")
    assert ("x^*, y" in ax.get_xlabel()) == (module is fig5b)


SHAKEN = MARGIN + 0.6 * RNG.standard_normal(N)
"""with a rank correlation of about 0.6"""


@pytest.mark.parametrize(
    ("joint", "outcome"), [(-3 * MARGIN, HOLDS), (3 * MARGIN, FAILS), (NOISE, FAILS), (-SHAKEN, CANNOT_TELL)]
)
def test_the_margin_falls_strongly_with_the_joint_energy(joint, outcome):
    verdict = fig5b.CLAIMS[0](sat_points=points(joint, NOISE))
    assert verdict.outcome == outcome
    assert verdict.number == pytest.approx(stats.spearmanr(joint, MARGIN).statistic)
    assert verdict.interval[0] - 1e-9 <= verdict.number <= verdict.interval[1] + 1e-9
    assert f"Pearson {stats.pearsonr(joint, MARGIN).statistic:+.2f}" in verdict.detail
    assert verdict.n == N


@pytest.mark.parametrize(("energy", "outcome"), [(-MARGIN, HOLDS), (MARGIN, FAILS), (NOISE, CANNOT_TELL)])
def test_the_margin_falls_with_the_marginal_energy(energy, outcome):
    verdict = fig5c.CLAIMS[0](sat_points=points(NOISE, energy))
    assert verdict.outcome == outcome
    assert verdict.number == pytest.approx(stats.spearmanr(energy, MARGIN).statistic)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("joint", "energy", "outcome"),
    [(-3 * MARGIN, NOISE, HOLDS), (NOISE, -3 * MARGIN, FAILS), (-SHAKEN, -SHAKEN[::-1], CANNOT_TELL)],
)
def test_the_first_correlation_is_stronger_whichever_its_sign(joint, energy, outcome, sign):
    made = points(joint, sign * energy)
    verdict = fig5b.CLAIMS[1](sat_points=made)
    one, two = (stats.spearmanr(values, MARGIN).statistic for values in (joint, sign * energy))
    assert verdict.outcome == outcome
    assert verdict.number == pytest.approx(abs(one) - abs(two))
    assert f"Spearman {one:+.3f} against {two:+.3f}, Pearson" in verdict.detail
    assert fig5c.CLAIMS[1] is fig5b.CLAIMS[1]


def test_of_many_images_5000_are_ranked():
    many = np.linspace(-1, 1, 6000)
    verdict = fig5c.CLAIMS[0](sat_points=points(many, -many, many))
    assert (verdict.n, verdict.number) == (5000, pytest.approx(-1))


def test_few_equal_or_nan_margins_cannot_tell():
    few = points(MARGIN[:10], MARGIN[:10], MARGIN[:10])
    equal = points(np.ones(N), np.ones(N))
    for made, why in ((few, "10 images; 20 are the fewest"), (equal, "all 60 images have the same value")):
        for claim in {*fig5b.CLAIMS, *fig5c.CLAIMS}:
            verdict = claim(sat_points=made)
            assert (verdict.outcome, verdict.detail) == (CANNOT_TELL, why)
    broken = points(-MARGIN, MARGIN)
    broken.loc[broken["sample"] < 5, "prob_margin"] = np.nan
    assert fig5b.CLAIMS[0](sat_points=broken).n == N - 5
    assert "55 images" in drawn(fig5b, broken).axes[0].get_title()


ERRORS = np.array([0.3, 0.1, 0.5, 0.2, 0.7, 0.4, 0.6, 0.05])
"""of eight classes"""


def networks(energy, entropy=ERRORS, standard=None, errors=ERRORS) -> pd.DataFrame:
    """Three images a class, of errors e - 0.01, e, e + 0.01; attacked ones have twice the entropy."""
    label = np.repeat(np.arange(len(errors)), 3)
    ce = -np.log1p(-(errors[label] + np.tile([-0.01, 0, 0.01], len(errors))))
    frames = []
    for name, values in {"SAT": energy, "standard": standard}.items():
        if values is not None:
            more = {"ce": ce, "entropy": entropy[label]}
            frames.append(rows(name, "natural", name, values[label], label, label, **more))
            frames.append(rows(name, "pgd", name, -values[label], label, label, **more))
    return pd.concat(frames, ignore_index=True)


def test_means_of_classes_are_those_of_hand():
    """Two images of class 1: 1 - p is 0.5 and 0.75; one of class 0: 0.9. One NaN row is in none."""
    ce = -np.log([0.5, 0.25, 0.1, 0.1])
    made = rows("m", "natural", "m", [-1.0, -3.0, -7.0, np.nan], [1, 1, 0, 0], 0, ce=ce, entropy=[0.2, 0.4, 1.0, 0])
    found = classes.means(made, "m")
    assert found.loc[1].to_dict() == pytest.approx({"error": 0.625, "entropy": 0.3, "energy": -2, "n": 2})
    assert found.loc[0].to_dict() == pytest.approx({"error": 0.9, "entropy": 1, "energy": -7, "n": 1})
    assert classes.means(made, "m", natural=False).empty


@pytest.mark.parametrize(
    ("values", "outcome"), [(ERRORS, HOLDS), (-ERRORS, FAILS), (np.array([3.0, 1, 2, 4, 1.5, 0, 5, 2.5]), CANNOT_TELL)]
)
@pytest.mark.parametrize(("place", "name"), [(0, "SAT"), (1, "standard")])
def test_classes_of_higher_error_have_higher_entropy_and_energy(values, outcome, place, name):
    made = networks(values, values, standard=values)
    for verdict in (claim(class_energies=made) for claim in fig5d.CLAIMS[2 * place : 2 * place + 2]):
        assert verdict.outcome == outcome
        assert verdict.number == pytest.approx(stats.spearmanr(ERRORS, values).statistic)
        assert verdict.n == 8
        assert f"({name})" in verdict.claim
    if outcome == HOLDS:
        assert "p = 5e-05" in verdict.detail  # 2 of 40,320 orders
        assert "Spearman under the attack -1.00" in verdict.detail  # whose energies have the other sign


def test_four_classes_or_one_network_cannot_tell():
    few = networks(ERRORS[:4], ERRORS[:4], errors=ERRORS[:4])
    details = [claim(class_energies=few).detail for claim in fig5d.CLAIMS]
    assert details[:2] == ["4 classes; 5 are the fewest that could decide it"] * 2
    assert details[2:] == ["the table has 1 of the 2 networks"] * 2
    equal = networks(np.ones(8), np.ones(8))
    assert {claim(class_energies=equal).outcome for claim in fig5d.CLAIMS} == {CANNOT_TELL}


def test_three_series_a_network_by_error():
    order = np.argsort(ERRORS)
    shown = drawn(fig5d, networks(-ERRORS, 2 * ERRORS, standard=ERRORS))
    assert len(shown.axes) == 6
    for ax, values in zip(shown.axes[::2], (ERRORS, 2 * ERRORS, -ERRORS), strict=True):
        assert ax.lines[0].get_ydata() == pytest.approx(values[order])
    assert shown.axes[1].get_title() == "standard"
    titles = [ax.get_title().removeprefix("rank correlation with the error ") for ax in shown.axes[2:]]
    assert titles == ["+1.00", "+1.00", "−1.00", "+1.00"]
    names = [label.get_text() for label in shown.axes[4].get_xticklabels()]
    assert names[:2] == ["horse", "automobile"]  # classes 7 and 1 of CIFAR-10
    assert shown.get_suptitle() == "means over 24 natural images of cifar10:test"


def test_classes_without_names_have_their_numbers_and_hundreds_have_none():
    made = networks(ERRORS).assign(data="digits")
    labels = [label.get_text() for label in drawn(fig5d, made).axes[-1].get_xticklabels()]
    assert labels == [str(label) for label in np.argsort(ERRORS)]
    hundred = np.linspace(0.1, 0.9, 100)
    made = networks(hundred, hundred, errors=hundred).assign(data="cifar100")
    assert not drawn(fig5d, made).axes[-1].get_xticklabels()


def place(folder) -> None:
    """Four training images, and two trained networks, where a user would have them."""
    rng, cells = np.random.default_rng(0), []
    for _ in range(4):
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(buffer, "PNG")
        cells.append({"bytes": buffer.getvalue(), "path": None})
    (folder / "data" / "cifar10").mkdir(parents=True)
    file = folder / "data" / "cifar10" / "train-00000-of-00001.parquet"
    pd.DataFrame({"img": cells, "label": [3, 8, 8, 0]}).to_parquet(file)


def networks_at(folder) -> None:
    arch = "resnet18:classes=10"
    for run in ("sat", "standard"):
        torch.manual_seed(0)
        path = folder / f"runs/{run}-cifar10-resnet18-1/last.safetensors"
        path.parent.mkdir(parents=True)
        save_file(architectures.build(arch).state_dict(), path, {"energylens": json.dumps({"arch": arch})})


@pytest.mark.parametrize(
    ("names", "analysis", "networks"),
    [(["fig5b", "fig5c"], "sat_points", 1), pytest.param(["fig5d"], "class_energies", 2, marks=pytest.mark.slow)],
)
def test_at_paper_scale_it_asks_for_its_networks_and_reads_them_once_they_are_trained(
    tmp_path, capsys, monkeypatch, names, analysis, networks
):
    monkeypatch.chdir(tmp_path)
    place(tmp_path)
    words = [*names, "--scale", "paper", "--data-dir", "data", "--samples", "4", "--format", "png"]
    assert command.run(figure.app, "test", words) == 2
    error = capsys.readouterr().err
    for run in ("sat", "standard")[:networks]:
        assert f"python -m energylens.train {run} --data cifar10 --arch resnet18 --seed 1" in error
    assert error.count("\n") == 1
    networks_at(tmp_path)
    assert command.run(figure.app, "test", words) == 0
    assert capsys.readouterr().out.count("claim: cannot tell") == 4  # of 4 images
    found = pd.read_parquet(tmp_path / "tables" / analysis / "points")
    assert len(found) == networks * 2 * 4
    assert set(found["split"]) == {"train"}
    assert np.isfinite(found["prob_margin"]).all()
