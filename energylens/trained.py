"""What networks of our own say of their training: a run's folder, a checkpoint's metadata, the demo zoo's."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from energylens import models, references
from energylens.data import named
from energylens.errors import UserError
from energylens.models import files
from energylens.train.runs import ABOUT, BEST, LAST

WEIGHTS = (BEST, LAST)
"""of a run's folder; the first that is there is taken: `best` is only there where a selection was asked for"""
NOT_ENDED = "its training has not ended: give the command that trains it once more"


@dataclass(frozen=True)
class Network:
    """A model reference, and what its file tells."""

    reference: str
    """with a display name where the file's own would say little"""
    about: dict[str, Any] = field(default_factory=dict)
    """metadata of one of our own checkpoints; empty for all other models"""
    taken: str = ""
    """which file of a run's folder it is"""

    @property
    def name(self) -> str:
        """As in tables."""
        return references.named(self.reference)[0]

    @property
    def eps(self) -> float | None:
        """Radius of its training attack; None where the file tells none."""
        return self.about.get("eps")

    @property
    def test(self) -> str | None:
        """Reference of the test images of what it was trained on; None where none can be told."""
        source = references.split(str(self.about.get("data", "")))[0]
        return source if source in named.NAMES or (source and Path(source).is_dir()) else None

    @property
    def recipe(self) -> dict[str, Any]:
        """`objective`, `arch` and `train_seed`; None where the file does not tell."""
        words = {name: str(self.about[name]) if name in self.about else None for name in ("objective", "arch")}
        seed = self.about.get("seed")
        return words | {"train_seed": seed if isinstance(seed, int) else None}


def network(reference: str) -> Network:
    """A model reference, or the folder of a training run, which stands for one of its checkpoints.

    Raises:
        UserError: nothing there, a folder without weights, or a checkpoint whose metadata cannot be read.
    """
    name, bare = references.named(reference)
    if bare.startswith("demo:"):
        return Network(reference, files.metadata(models.demo(bare.removeprefix("demo:"))))
    path = Path(bare)
    if path.is_dir() or references.run_command(f"{path}/{LAST}"):
        return _of_folder(path, name if bare != reference else None)
    if "/" in bare and not path.exists() and not set(bare) & set(":@"):
        if (path.parent / ABOUT).is_file():
            raise UserError(f"no such file: {bare}; {NOT_ENDED}")
        command = references.run_command(bare)
        raise UserError(f"no such file or run: {bare}" + (f"; train it: {command}" if command else ""))
    if path.suffix == ".safetensors" and path.is_file():
        return Network(reference, files.metadata(path))
    return Network(reference)


def _of_folder(folder: Path, name: str | None) -> Network:
    path = next((folder / file for file in WEIGHTS if (folder / file).is_file()), None)
    if path is None:
        command = references.run_command(f"{folder}/{LAST}")
        remedy = f"train it: {command}" if command else "give the folder of a training run, or FILE.safetensors"
        remedy = NOT_ENDED if (folder / ABOUT).is_file() else remedy
        raise UserError(f"{folder} holds neither {' nor '.join(WEIGHTS)}; {remedy}")
    shown = name or folder.resolve().name.replace("=", "")
    plain = references.named(str(path))[0] == shown
    taken = f"{path.name} of {folder}"
    if path.name == BEST and not (folder / LAST).is_file():
        taken += ", a run that has not come to its end"
    return Network(str(path) if plain else f"{shown}={path}", files.metadata(path), taken)
