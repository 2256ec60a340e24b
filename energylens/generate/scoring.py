"""Score images that were generated, one row a model, method, seed and feature space."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from energylens import command, quality
from energylens import data as datasets
from energylens.data import Data
from energylens.generate.files import Made
from energylens.generate.ready import prepared
from energylens.generate.recipe import Generation
from energylens.need import Where
from energylens.options import Place
from energylens.quality import spaces, table
from energylens.quality.spaces import Space

Wanted = tuple[Generation, tuple[str, str], Made, str]
"""which part, (model, method), its images, and the feature space"""


def judges(parts: Iterable[Generation], references: Iterable[str], place: Place) -> dict[str, Space]:
    """Reference -> feature space, each opened on the training images of every part.

    Raises:
        UserError: training images, weights or a network are not usable.
    """
    found: dict[str, Space] = {}
    for data in dict.fromkeys(part.data for part in parts):
        real = datasets.load(data, data_dir=place.data_dir)
        found |= spaces.all_opened(
            references, real, model_dir=place.model_dir, trust=place.trust_checkpoint, weights=None
        )
    return found


def checked(parts: Iterable[Generation], references: Iterable[str], analysis: str, where: Where) -> dict[str, Space]:
    """The judges of images that are to be generated, once all that can be checked before any work is; writes nothing.

    Raises:
        UserError: the table of scores, a network, training images or weights are not usable, or a judge is one of the
            generators.
    """
    table.read(where.out / table.FILE)
    makers = {subject.sha for part in parts for subject in prepared(part.placed(where), analysis, where.place).subjects}
    found = judges(parts, references, where.place)
    for space in found.values():
        if space.sha in makers:
            raise spaces.own_features(space.name)
    return found


def add(wanted: Iterable[Wanted], opened: dict[str, Space], where: Where) -> None:
    """Score each of these, and put it into OUT/scores.parquet as soon as it is there."""
    wanted = list(wanted)
    loaded = lru_cache(maxsize=1)(lambda reference: datasets.load(reference, data_dir=where.place.data_dir))
    with command.progress(sum(one[2].count for one in wanted), "scored", "images") as advance:
        for part, (model, method), made, space in wanted:
            row = _row(made, loaded(part.data), opened[space], where.place)
            chosen = next(one for one in part.methods if one.name == method)
            names = {"model": model, "method": dataclasses.replace(chosen, seed=0).name, "seed": chosen.seed}
            table.add(where.out / table.FILE, [names | row])
            advance(made.count)


def _row(made: Made, real: Data, space: Space, place: Place) -> dict[str, Any]:
    ends = made.ends(["label", "status", "saturated", "model_sha"])
    good = (ends["status"] != "nan").to_numpy()
    sha = str(ends["model_sha"].iloc[0])
    scores = {"space": space.name, "space_sha": space.sha, "n": 0, "real": len(real)}
    if good.any():
        scores = quality.measure(
            np.concatenate(list(made.ended()))[good],
            ends["label"].to_numpy(np.int64)[good],
            real,
            space,
            device=place.where,
            batch=place.batch or 100,
            generator=sha,
        )
    return {
        "model_ref": made.about["model_ref"],
        "model_sha": sha,
        "data": real.name,
        "split": real.split,
        "key": made.key,
        "left_out": int((~good).sum()),
        "saturated": float(ends["saturated"][good].mean()) if good.any() else None,
        **scores,
    }
