"""Small energy tables whose every number is computed here, in plain numpy, from logits that one can read."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from energylens import provenance, table, verify

LABEL = np.array([0, 1, 2, 0, 1, 2])
NATURAL = np.array([[4, 1, 0], [0, 3, 1], [1, 0, 5], [2, 1, 0], [3, 1, 0], [0, 1, 2]], float)
"""all right but the fifth"""
ATTACKED = np.array([[1, 3, 0], [0, 2, 1], [4, 0, 1], [0, 1, 0.5], [2, 1, 0], [1, 1.5, 0]])
"""all wrong but the second"""
PGD = {"class": "PGD", "version": 1, "eps": 0.1, "norm": "linf", "seed": 0}


def measured(logits: np.ndarray, label: np.ndarray) -> dict:
    """Columns that follow from logits [B, K]."""
    rows = np.arange(len(label))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    others, likely = logits.copy(), p.copy()
    others[rows, label], likely[rows, label] = -np.inf, -np.inf
    broken = np.isnan(logits).any(1)
    return {
        "pred": np.where(broken, -1, logits.argmax(1)),
        "energy": -np.log(np.exp(logits).sum(1)),
        "joint_energy": -logits[rows, label],
        "ce": -np.log(p[rows, label]),
        "entropy": -(p * np.log(p)).sum(1),
        "prob_margin": p[rows, label] - likely.max(1),
        "logit_margin": logits[rows, label] - others.max(1),
        "status": np.where(broken, "nan", np.where(logits.argmax(1) != label, "success", "best_effort")),
    }


def shard(points: Path, attack: str = "pgd", start: int = 0, stop: int = 6, **changes) -> Path:
    """One file of model `m`; `changes` are columns, `settings`, `decisive`, `kept`, `model`, `natural` logits."""
    chosen = slice(start, stop)
    natural, model = changes.pop("natural", NATURAL)[chosen], changes.pop("model", "m")
    attacked = attack != table.NATURAL
    logits = np.array(changes.pop("logits", ATTACKED if attacked else NATURAL)[chosen])
    settings = changes.pop("settings", PGD) if attacked else None
    kept = changes.pop("kept", ["keep_logits"])
    decisive = {
        "schema": 2, "model_sha": "sha", "data_sha": "data", "shuffle_seed": None, "attack": settings,
        "precision": "fp32",
    } | changes.pop("decisive", {})  # fmt: skip
    about = {
        "key": provenance.key(decisive), "decisive": decisive, "model_ref": "nets.py:m", "data": "toy:test",
        "images": len(LABEL), "rows": stop - start, "kept": kept, "batch": 128, "software": {},
    }  # fmt: skip
    label, none = LABEL[chosen], [None] * (stop - start)
    columns = measured(logits, label) | {
        "model_ref": "nets.py:m", "model_sha": decisive["model_sha"], "data": "toy", "split": "test",
        "precision": "fp32", "key": about["key"], "sample": np.arange(start, stop), "label": label,
        "clean_correct": np.where(np.isnan(natural).any(1), -1, natural.argmax(1)) == label,
        "target": none, "part": none, "target_energy": none,
        "linf": np.full(stop - start, 0.1 if attacked else 0.0), "l2": np.full(stop - start, 0.3 if attacked else 0.0),
        "logits": list(logits) if "keep_logits" in kept else none,
    }  # fmt: skip
    columns |= {name: (settings or {}).get(name) for name in ("eps", "norm", "seed")}
    if not attacked:
        columns["status"] = np.where(columns["pred"] == -1, "nan", "natural")
    columns |= changes
    whole = {
        name: [value] * (stop - start) if value is None or np.ndim(value) == 0 else value
        for name, value in columns.items()
    }
    return table.write(whole, table.folder(points, model, attack), start, stop, about)


def pairs(points: Path, **changes) -> tuple[Path, Path]:
    """Six natural images and the same under PGD."""
    return shard(points, "natural", **changes), shard(points, "pgd", **changes)


def steps(points: Path, attack: str = "pgd", **changes) -> Path:
    """The same in a table of steps, without what only some attacks tell; step 0, if not said."""
    none = dict.fromkeys(("loss", "cos_joint", "cos_marginal", "update_norm"), [None] * len(LABEL))
    return shard(points, attack, decisive={"record": "steps"}, **none | {"step": [0] * len(LABEL)} | changes)


def told(points: Path) -> list[str]:
    """What is said of a table that is damaged."""
    return [str(finding) for finding in verify.problems(points) if finding.damage]


def same(rows: pa.Table) -> pa.Table:
    """For `edit`: no change."""
    return rows


def edit(path: Path, change: Callable[[pa.Table], pa.Table] = same, about: dict | None = None, **writing) -> None:
    """Write a file again with other rows, or with other things in its provenance."""
    rows = pq.read_table(path, partitioning=None)
    said = json.loads(rows.schema.metadata[b"energylens"]) | (about or {})
    rows = change(rows).replace_schema_metadata({"energylens": json.dumps(said)})
    pq.write_table(rows, path, **writing)


def fill(column: str, values: list) -> Callable[[pa.Table], pa.Table]:
    """For `edit`: other values in all rows."""

    def change(rows: pa.Table) -> pa.Table:
        field = rows.schema.field(column)
        return rows.set_column(rows.schema.get_field_index(column), field, pa.array(values, field.type))

    return change


def put(column: str, row: int, value) -> Callable[[pa.Table], pa.Table]:
    """For `edit`: another value in one row."""

    def change(rows: pa.Table) -> pa.Table:
        values = rows[column].to_pylist()
        values[row] = value
        return fill(column, values)(rows)

    return change
