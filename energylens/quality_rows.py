"""Scores of generated images as tables and claims read them: methods without their seeds, blocks. No torch.

A block is one data set seen through one feature space: scores of different blocks do not compare.
"""

import re
from collections.abc import Iterator

import pandas as pd

INCEPTION = "inception"
MEASURES = {
    "is_mean": "IS", "fid": "FID", "kid": "KID", "kid_paper": "paper's KID (subsets of 10, logits)",
    "precision": "precision", "recall": "recall", "lpips": "LPIPS", "nearest": "nearest",
    "nearest_real": "nearest real", "intended": "intended", "svm": "SVM",
}  # fmt: skip
"""column of the scores -> its heading"""
PERCENT = ("intended", "svm")
"""shares that are told in percent"""
WITHIN = {"is_mean": "is_std", "kid": "kid_std", "kid_paper": "kid_paper_std"}
"""measure -> its spread over splits or subsets of the same images"""
COUNTS = ("n", "real", "left_out", "kid_subset", "saturated", "seed")
PARTS = r"(.+?)-(random|gaussian|(?:informative-|local-)?pca)(?:-.+)?"
"""of a method's name: sampler with its settings, start"""


def rows(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a network, method, seed and block: of rows that tell of the same, the last counts.

    Args:
        frame: scores, one row a model, method, seed and feature space.

    Returns:
        Its columns, numbers as floats, shares of `PERCENT` in percent; `data` with its split (`digits:train`),
        `method` without its seed, and beside them `sampler` (`eq7-steps200`), `preset` (`eq7`), `start` (`pca`),
        `network` (the hash of its weights, its name where there is none) and `label` (`SAT, eq7-pca`).
    """
    numbers = [*MEASURES, *WITHIN.values(), *COUNTS]
    made = frame.reindex(columns=list(dict.fromkeys([*frame, *numbers, "lpips_space"])))
    made = made.assign(**{name: made[name].astype(str) for name in ("model", "method", "data", "space")})
    made["method"] = made["method"].str.replace(r"-seed\d+$", "", regex=True)
    made[numbers] = made[numbers].astype(float)
    made[list(PERCENT)] *= 100
    split = made["split"].fillna("").astype(str)
    made["data"] = made["data"].where((split == "") | made["data"].str.contains(":"), made["data"] + ":" + split)
    parts = made["method"].str.extract(f"^{PARTS}$")
    made["sampler"], made["start"] = parts[0].fillna(made["method"]), parts[1].fillna("")
    made["preset"] = made["sampler"].str.replace(r"-.*", "", regex=True)
    made["network"] = made["model_sha"].where(made["model_sha"].notna(), made["model"])
    made["label"] = made["model"] + ", " + made["method"]
    return made.drop_duplicates(["data", "space", "model", "method", "seed"], keep="last").reset_index(drop=True)


def blocks(of_rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """`digits:train, features of demo:standard-14` and its rows, in the order in which they come."""
    for (data, space), block in of_rows.groupby(["data", "space"], sort=False):
        yield f"{data}, features of {space}", block


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


def family(model: str) -> str:
    """The first word of a model's name, in small letters: `sat` of `SAT L2` and `Ours SAT`."""
    return re.split(r"[ _,-]", model.strip().lower().removeprefix("ours "))[0]


def is_standard(model: str) -> bool:
    """Whether a model was trained without attacks; it is recognised by its name, `standard` with what follows."""
    return model.strip().lower().startswith("standard")
