"""What RobustBench has published of its models: a table of facts, in percent.

Source: the model_info files of github.com/RobustBench/robustbench, head of 31 March 2025 (MIT).
"""

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import pandas as pd

from energylens import references, spec
from energylens.errors import UserError, unknown
from energylens.models import robustbench

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
    facts["energies"] = ~facts["name"].str.startswith(tuple(robustbench.NOT_LOGITS))
    return facts


def table() -> pd.DataFrame:
    """One row a model.

    Returns:
        `reference`, `data`, `norm` (Linf, L2, corruptions), `name`, `architecture`, `eps` (as text, `8/255`; empty
        for corruptions), `clean` and `robust` (accuracy in percent), `robust_by` (AutoAttack; `external`, an
        evaluation that found less; `corruptions`, the mean over CIFAR-C or ImageNet-C), `extra_data`, `weights`
        (whether RobustBench has the checkpoint), `unreliable` (RobustBench's own warning), `preprocessing` (of
        ImageNet's images, in RobustBench's words; `timm` for timm's own), `venue`, `title`, `link`, `energies`
        (whether the outputs are logits, so that energies mean something).
    """
    return _facts().copy()


def entry(reference: str) -> pd.Series | None:
    """The row of `robustbench:DATA/NORM/NAME`; None if nothing is published of it."""
    wanted = references.public(reference).lower()
    found = _facts()[_facts()["reference"].str.lower() == wanted]
    return None if found.empty else found.iloc[0]


def one_of(option: str, word: str, known: Iterable[str]) -> str:
    """A known word, in its own case.

    Raises:
        UserError: it is unknown.
    """
    known = {value.lower(): value for value in known}
    if word.lower() not in known:
        raise unknown(option, word, known.values())
    return known[word.lower()]


def select(
    data: str | None = None,
    norm: str | None = None,
    eps: str | None = None,
    arch: str | None = None,
    extra_data: bool | None = None,
    at_least: float | None = None,
    weights: bool = False,
    sort: str = "robust",
) -> pd.DataFrame:
    """The rows that are asked for, sorted within each data set and norm.

    Args:
        data: `cifar10`, `cifar100` or `imagenet`, in any case.
        norm: `Linf`, `L2` or `corruptions`, in any case.
        eps: such as `8/255`.
        arch: a part of the architecture's name, in any case.
        extra_data: trained with more data than the data set's, or without; None for both.
        at_least: this robust accuracy, in percent.
        weights: only those whose checkpoint RobustBench has.
        sort: a column of SORTS, in any case.

    Raises:
        UserError: an unknown word, or nothing left.
    """
    facts, by = table(), one_of("--sort", sort, SORTS)
    asked: list[tuple[str, pd.Series]] = []  # as it is typed, and which rows fit
    for option, word in (("data", data), ("norm", norm)):
        if word is not None:
            known = one_of(f"--{option}", word, facts[option].unique())
            asked.append((f"--{option} {known}", facts[option] == known))
    if eps is not None:
        asked.append((f"--eps {eps}", _near(facts["eps"], spec.number(eps))))
    if arch is not None:
        asked.append((f"--arch {arch}", facts["architecture"].str.contains(arch, case=False, regex=False)))
    if extra_data is not None:
        asked.append(("--extra-data" if extra_data else "--no-extra-data", facts["extra_data"] == extra_data))
    if at_least is not None:
        asked.append((f"--at-least {at_least:g}", facts["robust"] >= at_least))
    if weights:
        asked.append(("--weights", facts["weights"]))
    found = _fitting(facts, asked)
    order = {"data": True, "norm": True, by: SORTS[by], "name": True}
    return found.sort_values(list(order), ascending=list(order.values()), kind="stable").reset_index(drop=True)


def _near(column: pd.Series, eps: float) -> pd.Series:
    return column.map(lambda text: bool(text) and abs(spec.number(text) - eps) < 1e-6).astype(bool)


def _fitting(facts: pd.DataFrame, asked: Sequence[tuple[str, pd.Series]]) -> pd.DataFrame:
    """The rows that fit all that is asked; an error names what left none."""
    found = facts
    for place, (_, fits) in enumerate(asked, 1):
        found = found[fits[found.index]]
        if found.empty:
            words = " ".join(option for option, _ in asked[:place])
            raise UserError(f"RobustBench lists no model with {words}; leave out or change one of these")
    return found
