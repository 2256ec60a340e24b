"""The guide to exploring a table says what is so: its blocks are run, its numbers found again by hand."""

import contextlib
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from energylens import cli, command, table

GUIDE = Path(__file__).parent.parent / "docs" / "explore.md"
MODELS = ("sat", "standard-6", "trades")
ATTACKS = ("natural", "pgd-eps0.2", "square-eps0.2-queries500")
PGD, SQUARE = ATTACKS[1:]


@pytest.fixture(scope="module")
def guide(tmp_path_factory) -> dict[str, Any]:
    """The variables of its blocks, all run in their order; `plain` is what was measured, before it is compacted."""
    variables: dict[str, Any] = {}
    points = Path("tables/mine/points")
    with contextlib.chdir(tmp_path_factory.mktemp("guide")):
        for language, block in re.findall(r"```(bash|python)\n(.*?)```", GUIDE.read_text(), re.DOTALL):
            if language == "python":
                exec(compile(block, GUIDE.name, "exec"), variables)
                continue
            for line in block.splitlines():
                _, _, module, *arguments = shlex.split(line)
                assert command.run(cli.app(), "energylens", [*module.split(".")[1:], *arguments]) == 0
            if "plain" not in variables:
                variables["plain"] = pd.read_parquet(points).astype({"model": str, "attack": str})
                shutil.copytree(points / "model=sat", points / "_aside" / "model=sat")  # for nobody to read
        variables["files"] = [len(table.parts(where)) for where in points.glob("model=*/attack=*")]
        variables["after"] = pd.read_parquet(points).astype({"model": str, "attack": str})
    return variables


def of(guide: dict[str, Any], model: str, attack: str) -> pd.DataFrame:
    """By image."""
    plain = guide["plain"]
    return plain[(plain["model"] == model) & (plain["attack"] == attack)].set_index("sample").sort_index()


def test_robust_accuracy(guide):
    accuracy = guide["accuracy"]
    assert list(accuracy) == list(ATTACKS)
    for model in MODELS:
        for attack in ATTACKS:
            rows = of(guide, model, attack)
            assert accuracy.loc[model, attack] == pytest.approx(np.mean(rows["pred"] == rows["label"]))
    assert accuracy.loc["standard-6", PGD] == 0 < accuracy.loc["trades", PGD] < accuracy.loc["trades", "natural"]


def test_images_that_fall_under_one_attack_alone(guide):
    expected = set()
    for model in MODELS:
        natural, pgd, square = (of(guide, model, attack) for attack in ATTACKS)
        for sample, label in natural["label"].items():
            if natural["pred"][sample] == label != pgd["pred"][sample] and square["pred"][sample] == label:
                expected.add((model, sample))
    assert set(guide["only_pgd"].index) == expected
    assert any(model == "sat" for model, _ in expected)


def test_energies_of_right_and_wrong_images(guide):
    energies = guide["energies"]
    for model in MODELS:
        for attack in ATTACKS:
            rows, told = of(guide, model, attack), energies.loc[(model, attack)]
            assert told["count"].sum() == 200
            for right, row in told.iterrows():
                group = rows["energy"][(rows["pred"] == rows["label"]) == right]
                assert (row["count"], row["mean"]) == (len(group), pytest.approx(np.mean(group), rel=1e-5))
    assert list(energies.loc[("standard-6", PGD)].index) == [False]


def test_correlation_of_energy_and_margin(guide):
    for model in MODELS:
        for attack in ATTACKS:
            rows = of(guide, model, attack).astype({"energy": float, "logit_margin": float})
            expected = np.corrcoef(rows["energy"], rows["logit_margin"])[0, 1]
            assert guide["correlation"].loc[model, attack] == pytest.approx(expected, rel=1e-4)
    assert (guide["correlation"]["natural"] < 0).all(), "natural images: the likelier, the larger the margin"


def test_delta_energy_per_class(guide):
    delta = guide["delta"]
    assert list(delta) == list(range(10))
    for model in MODELS:
        for attack in (PGD, SQUARE):
            natural, rows = of(guide, model, "natural"), of(guide, model, attack)
            for label in range(10):
                fall = (natural["energy"] - rows["energy"])[natural["label"] == label]
                assert delta.loc[(model, attack), label] == pytest.approx(np.mean(fall), rel=1e-4)
    assert (delta.loc[("standard-6", PGD)] > 0).all(), "PGD lowers E(x) of a standard network"


def test_chosen_rows_and_columns(guide):
    broken, plain = guide["broken"], guide["plain"]
    assert list(broken) == ["sample", "energy", "logit_margin", "model", "attack"]
    wrong = plain[(plain["pred"] != plain["label"]) & (plain["attack"] != SQUARE)]
    key = ["model", "attack", "sample"]
    assert set(broken.astype({"model": str, "attack": str})[key].itertuples(index=False, name=None)) == set(
        wrong[key].itertuples(index=False, name=None)
    )
    assert list(guide["nan"]) == list(guide["rows"].drop(columns="right"))
    assert len(guide["nan"]) == 0


def test_compacting_leaves_one_file_and_every_row(guide):
    assert guide["files"] == [1] * 9
    order = ["model", "attack", "sample"]
    before, after = (guide[name].sort_values(order, ignore_index=True) for name in ("plain", "after"))
    pd.testing.assert_frame_equal(before, after)


def test_one_query_gives_the_same_and_reads_no_hidden_folder(guide):
    answer = guide["answer"].set_index(["model", "attack"])
    assert list(answer.index) == [(model, attack) for model in MODELS for attack in ATTACKS]
    assert set(answer["images"]) == {200}
    for model, attack in answer.index:
        fall = of(guide, model, "natural")["energy"] - of(guide, model, attack)["energy"]
        assert answer["delta_energy"][model, attack] == pytest.approx(np.mean(fall), rel=1e-4, abs=1e-12)
        assert answer["accuracy"][model, attack] == pytest.approx(guide["accuracy"].loc[model, attack])
