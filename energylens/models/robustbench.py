"""RobustBench's models by reference: `robustbench:cifar10/Linf/Engstrom2019Robustness`."""

import importlib.util
import os
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import torch
from torch import nn

from energylens import downloads, paths
from energylens.downloads import DRIVE
from energylens.errors import UserError, first_line, some, unknown
from energylens.models import pickled
from energylens.models.robustbench_import import zoo

NOT_LOGITS = {
    "Chen2020Adversarial": "the mean of three networks' probabilities",
    "Diffenderfer2021Winning_LRR_CARD_Deck": "the mean of six networks' probabilities",
    "Diffenderfer2021Winning_Binary_CARD_Deck": "the mean of six networks' probabilities",
    "Bai2023Improving": "logarithms of mixed probabilities",
    "Bai2024MixedNUTS": "logarithms of mixed probabilities",
}
"""beginnings of names -> what their networks return instead of logits (read in robustbench 1.1.1)"""
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


def file_of(reference: str, model_dir: Path) -> Path:
    """Where a model's checkpoint goes, in RobustBench's own layout; the parts of an ensemble lie beside it."""
    dataset, threat, name, _ = _entry(reference)
    return model_dir / dataset / threat / f"{name}.pt"


def sources(reference: str, model_dir: Path) -> dict[Path, str]:
    """Where each file of a model goes -> where it comes from; none for networks that timm or torchvision fetch.

    Raises:
        UserError: RobustBench has no such model.
    """
    path, ids = file_of(reference, model_dir), _entry(reference)[3]["gdrive_id"]
    if isinstance(ids, list):
        return {path.with_name(f"{path.name}_m{part}.pt"): f"{DRIVE}{drive}" for part, drive in enumerate(ids)}
    return {path: f"{DRIVE}{ids}"} if ids else {}


def missing(reference: str, model_dir: Path) -> dict[Path, str]:
    """Those of its files that are not there."""
    return {path: url for path, url in sources(reference, model_dir).items() if not path.is_file()}


def fetch(wanted: dict[Path, str]) -> None:
    """Download checkpoints; each is whole under its name, or not there.

    Raises:
        UserError: one could not be had; says which file goes where and where it comes from.
    """
    for count, (path, url) in enumerate(wanted.items()):
        try:
            downloads.fetch(path, [url], what=f"checkpoint {path.name}")
        except downloads.Unavailable as error:
            rest = [f"{other} ({wanted[other]})" for other in list(wanted)[count + 1 :]]
            also = f"; missing too: {', '.join(rest)}" if rest else ""
            raise UserError(f"{error}, or name its folder with --model-dir{also}") from error


def obtain(reference: str, model_dir: Path, trust: bool = False) -> list[str]:
    """Have a model's files at hand, checked: whole as they came, and of the network that they should be of.

    Returns:
        Lines that say where they are.

    Raises:
        UserError: they cannot be had, changed since they came, or do not fit.
    """
    fetch(missing(reference, model_dir))
    files = [path for path in sources(reference, model_dir) if path.is_file()]
    lines = [f"{path}  sha256 {downloads.verified(path)}" for path in files]
    net = load(reference, model_dir, trust)
    parameters = sum(parameter.numel() for parameter in net.parameters())
    lines.append(f"{reference.rpartition('/')[2]}: {parameters:,} parameters, every key in its place")
    reason = refused(reference)
    return lines if reason is None else [*lines, f"its outputs are {reason}: its energies mean nothing"]


def refused(reference: str) -> str | None:
    """Why a model's outputs are no logits, known without its weights; None if nothing is known against it."""
    name = _entry(reference)[2]
    return next((kind for start, kind in NOT_LOGITS.items() if name.startswith(start)), None)


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
    path = file_of(reference, model_dir)
    fetch(missing(reference, model_dir))
    unsafe = {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"} if trust else {}
    with (
        zoo() as utils,
        mock.patch.dict(os.environ, unsafe),
        mock.patch.object(utils, "_safe_load_state_dict", _complete(utils, path)),
        mock.patch.object(utils, "timm", _timm(utils.timm, path)),
        mock.patch("torch.hub.download_url_to_file", _from_hub(torch.hub.download_url_to_file)),
    ):
        try:
            return utils.load_model(name, model_dir=model_dir, dataset=dataset, threat_model=threat)
        except UserError:
            raise
        except Exception as error:
            if path.is_file():
                pickled.read(path, trust)  # says it better, where the file itself is the trouble
            raise UserError(f"RobustBench could not load {name} ({first_line(error)})") from error


def _timm(timm, path: Path):
    """Timm for the networks that RobustBench leaves to it: their weights from a file placed by hand, if there is one.

    Otherwise timm downloads them into torch's own cache.
    """

    def create(name: str, **settings) -> nn.Module:
        if path.is_file():
            pickled.glance(path)
            settings |= {"pretrained": False, "checkpoint_path": str(path)}
        elif paths.offline():
            raise UserError(
                f"timm would download the weights of {name}, and {paths.OFFLINE} is set; place them as {path}"
            )
        return timm.create_model(name, **settings)

    return SimpleNamespace(is_model=timm.is_model, create_model=create)


def _from_hub(usual):
    """Torch's own download, for RobustBench's standard ImageNet networks, which it leaves to torchvision."""

    def download(url: str, path: str, *settings, **named) -> None:
        if paths.offline():
            raise UserError(f"{url} is missing, and {paths.OFFLINE} is set; save it as {path}")
        usual(url, path, *settings, **named)

    return download


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
