"""What a shard of a table was measured from: its key, and the record stored in the file."""

import hashlib
import json
import platform
from importlib import metadata
from typing import Any

from energylens import __version__
from energylens.attacks import Attack

SCHEMA_VERSION = 2


def settings(attack: Attack | None) -> dict[str, Any] | None:
    """An attack's class, version and settings; None for natural images."""
    if attack is None:
        return None
    chosen = {name: value for name, value in attack.facts.items() if value is not None}
    if hasattr(attack, "step"):
        chosen["step_size"] = attack.step  # left out or spelled out, it is one attack
    if attack.radius != attack.eps:
        chosen["radius"] = attack.radius  # in which its points are checked to lie
    return {"class": type(attack).__name__, "version": attack.version, **chosen}


def decisive(
    model_sha: str,
    data_sha: str,
    shuffle_seed: int | None,
    attack: Attack | None,
    precision: str = "fp32",
    record: str = "points",
) -> dict[str, Any]:
    """All that decides a row's numbers, beside which image it is."""
    facts = {
        "schema": SCHEMA_VERSION,
        "model_sha": model_sha,
        "data_sha": data_sha,
        "shuffle_seed": shuffle_seed,
        "attack": settings(attack),
        "precision": precision if attack else "fp32",
    }
    return facts if record == "points" else facts | {"record": record}


def key(facts: dict[str, Any]) -> str:
    """Eight hexadecimal digits over canonical JSON."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]


def constants(facts: dict[str, Any], attack: Attack | None, model_ref: str, data: str, split: str) -> dict[str, Any]:
    """The columns that have one value in all rows of a file."""
    return {
        "model_ref": model_ref,
        "model_sha": facts["model_sha"],
        "data": data,
        "split": split,
        "eps": attack.eps if attack else None,
        "norm": attack.norm if attack else None,
        "seed": attack.seed if attack else None,
        "precision": facts["precision"],
        "key": key(facts),
    }


def software(device: str) -> dict[str, Any]:
    """What the numbers were computed with; recorded, and no part of the key."""
    import torch

    return {
        "energylens": __version__,
        "torch": torch.__version__,
        "pyautoattack": _version("pyautoattack"),
        "python": platform.python_version(),
        "device": device,
        "threads": torch.get_num_threads(),
    }


def _version(package: str) -> str | None:
    """None where it is not installed: training needs it not."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def difference(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Which of the new facts differ from the old ones."""
    return [fact for fact in new if old.get(fact) != new[fact]]
