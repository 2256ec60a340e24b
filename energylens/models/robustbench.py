"""RobustBench's models by reference: `robustbench:cifar10/Linf/Engstrom2019Robustness`."""

import importlib.util
import re
from pathlib import Path

from torch import nn

from energylens import downloads
from energylens.errors import UserError, first_line, unknown
from energylens.models import published, robustbench_outside, sound
from energylens.models.robustbench_import import zoo
from energylens.models.robustbench_patches import guarded
from energylens.transfers import DRIVE

NOT_LOGITS = {
    "Chen2020Adversarial": "the mean of three networks' probabilities",
    "Diffenderfer2021Winning_LRR_CARD_Deck": "the mean of six networks' probabilities",
    "Diffenderfer2021Winning_Binary_CARD_Deck": "the mean of six networks' probabilities",
    "Bai2023Improving": "logarithms of mixed probabilities",
    "Bai2024MixedNUTS": "logarithms of mixed probabilities",
}
"""beginnings of names -> what their networks return instead of logits (read in robustbench 1.1.1)"""


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
                _unpublished(reference)
                raise UserError(f"{unknown(f'RobustBench {kind}', part, known)}{_overwritten()}")
            found.append(name)
            level = level[known[name]]
    return *found, level


def _unpublished(reference: str) -> None:
    """Tell of a model that is listed and that RobustBench cannot load."""
    listed = published.entry(reference)
    if listed is not None and not listed["weights"]:
        raise UserError(
            f"{listed['reference']} is listed, but RobustBench has no public checkpoint of it; see {listed['link']}. "
            "models list --weights shows those that can be loaded"
        )


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
    """Where each file of a model goes -> where it comes from.

    Raises:
        UserError: RobustBench has no such model.
    """
    dataset, threat, name, entry = _entry(reference)
    path, ids = file_of(reference, model_dir), entry["gdrive_id"]
    if isinstance(ids, list):
        return {path.with_name(f"{path.name}_m{part}.pt"): f"{DRIVE}{drive}" for part, drive in enumerate(ids)}
    if ids:
        return {path: f"{DRIVE}{ids}"}
    with zoo() as utils:
        return {path: robustbench_outside.url(utils, dataset, threat, name, entry)}


def missing(reference: str, model_dir: Path) -> dict[Path, str]:
    """Those of its files that are not there."""
    return {path: url for path, url in sources(reference, model_dir).items() if not path.is_file()}


def fetch(wanted: dict[Path, str]) -> None:
    """Download checkpoints; each is whole under its name, or not there.

    Raises:
        UserError: one could not be had; says which file goes where and where it comes from.
    """
    for count, (path, url) in enumerate(wanted.items()):
        place = "/".join(path.parts[-3:])
        try:
            downloads.fetch(
                path,
                [url],
                _checksum(url),
                what=f"checkpoint {path.name}",
                place=f"models/{place}",
                sound=sound.checkpoint,
            )
        except downloads.Unavailable as error:
            rest = [f"{other} ({wanted[other]})" for other in list(wanted)[count + 1 :]]
            also = f"; missing too: {', '.join(rest)}" if rest else ""
            raise UserError(f"{error}, or pass --model-dir DIR if it is DIR/{place}{also}") from error


def _checksum(url: str) -> str | None:
    """The beginning of a sha256 that torchvision puts into its files' names."""
    found = re.search(r"-([0-9a-f]{8,})\.pth$", url)
    return f"sha256:{found.group(1)}" if found else None


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
    dataset, threat, name, entry = _entry(reference)
    path = file_of(reference, model_dir)
    fetch(missing(reference, model_dir))
    try:
        with zoo() as utils:
            if not entry["gdrive_id"]:
                net = robustbench_outside.untrained(utils, dataset, threat, name, entry)
                return robustbench_outside.filled(net, path, trust)
            with guarded(utils, name, trust):
                return utils.load_model(name, model_dir=model_dir, dataset=dataset, threat_model=threat)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"RobustBench could not load {name} ({first_line(error)})") from error
