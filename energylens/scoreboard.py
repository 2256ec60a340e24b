"""Rows of the table of accuracies as text, for the terminal."""

from typing import Any

import pandas as pd

from energylens import evaluations

HEADINGS = ("model", "attack", "seed", "images", "accuracy %", "95 % interval")


def lines(made: list[dict[str, Any]]) -> list[str]:
    """Rows as aligned text, with mean and standard deviation over seeds, AutoAttack's parts, and NaN told."""
    if not made:
        return []
    frame = pd.DataFrame(made)
    cells: list[tuple[str, ...]] = [HEADINGS]
    for _, trial in frame.groupby(evaluations.TRIAL, dropna=False, sort=False):
        cells += map(_cells, trial.to_dict("records"))
        cells += map(_spread, evaluations.over_seeds(trial).to_dict("records"))
    return [*_aligned(cells), *_after_parts(made), *_warnings(made)]


def _after_parts(made: list[dict[str, Any]]) -> list[str]:
    """AutoAttack's accuracy after each part, below an empty line."""
    parts = [one for one in made if any(column in one for column in evaluations.AFTER)]
    heading = ("model", "after its parts, %", "seed", *evaluations.AFTER.values())
    cells = [(*_names(one), *(f"{100 * one[column]:.2f}" for column in evaluations.AFTER)) for one in parts]
    return ["", *_aligned([heading, *cells])] if parts else []


def _warnings(made: list[dict[str, Any]]) -> list[str]:
    told = []
    for one in made:
        if one["nan"]:
            what = f"{one['nan']:,} of {one['n']:,} images of {one['model']} under {one['attack']} gave NaN"
            told.append(f"warning: {what}; {'it counts' if one['nan'] == 1 else 'they count'} as wrong")
    return told


def _names(one: dict[Any, Any]) -> tuple[str, str, str]:
    return one["model"], one["attack"], "-" if pd.isna(one["seed"]) else f"{one['seed']:.0f}"


def _cells(one: dict[Any, Any]) -> tuple[str, ...]:
    interval = f"{100 * one['low']:.2f} to {100 * one['high']:.2f}"
    return *_names(one), f"{one['n']:,}", f"{100 * one['accuracy']:.2f}", interval


def _spread(one: dict[Any, Any]) -> tuple[str, ...]:
    return "", "", f"{one['seeds']} seeds", "", f"{100 * one['mean']:.2f}", f"std {100 * one['std']:.2f}"


def _aligned(cells: list[tuple[str, ...]]) -> list[str]:
    """Columns side by side, the first two to the left."""
    wide = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = [
        [
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, wide, strict=True))
        ]
        for row in cells
    ]
    return ["  ".join(row).rstrip() for row in padded]
