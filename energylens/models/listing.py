"""Tables of models for the terminal."""

import io

import pandas as pd
from rich.console import Console
from rich.table import Table

from energylens import models
from energylens.data import Data
from energylens.errors import UserError, unknown
from energylens.models import files, published

FORMATS = ("text", "csv", "json")
SHOWN = ["name", "norm", "eps", "clean", "robust", "robust_by", "extra_data", "weights", "architecture", "venue"]
"""the columns in a terminal; csv and json have them all"""


def text(data: str | None, form: str, **chosen) -> str:
    """RobustBench's models (of `digits`: the demo networks) as a table, CSV or JSON.

    Raises:
        UserError: unknown words, or no such model.
    """
    if form not in FORMATS:
        raise unknown("--format", form, FORMATS)
    if data == "digits" and any(value not in (None, False, "robust") for value in chosen.values()):
        raise UserError("--data digits lists the eight demo networks; leave out the other conditions")
    found = _demo() if data == "digits" else published.select(data, **chosen)
    if form == "csv":
        return found.to_csv(index=False).rstrip()
    if form == "json":
        return found.to_json(orient="records", indent=1)
    shown = found[SHOWN] if data else found[["data", *SHOWN]]
    return f"{_aligned(shown)}\n{len(found)} models; write a model as {found['reference'].iloc[0]}"


def _aligned(found: pd.DataFrame) -> str:
    """As wide as the terminal; whole, where there is none."""
    plain = found.copy()
    for column in plain.select_dtypes("bool"):
        plain[column] = plain[column].map({True: "yes", False: "no"})
    console = Console()
    if not console.is_terminal:
        return plain.to_string(index=False)
    table = Table(box=None, pad_edge=False)
    for column in plain:
        right = column in ("clean", "robust", "eps")
        table.add_column(str(column), justify="right" if right else "left", no_wrap=True, min_width=4)
    for row in plain.itertuples(index=False):
        table.add_row(*map(str, row))
    out = io.StringIO()
    Console(file=out, width=console.width).print(table)
    return out.getvalue().rstrip()


def _demo() -> pd.DataFrame:
    rows = []
    for path in sorted(models.ZOO.glob("*.safetensors")):
        about = files.metadata(path)
        clean, robust = (round(100 * about[name], 2) for name in ("clean_accuracy", "pgd20_accuracy"))
        facts = {"reference": f"demo:{path.stem}", "data": "digits", "norm": "Linf", "name": path.stem}
        facts |= {"architecture": about["arch"], "eps": f"{about['eps']:g}", "clean": clean, "robust": robust}
        rows.append(facts | {"robust_by": "PGD-20", "extra_data": False, "weights": True, "venue": ""})
    return pd.DataFrame(rows).sort_values("robust", ascending=False)


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
    lines = [f"published       {row['clean']:.2f} % clean, {row['robust']:.2f} % robust ({row['robust_by']}{within})"]
    if (images.name, images.split) != (row["data"], "test"):
        return [*lines, f"                on {row['data']}:test; these are other images"]
    if low <= row["clean"] <= high:
        return [*lines, "                the published clean accuracy lies within the measured interval"]
    return [*lines, "                the published clean accuracy lies OUTSIDE the measured interval: other weights?"]
