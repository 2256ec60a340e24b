"""Damage in the rows of a table is told with how many there are; rows that are right, however odd, stay silent."""

import numpy as np
import pyarrow as pa
import pytest
from by_hand import ATTACKED, LABEL, NATURAL, PGD, edit, fill, measured, pairs, put, shard, steps, told

FREE = {"settings": {"class": "CW", "version": 1, "seed": 0}}
L2 = {"settings": PGD | {"norm": "l2", "eps": 0.3}}
TARGETED = {"target": [1, 2, 0, 1, 2, 0], "target_energy": [-3.0, -1.0, -4.0, -1.0, 0.0, -1.0]}
TARGETED |= {"status": ["success", "best_effort", "success", "success", "best_effort", "best_effort"]}


@pytest.fixture
def points(tmp_path):
    return tmp_path / "tables" / "test" / "points"


@pytest.mark.parametrize("kept", [["keep_logits"], []])
def test_whole_tables_stay_silent(points, kept):
    shard(points, "natural", stop=3, kept=kept)
    shard(points, "natural", start=3, kept=kept)
    shard(points, "pgd", kept=kept)
    shard(points, "cw", kept=kept, **FREE)
    shard(points, "pgd-norml2", kept=kept, **L2)
    shard(points, "pgd-t", kept=kept, **TARGETED)
    (points / "_aside").mkdir()
    (points / "_aside" / "part-0-0-1.parquet").write_bytes(b"not looked at")
    assert told(points) == []


def test_rows_without_numbers_are_no_damage(points):
    logits = ATTACKED.copy()
    logits[2, 1] = np.nan
    pairs(points, logits=logits, natural=logits)
    assert told(points) == []


def test_infinite_logits_are_no_damage(points):
    """A class that is masked out, and a logit that overflowed."""
    logits = ATTACKED.copy()
    logits[1] = [-np.inf, 2, 1]
    logits[3, 1] = np.inf
    with np.errstate(all="ignore"):
        ce = measured(logits, LABEL)["ce"]
    ce[3] = np.nan  # inf - inf, as from log-softmax
    with np.errstate(all="ignore"):
        for kept in (["keep_logits"], []):
            shard(points, "natural", kept=kept, model=f"m{len(kept)}")
            shard(points, "pgd", logits=logits, kept=kept, model=f"m{len(kept)}", ce=ce)
    assert told(points) == []


def test_rounding_is_no_damage_and_what_is_more_than_that_is(points):
    _, path = pairs(points)
    value = measured(ATTACKED, LABEL)["energy"][1]
    nearest = np.float32(value)
    other = np.nextafter(nearest, np.float32(np.inf if nearest < value else -np.inf))  # on the other side of it
    edit(path, put("energy", 1, float(other)))
    assert told(points) == []
    edit(path, put("energy", 1, value * (1 + 1e-6)))
    assert told(points) == [f"{path}: energy is not that of the logits (1 row, first sample 1)"]


def test_an_image_at_a_boundary_may_be_right_in_one_batch_and_wrong_in_another(points):
    natural = NATURAL.copy()
    natural[4] = [1 + 2**-13, 1, 0]  # its label is 1
    shard(points, "natural", logits=natural, natural=natural)
    shard(points, "pgd", clean_correct=[True] * 6)
    assert told(points) == []


