"""A summary's numbers are those of a table small enough to work out by hand."""

import numpy as np
import pandas as pd
import pytest
from by_hand import ATTACKED, edit, pairs, put, shard, steps

from energylens import summary
from energylens.errors import UserError


@pytest.fixture
def points(tmp_path):
    return tmp_path / "tables" / "test" / "points"


def row(points, attack="pgd", model="m", **asked) -> dict:
    frame = summary.of(points, **asked).set_index(["model", "attack"])
    return frame.loc[model, attack].to_dict()


ENERGIES = {"energy": [-5.0, -4, -6, -2, -3, -1], "joint_energy": [-4.0, -4, -5, -2, -1, -1]}
RAISED = {"energy": [-4.0, -3, -5, -3, -3, -2], "joint_energy": [-2.0, -3, 0, -1, -1, 1]}


def by_hand(points, **changes):
    """Five of six right, mean E(x) -3.5; one right under attack, mean -20/6; deltas -1, -1, -1, 1, 0, 1."""
    return shard(points, "natural", **ENERGIES), shard(points, "pgd", **RAISED | changes)


def test_one_row_a_model_and_attack(points):
    by_hand(points)
    frame = summary.of(points)
    assert list(frame) == ["model", "attack", "images", "accuracy", "energy", "joint_energy", "delta_energy", "nan"]
    natural, attacked = frame.to_dict("records")
    assert natural == {
        "model": "m", "attack": "natural", "images": 6, "accuracy": pytest.approx(500 / 6), "energy": -3.5,
        "joint_energy": pytest.approx(-17 / 6), "delta_energy": pytest.approx(np.nan, nan_ok=True), "nan": 0,
    }  # fmt: skip
    assert attacked == {
        "model": "m", "attack": "pgd", "images": 6, "accuracy": pytest.approx(100 / 6),
        "energy": pytest.approx(-20 / 6), "joint_energy": -1, "delta_energy": pytest.approx(-1 / 6), "nan": 0,
    }  # fmt: skip


def test_rows_without_numbers_are_wrong_and_left_out_of_the_means(points):
    broken = ATTACKED.copy()
    broken[1, 0] = np.nan  # the one that was right
    energy, joint = ([np.nan if place == 1 else value for place, value in enumerate(RAISED[name])] for name in RAISED)
    by_hand(points, logits=broken, energy=energy, joint_energy=joint)
    found = row(points)
    assert (found["images"], found["nan"], found["accuracy"]) == (6, 1, 0)
    assert found["energy"] == pytest.approx(-17 / 5)
    assert found["joint_energy"] == pytest.approx(-3 / 5)
    assert found["delta_energy"] == pytest.approx(0)  # -1, -1, 1, 0, 1 without the second
    assert summary.lines(summary.of(points))[-1] == (
        "warning: 1 of 6 images of m under pgd gave NaN; it counts as wrong and is left out of the means"
    )


def test_a_natural_image_without_a_number_is_left_out_of_the_change(points):
    natural, _ = by_hand(points)
    edit(natural, put("energy", 3, np.nan))
    assert row(points)["delta_energy"] == pytest.approx(-2 / 5)


def test_the_change_is_over_images_that_both_have(points):
    shard(points, "natural", stop=4, **{name: values[:4] for name, values in ENERGIES.items()})
    shard(points, "pgd", start=2, **{name: values[2:] for name, values in RAISED.items()})
    assert row(points)["delta_energy"] == 0  # -1 and 1
    assert row(points)["images"] == 4
    assert row(points, "natural")["images"] == 4


def test_overlapping_shards_count_each_image_once(points):
    by_hand(points)
    whole = summary.of(points)
    shard(points, "pgd", start=3, **{name: values[3:] for name, values in RAISED.items()})
    shard(points, "natural", start=1, stop=5, **{name: values[1:5] for name, values in ENERGIES.items()})
    assert len(pd.read_parquet(points)) == 12 + 3 + 4
    pd.testing.assert_frame_equal(summary.of(points), whole)


@pytest.mark.parametrize("samples", [1, 3, 4, 5])
def test_the_first_images_alone(points, samples):
    for start, stop in ((0, 3), (2, 5), (3, 6)):
        for attack, columns in (("natural", ENERGIES), ("pgd", RAISED)):
            shard(points, attack, start, stop, **{name: values[start:stop] for name, values in columns.items()})
    found = row(points, samples=samples)
    before, after = (np.array(columns["energy"][:samples]) for columns in (ENERGIES, RAISED))
    assert (found["images"], found["energy"]) == (samples, pytest.approx(after.mean()))
    assert found["delta_energy"] == pytest.approx((before - after).mean())


def test_missing_and_short_combinations_show(points):
    pairs(points)
    shard(points, "natural", model="n")
    shard(points, "cw", model="n", stop=2)
    frame = summary.of(points)
    assert frame[["model", "attack", "images"]].values.tolist() == [
        ["m", "natural", 6], ["m", "cw", 0], ["m", "pgd", 6], ["n", "natural", 6], ["n", "cw", 2], ["n", "pgd", 0],
    ]  # fmt: skip
    assert frame["accuracy"].isna().tolist() == [False, True, False, False, False, True]


