"""Energies while training, read: rows, pairs, and the means of every epoch. Imports no torch.

A run writes `RUN/epochs/model=NAME/attack=ATTACK/SPLIT-EPOCH.parquet`, natural images under `attack=natural`, so that
`pandas.read_parquet(RUN / "epochs")` simply works. Epoch k is the network after k epochs of training, 0 the start.

Sign convention: Delta E(x) = E(x) - E(x*), natural minus adversarial, and Delta E(x, y) the same. It is above 0 where
the attack lowers the energy (standard networks) and mostly below 0 for robust ones; with robust overfitting it falls
further. Where the paper says that a network has a lower Delta E, it means one closer to zero.
"""

import itertools
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa

from energylens.epoch_files import File, Runs, files, read
from energylens.errors import UserError, many, unknown
from energylens.schema import EPOCHS, NATURAL
from energylens.selection import FOLDERS, each_once
from energylens.table import Records, add_folders
from energylens.table import pairs as pairs

GROUP = ["model", "split", "epoch"]
NUMBERS = ["energy", "joint_energy", "ce", "entropy"]
TERMS = ["kl_conditional", "kl_marginal"]
READ = ["model_sha", "sample", "label", "pred", *NUMBERS, *TERMS]
"""the columns that means are taken from"""
MEANS = [
    *("model", "split", "attack", "epoch", "n", "nan", "delta_energy", "delta_joint_energy", *TERMS),
    *("entropy_natural", "entropy", "ce_natural", "ce", "accuracy_natural", "accuracy"),
]


def open(
    runs: Runs,
    attacks: Iterable[str] | None = None,
    splits: Iterable[str] | None = None,
    epochs: int | Iterable[int] | None = None,
    columns: Iterable[str] | None = None,
) -> pd.DataFrame:
    """The rows of runs, natural images included, in the order of runs, splits and epochs.

    Args:
        runs: folders of runs, or one.
        attacks: attack names, without `natural`; None for all. A run gives those of them that it has.
        splits: such as `train`, `test`; None for all.
        epochs: which ones, or one; None for all.
        columns: those to be read, beside `model` and `attack`; None for all.

    Returns:
        A table of the columns of `schema.EPOCHS`, words as categories; `attrs["provenance"]` holds one record per
        file. `kl_conditional` and `kl_marginal` (which is Delta E(x) = E(x) - E(x*)) are NaN for natural images.

    Raises:
        UserError: a run has no such files, no run has what is asked for, two runs have one name, a column does not
            exist, or a file cannot be read.
    """
    chosen = files(runs, attacks, splits, epochs)
    names = EPOCHS.names if columns is None else each_once(columns)
    for name in names:
        if name not in (*EPOCHS.names, *FOLDERS):
            raise unknown("column", name, [*EPOCHS.names, *FOLDERS])
    names = [name for name in names if name not in FOLDERS]
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda file: read(file.path, names), chosen))
    records = Records(about | {"model": file.model} for file, (_, about) in zip(chosen, found, strict=True))
    counts = [about["rows"] for about in records]
    together = pa.concat_tables([rows for rows, _ in found]).unify_dictionaries()
    del found
    table = together.to_pandas(self_destruct=True) if names else pd.DataFrame(index=range(sum(counts)))
    add_folders(table, [(file.model, file.attack) for file in chosen], counts)
    table.attrs["provenance"] = records
    return table


