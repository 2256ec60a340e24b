"""A network that gives NaN for one image and what is near it: a status of its own, and the numbers of all others."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from folders import bits, points

from energylens import measure
from energylens.attacks import ATTACKS
from energylens.options import Keep, Place
from energylens.recipe import Recipe

NETS = """
import torch
from energylens import data, models

class Holed(torch.nn.Module):
    def __init__(self, hole):
        super().__init__()
        self.net, self.hole = models.load("demo:sat"), hole

    def forward(self, x):
        logits = self.net(x)
        if self.hole is None:
            return logits
        near = (x - self.hole.to(x)).abs().amax((1, 2, 3)) < 0.45
        return torch.where(near[:, None], torch.nan, logits)

def holed():
    return Holed(data.load("digits:test", samples=10).batch(6, 7)[0])

def well():
    return Holed(None)
"""
NUMBERS = ["energy", "joint_energy", "ce", "entropy", "prob_margin", "logit_margin"]
SHIFTED = ("apgd-t", "autoattack")
"""start from noise of their whole batch, of which an image that is wrong already is none: others end elsewhere"""


OF_EACH_SOURCE = ("pgd", "apgd-ce", "fab", "square", "he-pgd")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in OF_EACH_SOURCE else pytest.mark.slow) for name in ATTACKS]
)
def test_one_nan_image_is_told_and_the_others_are_measured(tmp_path, name):
    """Image 6 of 10, in shards of four and two."""
    (tmp_path / "nets.py").write_text(NETS)
    few = {"steps": 4, "queries": 20, "searches": 1, "batch": 2}
    fields = {field.name for field in dataclasses.fields(ATTACKS[name])}
    attack = dataclasses.replace(ATTACKS[name], **{key: few[key] for key in few.keys() & fields})
    tables = {}
    for net in ("holed", "well"):
        recipe = Recipe((f"net={tmp_path}/nets.py:{net}",), "digits:test", (attack,), samples=10)
        measure.run(recipe, "test", Place(tables=tmp_path / net, shard=4), Keep(keep_logits=True), say=str)
        tables[net] = pd.read_parquet(points(tmp_path / net)).sort_values(["attack", "sample"], ignore_index=True)
    holed, well = tables["holed"], tables["well"]
    nan = (holed["status"] == "nan").to_numpy()
    assert np.flatnonzero(nan).tolist() == [6, 16]
    assert (holed.loc[nan, "pred"] == -1).all()
    assert not holed.loc[nan, "clean_correct"].any()
    assert holed.loc[nan, NUMBERS].isna().all(axis=None)
    assert not holed.loc[~nan, NUMBERS].isna().any(axis=None)
    if name not in SHIFTED:
        for column in [*NUMBERS, "pred", "status", "linf", "l2", "logits"]:
            assert bits(holed.loc[~nan, column]) == bits(well.loc[~nan, column]), column