# what is done to pgd's file, what is told of it (more behind it is allowed)
IN_ROWS = {
    "energy": (put("energy", 4, -1.0), "energy is not that of the logits (1 row, first sample 4)"),
    "joint_energy": (put("joint_energy", 0, 0.5), "joint_energy is not that of the logits (1 row, first sample 0)"),
    "ce": (put("ce", 0, 0.5), "ce is not that of the logits (1 row"),
    "entropy": (put("entropy", 0, 0.5), "entropy is not that of the logits (1 row"),
    "prob_margin": (put("prob_margin", 0, 0.5), "prob_margin is not that of the logits (1 row"),
    "logit_margin": (put("logit_margin", 0, 0.5), "logit_margin is not that of the logits (1 row"),
    "target_energy": (put("target_energy", 0, 0.5), "target_energy is not that of the logits (1 row"),
    "pred": (put("pred", 0, 2), "pred is not that of the logits (1 row"),
    "a logit": (put("logits", 3, [0.0, 1.0, 9.0]), "pred is not that of the logits (1 row, first sample 3)"),
    "logits of several lengths": (put("logits", 3, [0.0, 1.0]), "logits of several lengths: 3, 2; delete it and"),
    "logits of some rows": (put("logits", 3, None), "logits of several lengths: 3, None; delete it and"),
    "no logits": (fill("logits", [None] * 6), "its logits are gone (6 rows, first sample 0)"),
    "a null": (put("label", 0, None), "nulls in label; delete it and measure it again"),
    "a null number": (put("ce", 5, None), "no number in one of joint_energy, ce, prob_margin"),
    "a status": (put("status", 3, "sucess"), "a status that does not exist (1 row, first sample 3)"),
    "a status that pred belies": (put("status", 1, "success"), "status does not fit pred (1 row, first sample 1)"),
    "natural among attacked": (put("status", 1, "natural"), "status is that of no attack (1 row"),
    "status nan": (put("status", 1, "nan"), "pred is -1 and status not nan, or the other way round (1 row"),
    "pred -1": (put("pred", 1, -1), "pred is -1 and status not nan, or the other way round (1 row, first sample 1)"),
    "energy nan": (put("energy", 1, np.nan), "energy is NaN and status not nan, or the other way round (1 row"),
    "a label": (put("label", 2, 1), "label is not that of the natural row (1 row, first sample 2)"),
    "a label below 0": (put("label", 2, -1), "a label that is no class (1 row, first sample 2)"),
    "a label too high": (put("label", 2, 3), "a label or target that is none of the 3 classes (1 row, first sample 2)"),
    "a target too high": (put("target", 2, 3), "a label or target that is none of the 3 classes (1 row"),
    "clean_correct": (put("clean_correct", 4, True), "clean_correct is not that of the natural row (1 row, first sa"),
    "outside the ball": (put("linf", 4, 0.1001), "linf is above eps (1 row, first sample 4)"),
    "left, and moved": (put("status", 1, "clean_fallback"), "status says that the image was left as it was, and linf"),
    "eps": (fill("eps", [0.2] * 6), "eps is 0.2, and its provenance says 0.1 (6 rows, first sample 0)"),
    "seed": (fill("seed", [None] * 6), "seed is None, and its provenance says 0 (6 rows"),
    "model_ref": (fill("model_ref", ["other"] * 6), "model_ref is other, and its provenance says nets.py:m (6 rows"),
    "split": (fill("split", ["train"] * 6), "split is train, and its provenance says test (6 rows"),
    "two values": (put("precision", 5, "bf16"), "several values of precision (6 rows"),
    "the column key": (fill("key", ["0123abcd"] * 6), "key is 0123abcd, and its provenance says"),
    "an image twice": (put("sample", 5, 4), "it has 5 images, and its name says 6"),
    "an image of another range": (put("sample", 5, 7), "samples outside its name's range (1 image, first sample 7)"),
    "a row too few": (lambda rows: rows.slice(0, 5), "it has 5 rows, and its provenance says 6"),
    "a row twice": (lambda rows: pa.concat_tables([rows, rows.slice(5)]), "images stand in it twice: 7 rows of 6 im"),
    "a column less": (lambda rows: rows.drop_columns("part"), "columns are not those of points, in part; delete it"),
    "a column more": (lambda rows: rows.append_column("a", rows["pred"]), "its columns are not those of points, in a;"),
    "a column's type": (
        lambda rows: rows.set_column(15, "pred", rows["pred"].cast(pa.int64())), "are not those of points, in pred;"
    ),
    "the columns' order": (lambda rows: rows.select(rows.column_names[::-1]), "points, in their order; delete it and"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "line"), IN_ROWS.values(), ids=IN_ROWS)
def test_damage_in_rows(points, change, line):
    _, path = pairs(points)
    edit(path, change)
    found = told(points)
    assert any(what.startswith(f"{path}: ") and line in what for what in found), found


WITHOUT_LOGITS = {
    "ce": (put("ce", 0, 0.5), "ce is not joint_energy - energy (1 row, first sample 0)"),
    "joint_energy": (put("joint_energy", 2, 0.5), "ce is not joint_energy - energy (1 row, first sample 2)"),
    "logit_margin": (put("logit_margin", 2, 0.5), "logit_margin has the wrong sign for pred (1 row, first sample 2)"),
    "prob_margin": (put("prob_margin", 1, -0.5), "prob_margin has the wrong sign for pred (1 row, first sample 1)"),
}


@pytest.mark.parametrize(("change", "line"), WITHOUT_LOGITS.values(), ids=WITHOUT_LOGITS)
def test_damage_in_rows_without_logits(points, change, line):
    _, path = pairs(points, kept=[])
    edit(path, change)
    assert told(points) == [f"{path}: {line}"]


IN_NATURAL = {
    "clean_correct": (put("clean_correct", 0, False), "clean_correct is not pred == label (1 row, first sample 0)"),
    "moved": (put("l2", 0, 0.5), "a natural image that was moved (1 row, first sample 0)"),
    "status": (put("status", 0, "best_effort"), "status is not natural (1 row, first sample 0)"),
    "eps": (fill("eps", [0.1] * 6), "eps is 0.1, and its provenance says None (6 rows, first sample 0)"),
}


@pytest.mark.parametrize(("change", "line"), IN_NATURAL.values(), ids=IN_NATURAL)
def test_damage_in_natural_rows(points, change, line):
    path, _ = pairs(points)
    edit(path, change)
    assert told(points) == [f"{path}: {line}"]


def test_an_attack_without_a_ball_has_no_eps(points):
    pairs(points)
    path = shard(points, "cw", eps=0.1, norm="l2", **FREE)
    assert told(points) == [f"{path}: eps is 0.1, and its provenance says None (6 rows, first sample 0)"]


def test_l2_balls_are_held_too(points):
    pairs(points)
    path = shard(points, "pgd-norml2", l2=[0.3, 0.3, 0.31, 0.2, 0.2, 0.31], **L2)
    assert told(points) == [f"{path}: l2 is above eps (2 rows, first sample 2)"]


def test_steps_are_held_to_their_ball_where_the_attack_tells_them_itself(tmp_path):
    points = tmp_path / "steps"
    steps(points, "natural")
    far = {"linf": [0.2] * 6, "step": [0, 1, 1, 1, 1, 1]}
    steps(points, "apgd-ce", **far)
    path = steps(points, "pgd", loss=[0.5] * 6, **far)
    assert told(points) == [f"{path}: linf is above eps (5 rows, first sample 1)"]
