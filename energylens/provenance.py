"""What a shard of a table was measured from: its key, and the record stored in the file."""

import dataclasses
import hashlib
import json
import platform
from typing import Any

from energylens import __version__
from energylens.attacks import PGD

SCHEMA_VERSION = 1


def settings(attack: PGD | None) -> dict[str, Any] | None:
    """An attack's class, version and settings; None for natural images."""
    if attack is None:
        return None
    chosen = dataclasses.asdict(attack) | {"step_size": attack.step}
    return {"class": type(attack).__name__, "version": attack.version, **chosen}


def decisive(model_sha: str, data_sha: str, shuffle_seed: int | None, attack: PGD | None) -> dict[str, Any]:
    """All that decides a row's numbers, beside which image it is."""
    return {
        "schema": SCHEMA_VERSION,
        "model_sha": model_sha,
        "data_sha": data_sha,
        "shuffle_seed": shuffle_seed,
        "attack": settings(attack),
        "precision": "fp32",
    }


def key(facts: dict[str, Any]) -> str:
    """Eight hexadecimal digits over canonical JSON."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]


def software(device: str) -> dict[str, Any]:
    """What the numbers were computed with; recorded, and no part of the key."""
    import torch

    return {
        "energylens": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": device,
        "threads": torch.get_num_threads(),
    }


def difference(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Which of the new facts differ from the old ones."""
    return [fact for fact in new if old.get(fact) != new[fact]]
