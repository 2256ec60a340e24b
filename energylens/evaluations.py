"""The table of accuracies: one row a model, attack and seed. Rows are added and replaced, never lost."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from energylens import accuracy, table
from energylens.attacks import Attack, AutoAttack
from energylens.attacks.seeds import seedless
from energylens.claims import wilson
from energylens.row_table import RowTable
from energylens.schema import NATURAL

FILE = "evaluate.parquet"
AFTER = {f"after_{part.replace('-', '_')}": part for part in AutoAttack.parts}
"""column -> the part of AutoAttack after which it is the accuracy"""
SCHEMA = pa.schema(
    [
        ("model", pa.string()),  # display name
        ("model_ref", pa.string()),  # the reference without its folders
        ("model_sha", pa.string()),
        ("objective", pa.string()),  # these three from the checkpoint's metadata; null where it is not ours
        ("arch", pa.string()),
        ("train_seed", pa.int64()),
        ("data", pa.string()),
        ("split", pa.string()),
        ("images", pa.int64()),  # of the split
        ("n", pa.int64()),  # that were measured: the first n, or n drawn with shuffle_seed
        ("shuffle_seed", pa.int64()),
        ("attack", pa.string()),  # `natural`, or its name without its seed
        ("eps", pa.float64()),  # null for natural images, and for attacks without a bound
        ("norm", pa.string()),
        ("seed", pa.int64()),  # of the attack; null where it draws nothing
        ("precision", pa.string()),  # of the search
        ("correct", pa.int64()),  # pred == label, whatever the natural image's was; NaN is wrong
        ("accuracy", pa.float64()),  # correct / n
        ("low", pa.float64()),  # 95 % interval (Wilson)
        ("high", pa.float64()),
        ("nan", pa.int64()),  # images that gave NaN
        *((column, pa.float64()) for column in AFTER),  # null for all but AutoAttack
        ("key", pa.string()),  # of the rows of the energy table
    ]
)
SAME = ("model", "model_sha", "data", "split", "attack", "seed", "key", "n")
"""a row replaces the one that has all of these in common"""
TABLE = RowTable("accuracies", SCHEMA, SAME)
read, add = TABLE.read, TABLE.add
READ = ("model_ref", "model_sha", "data", "split", "eps", "norm", "seed", "precision", "key", "label", "pred")
READ_OF_PARTS = ("part", "clean_correct")
TRIAL = ["model", "model_sha", "data", "split", "n", "shuffle_seed", "attack", "eps", "norm", "precision"]
"""what rows that differ in the attack's seed alone have in common"""
RECIPE = ["objective", "arch", *TRIAL[2:]]
"""what networks that differ in their training seed alone have in common"""


def row(points: Path, model: str, attack: Attack | None, samples: int | None) -> dict[str, Any]:
    """Count what an energy table holds of a model under an attack (None: natural images).

    Robust accuracy is the mean of pred == label over all images, those that are wrong without attack included.

    Raises:
        UserError: some of the images are not there.

    Source: Mirza et al. 2024 (arXiv:2407.06315), their evaluation code; Wilson 1927.
    """
    columns = [*READ, *READ_OF_PARTS] if attack and attack.parts else [*READ]
    wanted = attack.name if attack else NATURAL
    rows = table.open(points, [model], [attack.name] if attack else [], samples, columns)
    found = rows[rows["attack"] == wanted]
    record = next(one for one in rows.attrs["provenance"] if one["key"] == found["key"].iloc[0])
    constant = {name: _plain(found[name].iloc[0]) for name in READ[:-2]}
    n, correct = len(found), int((found["pred"] == found["label"]).sum())
    low, high = wilson(correct, n)
    return {
        "model": model,
        **constant,
        "images": record["images"],
        "n": n,
        "shuffle_seed": record["decisive"]["shuffle_seed"],
        "attack": seedless(attack).name if attack else NATURAL,
        "correct": correct,
        "accuracy": correct / n,
        "low": low,
        "high": high,
        "nan": int((found["pred"] == -1).sum()),
        **(_after(found) if attack and attack.parts else {}),
    }


def _plain(value: Any) -> Any:
    """A cell as Python has it; None where there is none."""
    return None if pd.isna(value) else value.item() if hasattr(value, "item") else value


def _after(rows: pd.DataFrame) -> dict[str, float]:
    shares, n = accuracy.after_parts(rows).iloc[0], len(rows)
    return {column: round(n * shares[part]) / n for column, part in AFTER.items()}  # cumulated, so not quite k / n


def over_seeds(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over an attack's seeds, where there are several; of one seed the last row counts.

    Args:
        frame: rows of the table.

    Returns:
        One row a model, selection and attack: `TRIAL`, `seeds`, `mean`, and `std`, that of a sample (n - 1).
    """
    last = frame.drop_duplicates([*TRIAL, "seed"], keep="last")
    return _several(last, TRIAL)


def over_training_seeds(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over networks that differ in their training seed alone, where there are several.

    Of a training seed and an attack's seed the last row counts; each network enters with its mean over an attack's
    seeds.

    Args:
        frame: rows of the table; those of networks whose checkpoints tell no recipe are left out.

    Returns:
        One row an objective, architecture, selection and attack: `RECIPE`, `seeds`, `mean`, and `std` (n - 1).

    Source: Mirza et al. 2024 (arXiv:2407.06315), Table 1a.
    """
    told = frame[frame["train_seed"].notna()]
    last = told.drop_duplicates([*RECIPE, "train_seed", "seed"], keep="last")
    networks = last.groupby([*RECIPE, "train_seed"], dropna=False, sort=False)["accuracy"].mean().reset_index()
    return _several(networks, RECIPE)


def _several(rows: pd.DataFrame, common: list[str]) -> pd.DataFrame:
    trials = rows.groupby(common, dropna=False, sort=False)["accuracy"]
    made = trials.agg(seeds="count", mean="mean", std="std").reset_index()
    return made[made["seeds"] > 1].reset_index(drop=True)
