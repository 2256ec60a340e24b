"""What a run leaves on disk: weights with their story, the state to go on from, a row of metrics an epoch."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors.torch import save
from torch import nn

from energylens import spec
from energylens.atomic import whole
from energylens.errors import UserError, first_line
from energylens.train.prepare import Ready
from energylens.train.runs import METRICS, STATE

CHOSEN = (
    *("samples", "shuffle_seed", "synthetic", "data_sha"),
    *("subset", "subset_mode", "subset_model", "subset_model_file", "subset_size"),
)
"""facts of a run that its checkpoints tell too: which images it was trained on, and how"""


def save_weights(net: nn.Module, path: Path, ready: Ready, **more: Any) -> None:
    """A checkpoint that `models.load` reads: weights, and how they were made, in its metadata.

    Args:
        net: what to save.
        path: a `.safetensors`.
        ready: the run.
        more: what else to tell of it, such as its epoch.
    """
    arch, run = ready.arch, ready.run
    if "normalize" in spec.parse(arch)[1]:
        net = net.get_submodule("1")  # the normalisation is part of the architecture's name
    about = {"arch": _fresh(arch), "objective": run.objective, "data": run.data, **dataclasses.asdict(run.settings)}
    about |= {name: ready.facts.get(name) for name in CHOSEN}
    about |= more | {"torch": torch.__version__}
    weights = {key: value.detach().cpu().contiguous() for key, value in net.state_dict().items()}
    with whole(path, "--runs") as hidden:
        hidden.write_bytes(save(weights, {"energylens": json.dumps(about, sort_keys=True)}))  # save_file: for us alone


def _fresh(arch: str) -> str:
    """An architecture without the wish for downloaded weights, which have been trained on since."""
    return ":".join(part for part in arch.split(":") if not part.startswith("pretrained="))


def save_state(folder: Path, saved: dict[str, Any]) -> None:
    """All that the next epoch depends on; the last file of an epoch to be written."""
    with whole(folder / STATE, "--runs") as hidden:
        torch.save(saved, hidden)


def load_state(folder: Path) -> dict[str, Any] | None:
    """What was saved last, in main memory; None where nothing was.

    Raises:
        UserError: it cannot be read.
    """
    path = folder / STATE
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file fails in many ways
        raise UserError(f"{path} cannot be read ({first_line(error)}); delete {folder} to train anew") from error


def save_metrics(folder: Path, rows: list[dict[str, Any]]) -> None:
    """One row an epoch."""
    with whole(folder / METRICS, "--runs") as hidden:
        pd.DataFrame(rows).to_parquet(hidden, index=False)
