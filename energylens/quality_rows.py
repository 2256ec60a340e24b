"""Scores of generated images as tables and claims read them: methods without their seeds, blocks. No torch.

A block is one data set seen through one feature space: scores of different blocks do not compare.
"""

import math
import re
from collections.abc import Iterator

import pandas as pd

from energylens import families
from energylens.generate.sampler import SAMPLERS
from energylens.method_names import number, parts

INCEPTION = "inception"
MEASURES = {
    "is_mean": "IS", "fid": "FID", "kid": "KID", "kid_paper": "paper's KID",
    "precision": "precision", "recall": "recall", "lpips": "LPIPS", "nearest": "nearest",
    "nearest_real": "nearest real", "intended": "intended", "svm": "SVM",
}  # fmt: skip
"""column of the scores -> its heading"""
PERCENT = ("intended", "svm")
"""shares that are told in percent"""
WITHIN = {"is_mean": "is_std", "kid": "kid_std", "kid_paper": "kid_paper_std"}
"""measure -> its spread over splits or subsets of the same images"""
COUNTS = ("n", "real", "left_out", "kid_subset", "saturated", "seed")
UNTOUCHED = "no network"
"""called so, and of this kind: starts as they are, sampler `none`, whichever network they were drawn beside"""
WORDS = {
    "eq7": "eq. (7)", "sgld": "SGLD", "jem": "JEM's sampler", "jeat": "JEAT's sampler",
    "random": "noise", "gaussian": "Gaussian", "pca": "PCA",
}  # fmt: skip
"""preset of a sampler, kind of a start -> what a reader calls it"""


def rows(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a network, method, seed and block: of rows that tell of the same, the last counts.

    Args:
        frame: scores, one row a model, method, seed and feature space.

    Returns:
        Its columns, untouched starts first, numbers as floats, shares of `PERCENT` in percent; `data` with its split
        (`digits:train`), `method` without its seed, and beside them `sampler` (`eq7-steps200`), `preset` (`eq7`),
        `start` (`pca`), `place` (the start with its settings), `steps` of the sampler, `network` (the hash of its
        weights, its name where there is none), `kind` (of `families.kind`, or `UNTOUCHED`), `label`
        (`SAT, eq. (7), PCA`) and `short`, which does not name eq. (7) (`SAT, PCA`).
    """
    numbers = [*MEASURES, *WITHIN.values(), *COUNTS]
    wanted = dict.fromkeys([*frame, *numbers, "lpips_space", "model_ref", "model_sha", "split"])
    made = frame.reindex(columns=list(wanted))
    made = made.assign(**{name: made[name].astype(str) for name in ("model", "method", "data", "space")})
    made["method"] = made["method"].str.replace(r"-seed\d+$", "", regex=True)
    made[numbers] = made[numbers].astype(float)
    made[list(PERCENT)] *= 100
    split = made["split"].fillna("").astype(str)
    made["data"] = made["data"].where((split == "") | made["data"].str.contains(":"), made["data"] + ":" + split)
    made = _named(made)
    last = made.drop_duplicates(["data", "space", "model", "method", "seed"], keep="last")
    return last.sort_values("kind", key=lambda kind: kind != UNTOUCHED, kind="stable").reset_index(drop=True)


def _named(made: pd.DataFrame) -> pd.DataFrame:
    """With what the methods' names and the networks' tell."""
    taken = {name: parts(name) for name in made["method"].unique()}
    sampler = {name: of.sampler if of else name for name, of in taken.items()}
    made["sampler"] = made["method"].map(sampler)
    made["preset"] = made["sampler"].str.replace(r"-.*", "", regex=True)
    made["start"] = made["method"].map({name: of.start if of else "" for name, of in taken.items()})
    made["place"] = made["method"].map({name: name.removeprefix(f"{sampler[name]}-") for name in taken})
    made["steps"] = made["sampler"].map(steps)
    made["network"] = made["model_sha"].where(made["model_sha"].notna(), made["model"])
    made["kind"] = made["model"].map(families.kinds(made))
    untouched = made["preset"] == "none"
    made.loc[untouched, ["model", "network", "kind"]] = UNTOUCHED
    made.loc[untouched, "model_sha"] = None
    told, short = _methods(made)
    made["label"] = made["model"] + ", " + made["method"].map(told)
    made["short"] = made["model"] + ", " + made["method"].map(short)
    return made


def _methods(made: pd.DataFrame) -> tuple[dict[str, str], dict[str, str]]:
    """Method -> what a reader calls it, in full and short; a preset that has several settings shows them."""
    full, short = {}, {}
    several = made.groupby("preset")["sampler"].nunique()
    for method, sampler, preset, start, place in made[
        ["method", "sampler", "preset", "start", "place"]
    ].drop_duplicates().to_numpy():  # fmt: skip
        of_start = " ".join([WORDS.get(start, start), *place.removeprefix(start).split("-")[1:]])
        of_sampler = sampler if several[preset] > 1 else WORDS.get(preset, sampler)
        if not start:
            full[method] = short[method] = method
        elif preset == "none":
            full[method] = short[method] = f"{of_start} start"
        else:
            full[method] = f"{of_sampler}, {of_start}"
            short[method] = of_start if of_sampler == WORDS["eq7"] else full[method]
    return full, short


def steps(sampler: str) -> float:
    """How many steps a sampler of this name takes: what it says, else its preset's; NaN for a name of another kind."""
    said = re.search(r"-steps(\d+)", sampler)
    usual = SAMPLERS.get(sampler.partition("-")[0])
    return number(said[1]) if said else usual.steps if usual else math.nan


def blocks(of_rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """`digits:train, features of demo:standard-14` and its rows, in the order in which they come."""
    for (data, space), block in of_rows.groupby(["data", "space"], sort=False):
        yield f"{data}, features of {space}", block


def short_titles(of_rows: pd.DataFrame) -> dict[str, str]:
    """Title of each block -> the same without what all blocks share, or the feature space at least."""
    one = of_rows["data"].nunique() == 1
    return {title: str(block["space"].iloc[0]) if one else title for title, block in blocks(of_rows)}


def count(numbers: pd.Series) -> str:
    """`2,000`, or `1,998 to 2,000` where they differ."""
    there = numbers.dropna()
    if there.empty:
        return "?"
    low, high = f"{there.min():,.0f}", f"{there.max():,.0f}"
    return low if low == high else f"{low} to {high}"


def of_inception(block: pd.DataFrame) -> bool:
    """Whether a block's features are Inception's, from whichever file its weights are."""
    return str(block["space"].iloc[0]).partition(" (")[0] == INCEPTION


def shown(measures: tuple[str, ...], block: pd.DataFrame) -> list[str]:
    """The measures that a block's text shows: the paper's KID in blocks of Inception alone."""
    return [measure for measure in measures if measure != "kid_paper" or of_inception(block)]
