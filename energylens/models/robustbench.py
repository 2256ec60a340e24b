"""RobustBench's models by reference: `robustbench:cifar10/Linf/Engstrom2019Robustness`."""

import importlib.util
import os
from pathlib import Path
from unittest import mock

from torch import nn

from energylens.errors import UserError, first_line, some, unknown
from energylens.models import pickled
from energylens.models.robustbench_import import zoo

URL = "https://drive.google.com/uc?id="
CONSTANTS = ("mu", "sigma", "mean", "std", "num_batches_tracked")
"""buffers that the classes set themselves and that some published files lack"""


def _entry(reference: str):
    """Data set, threat model, name and RobustBench's own entry."""
    parts = reference.removeprefix("robustbench:").split("/")
    if len(parts) != 3:
        raise UserError(f"'{reference}' is no RobustBench reference; write robustbench:cifar10/Linf/Standard, say")
    with zoo() as utils:
        level = utils.all_models
        found = []
        for kind, part in zip(("data set", "threat model", "model"), parts, strict=True):
            known = {getattr(key, "value", key): key for key in level}
            name = next((option for option in known if option.lower() == part.lower()), None)
            if name is None:
                raise UserError(f"{unknown(f'RobustBench {kind}', part, known)}{_overwritten()}")
            found.append(name)
            level = level[known[name]]
    return *found, level


def _overwritten() -> str:
    """A hint, where another package has put an older robustbench over the installed one."""
    if importlib.util.find_spec("torchattacks") is None:
        return ""
    return (
        ". torchattacks 3.5.1 overwrites robustbench with its copy of 2022; if this name should be there: "
        "pip install --force-reinstall --no-deps robustbench"
    )


def missing(reference: str, model_dir: Path) -> dict[Path, str]:
    """Checkpoint files that are not there: where each goes -> its Google Drive id.

    Raises:
        UserError: RobustBench has no such model.
    """
    dataset, threat, name, entry = _entry(reference)
    ids = entry["gdrive_id"]
    path = model_dir / dataset / threat / f"{name}.pt"
    wanted = {path: ids} if isinstance(ids, str) else {}
    if isinstance(ids, list):
        wanted = {path.with_name(f"{path.name}_m{part}.pt"): drive for part, drive in enumerate(ids)}
    return {file: drive for file, drive in wanted.items() if not file.is_file()}


def fetch(wanted: dict[Path, str]) -> None:
    """Download checkpoints; each is whole under its name, or not there.

    Raises:
        UserError: one could not be had; says which file goes where and where it comes from.
    """
    import gdown

    for count, (path, drive) in enumerate(wanted.items()):
        part = next(parent for parent in path.parents if parent.is_dir()) / f".{path.name}.part"
        try:
            gdown.download(id=drive, output=str(part))
            pickled.glance(part)
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(part, path)
        except (OSError, gdown.exceptions.FileURLRetrievalError, UserError) as error:
            rest = [f"{other} ({URL}{wanted[other]})" for other in list(wanted)[count + 1 :]]
            also = f"; missing too: {', '.join(rest)}" if rest else ""
            raise UserError(
                f"checkpoint {path} is missing and could not be downloaded ({_why(error)}); save "
                f"{URL}{drive} there, or name its folder with --model-dir{also}"
            ) from error
        finally:
            part.unlink(missing_ok=True)


def _why(error: Exception) -> str:
    """Connection errors carry a screenful of addresses; their type says enough."""
    return type(error).__name__ if isinstance(error, OSError) else first_line(error)


def load(reference: str, model_dir: Path, trust: bool = False) -> nn.Module:
    """The eval-mode network on the CPU, inputs in [0, 1], normalisation inside.

    Args:
        reference: `robustbench:DATASET/THREAT/NAME`.
        model_dir: holds DATASET/THREAT/NAME.pt, as RobustBench lays its files out.
        trust: let the file run code while it is read.

    Raises:
        UserError: unknown model, file missing or unreadable, or a key missing in it.
    """
    dataset, threat, name, _ = _entry(reference)
    path = model_dir / dataset / threat / f"{name}.pt"
    unsafe = {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"} if trust else {}
    with (
        zoo() as utils,
        mock.patch.dict(os.environ, unsafe),
        mock.patch.object(utils, "_safe_load_state_dict", _complete(utils, path)),
    ):
        try:
            return utils.load_model(name, model_dir=model_dir, dataset=dataset, threat_model=threat)
        except UserError:
            raise
        except Exception as error:
            if path.is_file():
                pickled.read(path, trust)  # says it better, where the file itself is the trouble
            raise UserError(f"RobustBench could not load {name} ({first_line(error)})") from error


def _complete(utils, path: Path):
    """RobustBench's loading of a state dict, which for some names forgives missing keys, made strict."""
    lenient = utils._safe_load_state_dict

    def strict(model: nn.Module, name: str, state: dict, dataset) -> nn.Module:
        keys = model.state_dict().keys() - state.keys()
        lacking = some(key for key in keys if key.split(".")[-1] not in CONSTANTS)
        if lacking:
            raise UserError(f"{path} lacks {lacking}; is it the file of {name}?")
        return lenient(model, name, state, dataset)

    return strict
