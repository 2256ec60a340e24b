"""EnergyTable: a DataFrame of fixed columns, in parquet, one row per model, attack and image.

Files lie as `points/model=NAME/attack=NAME/part-KEY-START-STOP.parquet`, so that
`pandas.read_parquet(DIR / "points")` simply works. Names that begin with `_` or `.` are skipped by readers.
"""

import itertools
import os
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow.fs import LocalFileSystem

from energylens import compact
from energylens.errors import UserError, unknown
from energylens.schema import MEASURED, NATURAL
from energylens.schema import SCHEMA as SCHEMA
from energylens.schema import STEPS as STEPS
from energylens.selection import FOLDERS, Selection, each_once, select
from energylens.shards import Part as Part
from energylens.shards import broken, check_one_key, folder, named, parts, provenance
from energylens.shards import check_whole as check_whole
from energylens.shards import store as store
from energylens.shards import write as write
from energylens.shards import write_images as write_images

LONGEST = 255
"""bytes of a folder's name, on nearly every file system"""


class Records(tuple):
    """Provenance in a table's `attrs`, which pandas deep-copies at every step; it never changes."""

    def __deepcopy__(self, memo: dict) -> "Records":
        return self


def check_name(name: str) -> None:
    """Whether a table can have this name.

    Raises:
        UserError: it would lie outside the folder of the tables, be skipped by readers, or be too long for a folder.
    """
    if not re.fullmatch(r"[\w.+ -]+", name) or name[0] in "_.":
        raise UserError(f"'{name}' cannot name a table; use letters, digits, - and _ (not in front)")
    if len(os.fsencode(name)) > LONGEST:
        raise UserError(f"'{name}' is too long for the name of a folder; give the table a shorter one")


def open(
    points: Path,
    models: Iterable[str] | None = None,
    attacks: Iterable[str] | None = None,
    samples: int | None = None,
    columns: Iterable[str] | None = None,
    filters: list | None = None,
) -> pd.DataFrame:
    """The rows of these models and attacks, natural images included, models and attacks in this order.

    Args:
        points: the folder `TABLES/ANALYSIS/points`, or `steps`.
        models: display names; None for all that are there, sorted.
        attacks: attack names, without `natural`; None for all that each model has, natural first, then sorted.
        samples: the first this many images that were selected; None for all of the data set.
        columns: those to be read, beside `model` and `attack`; None for all.
        filters: which rows, as in `pandas.read_parquet`: `[("status", "==", "nan")]`. Files are skipped where
            their statistics tell that no row fits.

    Returns:
        An EnergyTable; `attrs["provenance"]` holds one record per model and attack.

    Raises:
        UserError: something is not there, and has to be measured first; a column or filter that does not exist.
    """
    points = Path(points)
    compact.recover(points)
    asked = _asked(points, models, attacks)
    chosen = select(_found(points, *asked[0])[0].path, samples, columns, filters)
    with ThreadPoolExecutor() as pool:
        read = list(pool.map(lambda pair: _rows(points, pair[0], pair[1], chosen), asked))
    counts = [sum(map(len, rows)) for rows, _ in read]
    together = pa.concat_tables(itertools.chain.from_iterable(rows for rows, _ in read))
    table = together.to_pandas() if chosen.columns else pd.DataFrame(index=range(sum(counts)))
    add_folders(table, asked, counts)
    table.attrs["provenance"] = Records(record for _, record in read)
    return table


def add_folders(table: pd.DataFrame, pairs: Iterable[tuple[str, str]], counts: list[int]) -> None:
    """Give a table its columns `model` and `attack`, from the names of each file's folders and its number of rows."""
    for column, values in zip(FOLDERS, zip(*pairs, strict=True), strict=True):
        categories = pd.Index(dict.fromkeys(values))
        table[column] = pd.Categorical.from_codes(np.repeat(categories.get_indexer(values), counts), categories)


def _asked(points: Path, models: Iterable[str] | None, attacks: Iterable[str] | None) -> list[tuple[str, str]]:
    """Each model and attack to be read, in their order."""
    there = _there(points) if models is None or attacks is None else []
    chosen = each_once([model for model, _ in there] if models is None else models)
    if not chosen:
        raise UserError("models=[] asks for no model; leave it out for all of them")
    if attacks is not None:
        return list(itertools.product(chosen, each_once([NATURAL, *each_once(attacks)])))
    for model in chosen:
        if model not in dict(there):
            raise unknown("model", model, dict(there))
    return [pair for model in chosen for pair in there if pair[0] == model]


