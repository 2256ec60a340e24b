"""EnergyTable: a DataFrame of fixed columns, in parquet, one row per model, attack and image.

Files lie as `points/model=NAME/attack=NAME/part-KEY-START-STOP.parquet`, so that
`pandas.read_parquet(DIR / "points")` simply works. Names that begin with `_` or `.` are skipped by readers.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from energylens.atomic import whole
from energylens.errors import UserError, first_line
from energylens.schema import MEASURED, NATURAL, SCHEMA, STEPS


class Part(NamedTuple):
    """One shard on disk: images START to STOP of a selection, measured under KEY."""

    path: Path
    key: str
    start: int
    stop: int


class Records(tuple):
    """Provenance in a table's `attrs`, which pandas deep-copies at every step; it never changes."""

    def __deepcopy__(self, memo: dict) -> "Records":
        return self


def check_name(name: str) -> None:
    """Whether a table can have this name.

    Raises:
        UserError: it would lie outside the folder of the tables, or be skipped by readers.
    """
    if not re.fullmatch(r"[\w.+ -]+", name) or name[0] in "_.":
        raise UserError(f"'{name}' cannot name a table; use letters, digits, - and _ (not in front)")


def folder(points: Path, model: str, attack: str) -> Path:
    """Where the shards of a model and attack lie."""
    return points / f"model={quote(model, safe=' ()+')}" / f"attack={quote(attack, safe=' ')}"


def parts(where: Path) -> list[Part]:
    """The shards in a folder, by their names, in order of their images."""
    found = []
    for path in where.glob("part-*.parquet"):
        match = re.fullmatch(r"part-([0-9a-f]{8})-(\d+)-(\d+)", path.stem)
        if match:
            found.append(Part(path, match[1], int(match[2]), int(match[3])))
    return sorted(found, key=lambda part: part.start)


def write(columns: dict[str, Any], where: Path, start: int, stop: int, provenance: dict[str, Any]) -> Path:
    """Write one shard: under a name that readers skip, synced, then renamed. What exists is whole.

    Raises:
        UserError: the disk is full or read-only.
    """
    schema = STEPS if "step" in columns else SCHEMA
    table = pa.table([columns[field.name] for field in schema], schema=schema)
    table = table.replace_schema_metadata({"energylens": json.dumps(provenance, sort_keys=True)})
    path = where / f"part-{provenance['key']}-{start}-{stop}.parquet"
    with whole(path, "--tables") as hidden:
        pq.write_table(table, hidden)
    return path


def write_images(images: np.ndarray, where: Path, start: int, stop: int, key: str) -> Path:
    """Keep a shard's images [B, C, H, W] beside it, under a name that readers of the table skip.

    Raises:
        UserError: the disk is full or read-only.
    """
    path = where / f"_images-{key}-{start}-{stop}.npz"
    with whole(path, "--tables") as hidden, hidden.open("wb") as file:
        np.savez_compressed(file, images=images)
    return path


def provenance(path: Path) -> dict[str, Any]:
    """What a shard says it was measured from.

    Raises:
        UserError: the file is broken, or no shard of ours.
    """
    try:
        stored = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read ({first_line(error)}); delete it and measure it again") from error
    if b"energylens" not in stored:
        raise UserError(f"{path} is no energy table of ours; move it out of the folder")
    return json.loads(stored[b"energylens"])


def check_whole(part: Part) -> None:
    """A look at a shard's footer.

    Raises:
        UserError: broken, no shard of ours, or not of the images that its name says.
    """
    about, rows = provenance(part.path), pq.read_metadata(part.path).num_rows
    if (about["key"], rows) != (part.key, about.get("rows", part.stop - part.start)):
        raise UserError(f"{part.path} does not hold what its name says; delete it and measure it again")


def open(points: Path, models: Iterable[str], attacks: Iterable[str], samples: int | None = None) -> pd.DataFrame:
    """The rows of these models and attacks, natural images included, models and attacks in this order.

    Args:
        points: the folder `TABLES/ANALYSIS/points`, or `steps`.
        models: display names.
        attacks: attack names, without `natural`.
        samples: the first this many images of the measured selection; None for all of it.

    Returns:
        An EnergyTable; `attrs["provenance"]` holds one record per model and attack.

    Raises:
        UserError: something is not there, and has to be measured first.
    """
    points, models, attacks = Path(points), list(models), [NATURAL, *attacks]
    frames, records = [], []
    for model in models:
        for attack in attacks:
            rows, record = _rows(folder(points, model, attack), model, attack, samples)
            frames.append(rows.assign(model=model, attack=attack))
            records.append(record | {"model": model})
    table = pd.concat(frames, ignore_index=True)
    table["model"] = pd.Categorical(table["model"], models)
    table["attack"] = pd.Categorical(table["attack"], attacks)
    table.attrs["provenance"] = Records(records)
    return table


def _rows(where: Path, model: str, attack: str, samples: int | None) -> tuple[pd.DataFrame, dict[str, Any]]:
    found = parts(where)
    if not found:
        raise UserError(
            f"no table of '{model}' under '{attack}' in {where.parent.parent}; measure it: leave out --no-measure"
        )
    record = provenance(found[0].path)
    wanted = record["images"] if samples is None else samples
    position, chunks = 0, []
    for part in found:
        if part.start > position or position >= wanted:
            break
        rows = _read(part.path)
        image = part.start + pd.factorize(rows["sample"])[0]  # its place in the selection
        chunks.append(rows[(image >= position) & (image < wanted)])
        position = max(position, part.stop)
    if len({part.key for part in found}) > 1:
        raise UserError(f"{where} holds shards of several keys; measure it again: leave out --no-measure")
    if position < wanted:
        raise UserError(
            f"the table of '{model}' under '{attack}' has {position} of {wanted} images; "
            "measure the rest: leave out --no-measure"
        )
    return pd.concat(chunks, ignore_index=True), record


def _read(path: Path) -> pd.DataFrame:
    try:
        return pq.read_table(path, partitioning=None).to_pandas()
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path} cannot be read ({first_line(error)}); delete it and measure it again") from error


def pairs(table: pd.DataFrame) -> pd.DataFrame:
    """Each adversarial row beside its natural image.

    Returns:
        The adversarial rows, with `energy_natural`, `pred_natural`, ... and
        `delta_energy` = E(x) - E(x*), `delta_joint_energy` = E(x, y) - E(x*, y) (natural minus
        adversarial: negative means that the attack raised the energy).

    Raises:
        UserError: an adversarial row has no natural one, or an image stands twice in the table.

    Source: Mirza et al. 2024 (arXiv:2407.06315), section 3.2.
    """
    key = ["model", "model_sha", "data", "split", "sample"]
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
