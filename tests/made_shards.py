"""Shards whose numbers are known by model, attack and image, and what plain pandas reads of them."""

from pathlib import Path

import numpy as np
import pandas as pd

from energylens import table

KEY = "0123abcd"
EVERYTHING = ["keep_logits", "keep_images"]


def columns(model: str, attack: str, start: int, stop: int, steps: int | None = None, logits: bool = False) -> dict:
    """All columns of images START to STOP; every seventh energy is NaN, every third image has a target."""
    sample = np.repeat(np.arange(start, stop), steps or 1)
    count = len(sample)
    text = f"{model} under {attack}"
    made = {field.name: sample + len(text) for field in table.SCHEMA}
    made |= {name: sample + number / 7 for number, name in enumerate(("energy", "joint_energy", "ce", "linf", "l2"))}
    made |= {field.name: [text] * count for field in table.SCHEMA if str(field.type) == "string"}
    made |= {
        "sample": sample,
        "label": sample % 3,
        "pred": sample % 2,
        "energy": np.where(sample % 7 == 6, np.nan, made["energy"]),
        "status": ["nan" if number % 7 == 6 else "success" for number in sample],
        "clean_correct": sample % 2 == 0,
        "target": [int(number) if number % 3 == 0 else None for number in sample],
        "part": [None] * count,
        "logits": [np.array([number, 0.5]) if logits else None for number in sample],
    }
    if steps:
        made |= {name: made["energy"] for name in ("loss", "cos_joint", "cos_marginal", "update_norm")}
        made["step"] = np.tile(np.arange(steps), stop - start)
    return made


def images(start: int, stop: int) -> np.ndarray:
    """[B, 1, 2, 2], each full of its number."""
    return np.broadcast_to(np.arange(start, stop, dtype=np.float32)[:, None, None, None], (stop - start, 1, 2, 2))


def write(
    points: Path, model: str = "m", attack: str = "pgd", start: int = 0, stop: int = 3, key: str = KEY, **about
) -> Path:
    """One shard, its images beside it if `kept` says so; `about` changes its provenance (and `steps` its rows)."""
    steps, where = about.pop("steps", None), table.folder(points, model, attack)
    about = {
        "key": key, "images": 5, "data": "x:test", "model_ref": "nets.py:m", "decisive": {}, "kept": [],
        "rows": (stop - start) * (steps or 1), "batch": 128, "seconds": 2.0, "software": {"device": "cpu"},
    } | about  # fmt: skip
    if "keep_images" in about["kept"]:
        table.write_images(images(start, stop), where, start, stop, key)
    made = columns(model, attack, start, stop, steps, "keep_logits" in about["kept"])
    return table.write(made, where, start, stop, about)


def read(points: Path) -> pd.DataFrame:
    """What plain pandas sees, in the order of images."""
    found = pd.read_parquet(points).astype({"model": str, "attack": str})
    order = [name for name in ("model", "attack", "sample", "step") if name in found]
    return found.sort_values(order, ignore_index=True)