def means(runs: Runs | pd.DataFrame) -> pd.DataFrame:
    """The course of a training: means over images, epoch by epoch. Reads a few files at a time.

    Args:
        runs: folders of runs, or one; or a table that `open` gave.

    Returns:
        One row a model (run), split, attack and epoch:
        `n`: attacked images; `nan`: those of them with NaN rows, which count as wrong and are in no other mean;
        `delta_energy`, `delta_joint_energy`: E(x) - E(x*) and E(x, y) - E(x*, y) in nats, natural minus adversarial,
        so negative where the attack raises the energy;
        `kl_conditional`, `kl_marginal`: the terms of eq. 5; the second is `delta_energy`;
        `entropy`, `ce`, `accuracy`: of the attacked images, accuracy as a share; with `_natural` of the same natural.

    Raises:
        UserError: as `open`; attacked images without their natural ones, or of another network than these.

    Source: Mirza et al. 2024 (arXiv:2407.06315), eq. 5, figures 3 and Table 2a.
    """
    if isinstance(runs, pd.DataFrame):
        rows = list(itertools.chain.from_iterable(map(_rows, _of_table(runs))))
    else:
        groups = [list(group) for _, group in itertools.groupby(files(runs), lambda file: file.group)]
        with ThreadPoolExecutor() as pool:
            rows = list(itertools.chain.from_iterable(pool.map(lambda group: list(_rows(_of_files(group))), groups)))
    if not rows:
        raise UserError("there are no attacked images in it, so there is nothing to compare with natural ones")
    order = {name: place for place, name in enumerate(dict.fromkeys(row["model"] for row in rows))}
    rows.sort(key=lambda row: (order[row["model"]], row["split"], row["attack"], row["epoch"]))
    return pd.DataFrame(rows, columns=MEANS)


Images = Iterator[tuple[tuple, str, pd.DataFrame]]
"""(model, split, epoch), attack, its rows; natural images before attacked ones"""


def _of_files(group: list[File]) -> Images:
    for file in group:
        yield file.group, file.attack, read(file.path, READ)[0].to_pandas()


def _of_table(table: pd.DataFrame) -> Iterator[Images]:
    lacking = [name for name in (*GROUP, "attack", *READ) if name not in table]
    if lacking:
        raise UserError(f"means needs the columns {', '.join(lacking)} as well; open the table with them")
    for where, rows in table.groupby(GROUP, observed=True):
        attacks = sorted(rows["attack"].unique(), key=lambda attack: (attack != NATURAL, attack))
        yield ((where, attack, rows[rows["attack"] == attack]) for attack in attacks)


def _rows(images: Images) -> Iterator[dict]:
    natural = None
    for where, attack, rows in images:
        if attack == NATURAL:
            natural = rows
        else:
            yield dict(zip(GROUP, where, strict=True)) | {"attack": attack} | _means(natural, rows, attack, where)


def _means(natural: pd.DataFrame | None, attacked: pd.DataFrame, attack: str, where: tuple) -> dict[str, float]:
    before = _beside(natural, attacked, f"{attack} of {where[0]}, {where[1]}, epoch {where[2]}")
    valid = ((attacked["pred"].to_numpy() != -1) & (before["pred"].to_numpy() != -1)).nonzero()[0]
    x, adversarial = (
        {name: rows[name].to_numpy(float)[valid] for name in names}
        for rows, names in ((before, NUMBERS), (attacked, NUMBERS + TERMS))
    )
    made = {f"delta_{name}": x[name] - adversarial[name] for name in ("energy", "joint_energy")}
    made |= {name: adversarial[name] for name in ("ce", "entropy", *TERMS)}
    made |= {f"{name}_natural": x[name] for name in ("ce", "entropy")}
    right = {"accuracy": attacked, "accuracy_natural": before}
    return (
        {"n": len(attacked), "nan": len(attacked) - len(valid)}
        | {name: values.mean() if len(valid) else np.nan for name, values in made.items()}
        | {name: (rows["pred"].to_numpy() == rows["label"].to_numpy()).mean() for name, rows in right.items()}
    )


def _beside(natural: pd.DataFrame | None, attacked: pd.DataFrame, what: str) -> pd.DataFrame:
    """The natural rows of attacked images, in their order."""
    if natural is None:
        raise UserError(f"no natural images beside {what}; measure them, or delete the others")
    if set(natural["model_sha"].unique()) != set(attacked["model_sha"].unique()):
        raise UserError(f"{what}: the natural images beside it are of another network; delete the older file")
    if np.array_equal(natural["sample"], attacked["sample"]):
        return natural
    places = pd.Index(natural["sample"])
    if not places.is_unique:
        raise UserError(f"{what}: natural images stand twice in the table; were two folders joined?")
    found = places.get_indexer(attacked["sample"])
    if (found < 0).any():
        raise UserError(f"{what}: {many(int((found < 0).sum()), 'image')} without a natural row")
    return natural.iloc[found]
