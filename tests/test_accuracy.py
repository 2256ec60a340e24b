"""AutoAttack's accuracy after each part, counted by hand."""

import pandas as pd
import pytest

from energylens import accuracy, table
from energylens.attacks import AutoAttack
from energylens.errors import UserError


def test_accuracy_after_each_part():
    parts = [None, None, "apgd-ce", "apgd-ce", "apgd-t", "square", None, None, None, None]
    right = [False, True, True, True, True, True, True, True, True, True]
    made = pd.DataFrame({"model": "m", "attack": "autoattack-eps0.2", "part": parts, "clean_correct": right})
    found = accuracy.after_parts(made)
    assert list(found.columns) == ["before", *AutoAttack.parts]
    assert found.loc[("m", "autoattack-eps0.2")].tolist() == pytest.approx([0.9, 0.7, 0.6, 0.6, 0.5])


def test_two_radii_are_two_rows():
    made = pd.DataFrame({"model": "m", "attack": ["autoattack", "autoattack-eps0.2"], "part": [None, "apgd-ce"]})
    found = accuracy.after_parts(made.assign(clean_correct=True))
    assert found["square"].tolist() == [1, 0]


def test_a_table_without_autoattack_is_named():
    with pytest.raises(UserError, match="no rows of autoattack; measure them"):
        accuracy.after_parts(pd.DataFrame({"model": ["m"], "attack": [table.NATURAL], "part": [None]}))
