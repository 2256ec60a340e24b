"""Measuring a toy network again and again, for the tests of the probe."""

from pathlib import Path

import pandas as pd

from energylens import measure
from energylens.attacks import PGD
from energylens.options import Place
from energylens.recipe import Recipe


def recipe(net: Path, npz: Path, **changes) -> Recipe:
    settings = {
        "models": (f"{net}:toy",),
        "data": str(npz),
        "attacks": (PGD(eps=0.1, steps=3),),
        "samples": 6,
    }
    return Recipe(**settings | changes)


def run(recipe: Recipe, tmp_path: Path, batch: int = 128, say=print) -> pd.DataFrame:
    measure.run(recipe, "test", Place(tables=tmp_path / "tables", batch=batch), say=say)
    return pd.read_parquet(tmp_path / "tables" / "test" / "points").sort_values(["model", "attack", "sample"])


def files(tmp_path: Path) -> dict[Path, int]:
    points = tmp_path / "tables" / "test" / "points"
    return {path: path.stat().st_mtime_ns for path in points.glob("model=*/attack=*/*.parquet")}
