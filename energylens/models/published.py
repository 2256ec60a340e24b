"""What RobustBench has published of its models: a table of facts, in percent.

Source: the model_info files of github.com/RobustBench/robustbench, head of 31 March 2025 (MIT).
"""

from functools import cache
from pathlib import Path

import pandas as pd

from energylens import references
from energylens.errors import UserError, unknown

FILE = Path(__file__).with_name("published.csv")
SORTS = {"robust": False, "clean": False, "name": True, "venue": True, "architecture": True}
"""column -> whether the smallest comes first"""
FLAGS = ("extra_data", "weights", "unreliable")


@cache
def _facts() -> pd.DataFrame:
    facts = pd.read_csv(FILE, comment="#", dtype={"eps": "string"}, keep_default_na=False)
    for column in FLAGS:
        facts[column] = facts[column] == "yes"
    facts.insert(0, "reference", "robustbench:" + facts["data"] + "/" + facts["norm"] + "/" + facts["name"])
    return facts


def table() -> pd.DataFrame:
    """One row a model.

    Returns:
        `reference`, `data`, `norm` (Linf, L2, corruptions), `name`, `architecture`, `eps` (as text, `8/255`),
        `clean` and `robust` (accuracy in percent), `robust_by` (AutoAttack; `external`, an evaluation that found
        less; `corruptions`, the mean over CIFAR-C or ImageNet-C), `extra_data`, `weights` (whether RobustBench has
        the checkpoint), `unreliable` (RobustBench's own warning), `venue`, `title`, `link`.
    """
    return _facts().copy()


def entry(reference: str) -> pd.Series | None:
    """The row of `robustbench:DATA/NORM/NAME`; None if nothing is published of it."""
    wanted = references.public(reference).lower()
    found = _facts()[_facts()["reference"].str.lower() == wanted]
    return None if found.empty else found.iloc[0]


def select(
    data: str | None = None,
    norm: str | None = None,
    arch: str | None = None,
    extra_data: bool | None = None,
    at_least: float | None = None,
    weights: bool = False,
    sort: str = "robust",
) -> pd.DataFrame:
    """The rows that are asked for, sorted.

    Args:
        data: `cifar10`, `cifar100` or `imagenet`.
        norm: `Linf`, `L2` or `corruptions`, in any case.
        arch: a part of the architecture's name, in any case.
        extra_data: trained with more data than the data set's, or without; None for both.
        at_least: this robust accuracy, in percent.
        weights: only those whose checkpoint RobustBench has.
        sort: a column of SORTS.

    Raises:
        UserError: an unknown word, or nothing left.
    """
    found = table()
    for column, word in (("data", data), ("norm", norm)):
        if word is not None:
            known = {value.lower(): value for value in found[column].unique()}
            if word.lower() not in known:
                raise unknown(f"--{column}", word, known.values())
            found = found[found[column] == known[word.lower()]]
    if sort not in SORTS:
        raise unknown("--sort", sort, SORTS)
    if arch is not None:
        found = found[found["architecture"].str.contains(arch, case=False, regex=False)]
    if extra_data is not None:
        found = found[found["extra_data"] == extra_data]
    if at_least is not None:
        found = found[found["robust"] >= at_least]
    if weights:
        found = found[found["weights"]]
    if found.empty:
        raise UserError("RobustBench lists no such model; leave out one of the conditions")
    return found.sort_values([sort, "name"], ascending=[SORTS[sort], True], kind="stable").reset_index(drop=True)