def _there(points: Path) -> list[tuple[str, str]]:
    """Each model and attack of a table, sorted, natural images first."""
    found = [named(where) for where in points.glob("model=*/attack=*") if parts(where)]
    if not found:
        raise UserError(f"no energy table lies in {points}; measure one: python -m energylens.probe")
    return sorted(found, key=lambda pair: (pair[0], pair[1] != NATURAL, pair[1]))


def _found(points: Path, model: str, attack: str) -> list[Part]:
    where = folder(points, model, attack)
    found = parts(where)
    if not found:
        raise UserError(
            f"no table of '{model}' under '{attack}' in {points}; measure it (a figure: leave out --no-measure)"
        )
    check_one_key(where, found)
    return found


def _rows(points: Path, model: str, attack: str, chosen: Selection) -> tuple[list[pa.Table], dict[str, Any]]:
    """The rows of a model and attack, file by file, and the provenance of the first."""
    found = _found(points, model, attack)
    try:
        record = provenance(found[0].path)
        wanted = chosen.samples or record["images"]
        position, chunks = 0, []
        for part in found:
            if part.start > position or position >= wanted:
                break
            chunks.append(_read(part, position, wanted, chosen))
            position = max(position, part.stop)
    except UserError:
        if found == _found(points, model, attack):
            raise
        return _rows(points, model, attack, chosen)  # `compact` joined them meanwhile
    if position < wanted:
        raise UserError(
            f"the table of '{model}' under '{attack}' has {position} of {wanted} images; "
            f"measure the rest (a figure: leave out --no-measure), or open it with samples={position}"
        )
    return chunks, record | {"model": model}


def _read(part: Part, start: int, stop: int, chosen: Selection) -> pa.Table:
    """What a file has of images START to STOP."""
    model, attack = named(part.path.parent)
    of_folder = (ds.field("model") == model) & (ds.field("attack") == attack)
    try:
        file = ds.ParquetFileFormat().make_fragment(str(part.path), LocalFileSystem(), of_folder)
        rows = chosen.rows
        if part.start < start or part.stop > stop:
            samples = file.to_table(columns=["sample"])["sample"].unique()  # in their order
            rows &= ds.field("sample").isin(samples[max(0, start - part.start) : stop - part.start])
        return file.to_table(chosen.schema, columns=chosen.columns, filter=rows, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise broken(part.path, error) from error


def pairs(table: pd.DataFrame) -> pd.DataFrame:
    """Each adversarial row beside its natural image, in tables of epochs that of the same epoch.

    Returns:
        The adversarial rows, with `energy_natural`, `pred_natural`, ... and
        `delta_energy` = E(x) - E(x*), `delta_joint_energy` = E(x, y) - E(x*, y) (natural minus
        adversarial: negative means that the attack raised the energy).

    Raises:
        UserError: an adversarial row has no natural one, an image stands twice in the table, or the table was
            opened without a column that is needed.

    Source: Mirza et al. 2024 (arXiv:2407.06315), section 3.2.
    """
    key = ["model", "model_sha", "data", "split", *(["epoch"] if "epoch" in table else []), "sample"]
    lacking = [name for name in key + MEASURED if name not in table]
    if lacking:
        raise UserError(f"pairs needs the columns {', '.join(lacking)} as well; open the table with them")
    natural = table.loc[table["attack"] == NATURAL, key + MEASURED]
    adversarial = table[table["attack"] != NATURAL]
    twice = int(natural.duplicated(key).sum())
    if twice:
        raise UserError(
            f"{twice} natural images stand twice in the table; were two folders, or two selections, joined?"
        )
    both = adversarial.merge(natural, on=key, how="left", suffixes=("", "_natural"), validate="many_to_one")
    if both["pred_natural"].isna().any():
        raise UserError(f"{int(both['pred_natural'].isna().sum())} adversarial rows have no natural row beside them")
    for column in ("energy", "joint_energy"):
        both[f"delta_{column}"] = both[f"{column}_natural"] - both[column]
    return both


if __name__ == "__main__":
    from energylens.table_command import main

    main()
