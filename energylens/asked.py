"""A recipe's rows as they are asked for, or a line that says what they are of instead."""

from pathlib import Path
from typing import Any

import pandas as pd

from energylens import provenance, references, table
from energylens.errors import UserError
from energylens.recipe import Recipe


def rows(recipe: Recipe, points: Path, measured: bool) -> pd.DataFrame:
    """The recipe's rows.

    Args:
        recipe: what was asked for.
        points: where its table lies.
        measured: whether it has just been measured; if not, it is checked to be of the recipe's models, images and
            attacks.

    Raises:
        UserError: the table is missing, or of another setting.
    """
    bare = dict(references.named(reference) for reference in recipe.models)
    frame = table.open(points, bare, [attack.name for attack in recipe.attacks], recipe.samples)
    if measured:
        return frame
    settings = [None, *(provenance.settings(attack) for attack in recipe.attacks)]
    images = ":".join(references.data_name(recipe.data))
    for record in frame.attrs["provenance"]:
        decisive = record["decisive"]
        there: dict[str, Any] = {
            "model": record["model_ref"],
            "images": record["data"],
            "shuffle seed": decisive["shuffle_seed"],
            "record": decisive.get("record", "points"),
            "precision": decisive["precision"],
        }
        asked: dict[str, Any] = {
            "model": references.public(bare[record["model"]]),
            "images": images,
            "shuffle seed": recipe.shuffle_seed,
            "record": recipe.record,
            "precision": recipe.precision if decisive["attack"] else "fp32",
        }
        differs = [f"{what} {there[what]}, not {asked[what]}" for what in asked if there[what] != asked[what]]
        if decisive["attack"] not in settings:
            differs.append("another version of the attack")
        if differs:
            name, problem = record["model"], "; ".join(differs)
            raise UserError(f"the table of '{name}' in {points} is of {problem}; measure it: leave out --no-measure")
    return frame