def test_models_and_attacks_that_are_asked_for_come_in_their_order(points):
    for model in ("a", "b/c", "d+"):
        pairs(points, model=model)
    frame = summary.of(points, models=["d+", "b/c"], attacks=["pgd"])
    assert frame[["model", "attack"]].values.tolist() == [
        ["d+", "natural"], ["d+", "pgd"], ["b/c", "natural"], ["b/c", "pgd"]
    ]  # fmt: skip
    assert frame["images"].tolist() == [6] * 4


def test_of_steps_the_last_one_of_each_image_counts(tmp_path):
    """Image 0 moves twice, image 1 once, image 2 twice in two restarts; the rest never."""
    points = tmp_path / "steps"
    steps(points, "natural", **ENERGIES)
    sample, step = [0, 1, 2, 0, 1, 0], [0, 0, 0, 1, 1, 2]
    energy = [9.0, 9, 9, 9, -4, -5]
    steps(points, "apgd-ce", sample=sample, step=step, energy=energy)
    again, number = [2, 2, 2, 2, 2, 2], [0, 1, 2, 0, 1, 2]
    steps(points, "pgd", sample=again, step=number, energy=[9.0, 9, 9, 9, 9, -8])
    assert row(points, "apgd-ce")["images"] == 3
    assert row(points, "apgd-ce")["energy"] == 0  # 9, -4 and -5
    assert row(points)["images"] == 1
    assert row(points)["energy"] == -8
    assert row(points)["delta_energy"] == 2


def test_energies_are_averaged_in_float64(points):
    """In float32, 1e8 + 1 is 1e8."""
    shard(points, "natural", energy=[1e8, 1, 1, 1, 1, 1])
    assert row(points, "natural")["energy"] == (1e8 + 5) / 6


def test_files_that_do_not_belong_together_are_not_averaged(points):
    shard(points, "natural", stop=3)
    shard(points, "natural", start=3, decisive={"data_sha": "other"})
    with pytest.raises(UserError, match="holds shards of several keys"):
        summary.of(points)


def test_a_file_that_cannot_be_read_is_named(points):
    path = shard(points, "natural")
    path.write_bytes(b"PAR1")
    with pytest.raises(UserError, match=rf"{path} cannot be read \(ArrowInvalid: .*\); delete it and measure it again"):
        summary.of(points)


@pytest.fixture
def frame():
    return pd.DataFrame({
        "model": ["resnet20", "resnet20", "b"], "attack": ["natural", "pgd-eps0.2", "cw"], "images": [10000, 500, 0],
        "accuracy": [95.204, 0, np.nan], "energy": [-12.3456, 0.25, np.nan], "joint_energy": [-1, -2, np.nan],
        "delta_energy": [np.nan, 3.5, np.nan], "nan": [0, 2000, 0],
    })  # fmt: skip


def test_text_is_aligned_and_warns(frame):
    assert summary.lines(frame) == [
        "model     attack      images  accuracy %     E(x)  E(x, y)  E(x) - E(x*)",
        "resnet20  natural     10,000       95.20  -12.346   -1.000             -",
        "resnet20  pgd-eps0.2     500        0.00    0.250   -2.000         3.500",
        "b         cw               0           -        -        -             -",
        "warning: 2,000 of 500 images of resnet20 under pgd-eps0.2 gave NaN; they count as wrong and are left out of "
        "the means",
        "note: fewer than 10,000 images: resnet20 under pgd-eps0.2 (500); means over other images do not compare",
    ]


def test_nothing_is_not_written_as_less_than_nothing(frame):
    (row,) = summary.markdown(frame.iloc[[0]].assign(energy=-0.0, joint_energy=-4e-4, delta_energy=-6e-4))[2:]
    assert row == "| resnet20 | natural | 10,000 | 95.20 | 0.000 | 0.000 | -0.001 |"


def test_markdown(frame):
    assert summary.markdown(frame.iloc[[0]]) == [
        "| model | attack | images | accuracy % | E(x) | E(x, y) | E(x) - E(x*) |",
        "|---|---|---:|---:|---:|---:|---:|",
        "| resnet20 | natural | 10,000 | 95.20 | -12.346 | -1.000 | - |",
    ]
    assert summary.markdown(frame)[-2:] == ["", summary.lines(frame)[-1]]


def test_a_folder_that_is_not_there_is_told(points):
    with pytest.raises(UserError, match=f"there is no folder {points}; give that of a table's files"):
        summary.of(str(points))


def test_an_empty_table_is_a_heading(points):
    points.mkdir(parents=True)
    assert summary.lines(summary.of(points)) == ["model  attack  images  accuracy %  E(x)  E(x, y)  E(x) - E(x*)"]
