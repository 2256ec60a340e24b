"""Tables of models for the terminal."""

import pandas as pd
from rich.console import Console

from energylens import claims, models, references
from energylens.data import Data
from energylens.data.imagenet import PREPROCESSING
from energylens.errors import UserError, some
from energylens.models import files, published
from energylens.models.check import Report

FORMATS = ("text", "csv", "json")
SHOWN = [
    "name", "data", "norm", "eps", "clean", "robust", "robust_by", "extra_data", "weights", "energies", "architecture",
    "venue",
]  # fmt: skip
"""the columns of the text; csv and json have them all"""
ALWAYS = ["name", "clean", "robust", "eps"]
FIRST = ["data", "norm", "architecture"]
"""what a terminal shows before anything else, the names whole if they can be"""
THEN = ["extra_data", "energies", "venue", "weights", "robust_by"]
CUT = {"name": 29, "architecture": 16}
"""how short a terminal may cut these; all others are whole or left out"""
GAP = "  "


def text(data: str | None, form: str, **chosen) -> str:
    """RobustBench's models (of `digits`: the demo networks) as a table, CSV or JSON.

    Raises:
        UserError: unknown words, or no such model.
    """
    form = published.one_of("--format", form, FORMATS)
    digits = data is not None and data.lower() == "digits"
    if digits and any(value not in (None, False, "robust") for value in chosen.values()):
        raise UserError("--data digits lists the eight demo networks; leave out the other conditions")
    found = _demo() if digits else published.select(data, **chosen)
    if form == "csv":
        return found.to_csv(index=False).rstrip()
    if form == "json":
        return found.to_json(orient="records", indent=1)
    shown = _plain(found[SHOWN if data is None else [column for column in SHOWN if column != "data"]])
    console = Console()
    if not console.is_terminal:
        return f"{shown.to_string(index=False)}\n{_below(found)}"
    if chosen["norm"] is not None:
        shown = shown.drop(columns="norm")
    return f"{fitted(shown, console.width)}\n{_below(found)}"


def _plain(found: pd.DataFrame) -> pd.DataFrame:
    """All as text, accuracies with two decimals."""
    plain = found.copy()
    for column in plain.select_dtypes("bool"):
        plain[column] = plain[column].map({True: "yes", False: "no"})
    for column in ("clean", "robust"):
        plain[column] = plain[column].map("{:.2f}".format)
    return plain.astype(str)


def _below(found: pd.DataFrame) -> str:
    """How many there are, which ones to doubt, and one that can be measured."""
    doubted = {"called unreliable by RobustBench": found["unreliable"], "no logits, so no energies": ~found["energies"]}
    lines = [f"{what}: {some(found['name'][rows].unique())}" for what, rows in doubted.items() if rows.any()]
    usable = found["reference"][found["weights"] & found["energies"]]
    example = "none of them can be measured" if usable.empty else f"write a model as {usable.iloc[0]}"
    count = "1 model" if len(found) == 1 else f"{len(found)} models"
    return "\n".join([*lines, f"{count}; {example}"])


def fitted(plain: pd.DataFrame, width: int) -> str:
    """A table of text for a terminal: the columns that fit, names and architectures cut where they must be."""
    widths = _widths(plain, width)
    lines = []
    for cells in [list(widths), *plain[list(widths)].itertuples(index=False)]:
        pairs = zip(widths.items(), cells, strict=True)
        lines.append(GAP.join(_cell(str(cell), column, wide) for (column, wide), cell in pairs).rstrip())
    return "\n".join(lines)


def _widths(plain: pd.DataFrame, width: int) -> dict[str, int]:
    """Column -> characters, in the table's order."""
    whole = {column: max(len(column), int(plain[column].str.len().max())) for column in map(str, plain)}
    kept = {column: min(whole[column], CUT.get(column, width)) for column in ALWAYS}

    def room() -> int:
        return width - sum(wide + len(GAP) for wide in kept.values()) + len(GAP)

    def keep(columns: list[str]) -> None:
        for column in [column for column in columns if column in whole]:
            least = min(whole[column], CUT.get(column, width))
            if least + len(GAP) <= room():
                kept[column] = least

    def widen(column: str) -> None:
        kept[column] = max(12, min(whole[column], kept[column] + room()))

    keep(FIRST)
    widen("name")
    keep(THEN)
    if "architecture" in kept:
        widen("architecture")
    return {column: kept[column] for column in whole if column in kept}


def _cell(text: str, column: str, width: int) -> str:
    if len(text) > width:
        text = f"{text[: width - 1]}…"
    return text.rjust(width) if column in ("clean", "robust", "eps") else text.ljust(width)


def _demo() -> pd.DataFrame:
    rows = []
    for path in sorted(models.ZOO.glob("*.safetensors")):
        about = files.metadata(path)
        clean, robust = (round(100 * about[name], 2) for name in ("clean_accuracy", "pgd20_accuracy"))
        facts: dict[str, object] = {
            "reference": f"demo:{path.stem}",
            "data": "digits",
            "norm": "Linf",
            "name": path.stem,
        }
        facts |= {"architecture": about["arch"], "eps": f"{about['eps']:g}", "clean": clean, "robust": robust}
        facts |= {"robust_by": "PGD-20", "extra_data": False, "weights": True, "unreliable": False, "venue": ""}
        rows.append(facts | {"energies": True})
    return pd.DataFrame(rows).sort_values("robust", ascending=False)


def report(reference: str, images: Data, found: Report) -> list[str]:
    """What `models check` prints of a model, beside what is published of it."""
    low, high = (100 * bound for bound in claims.wilson(found.correct, found.images))
    return [
        f"model           {references.named(reference)[0]}: {found.classes} classes, {found.parameters:,} parameters, "
        "logits",
        f"images          {images.name}: {images.selection}",
        f"clean accuracy  {found.accuracy:.2f} % [{low:.2f}, {high:.2f}]",
        *published_of(reference, images, low, high),
        f"mean E(x)       {found.mean_energy:.3f} nats",
    ]


def published_of(reference: str, images: Data, low: float, high: float) -> list[str]:
    """What is published of a model, beside what was measured.

    Args:
        reference: of the model.
        images: that were classified.
        low: of the interval of the measured clean accuracy, in percent.
        high: of the same.
    """
    row = published.entry(reference)
    if row is None:
        return []
    within = f", {row['norm']} {row['eps']}" if row["eps"] else ""
    lines = [f"{row['clean']:.2f} % clean, {row['robust']:.2f} % robust ({row['robust_by']}{within})"]
    usual = references.split(row["data"])[1]
    other = row["preprocessing"] not in ("", PREPROCESSING)
    if other:
        lines.append(f"of images prepared by {row['preprocessing']}; these are by {PREPROCESSING}")
    if (images.name, images.split) != (row["data"], usual):
        lines.append(f"on {row['data']}:{usual}; these are other images")
    elif low <= row["clean"] <= high:
        lines.append("the published clean accuracy lies within the measured interval")
    else:
        why = "other weights, or the other preparation?" if other else "other weights?"
        lines.append(f"the published clean accuracy lies OUTSIDE the measured interval: {why}")
    return [f"{'' if number else 'published':16}{line}" for number, line in enumerate(lines)]
