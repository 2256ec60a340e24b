"""The first network of a subset, which finds its images: the usual one beside the run, or one that a user names."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from energylens import models, references, trained
from energylens.errors import UserError
from energylens.train import typed
from energylens.train.pick import CLASSES
from energylens.train.runs import ABOUT, BEST, LAST, Folder, Run, differing
from energylens.train.settings import OWN, Settings, preset_of, recipe

COMMON = ("data", "data_sha", "samples", "shuffle_seed")
"""facts that the usual first network has in common with the run; of its settings eps"""
NO_USE = ("beta", "normalize", "burn_in", "sgld_steps", "buffer", "rho")
"""settings that `sat` has no use for"""


def usual(run: Run) -> Run:
    """The `sat` run of the same images, architecture and seed, by the run's own settings where they apply."""
    settings = replace(run.settings, **{name: getattr(Settings, name) for name in NO_USE})
    if any(objective == run.objective for _, objective in OWN):
        kept = {"eps": run.settings.eps, "seed": run.settings.seed}
        settings, run = recipe(preset_of(run.data), "sat", run.data, **kept), replace(run, synthetic=None)
    return replace(
        run, objective="sat", settings=settings, title=None, subset=None, subset_mode=None, subset_model=None
    )


def reference(run: Run, runs: Path) -> str:
    """Of the first network: the one that is named, or the usual one."""
    return run.subset_model or str(runs / usual(run).name)


def public(run: Run, runs: Path) -> str | None:
    """The same without its folders, as it is stored; None where no network is asked."""
    if run.subset is None or run.subset.startswith(CLASSES):
        return None
    return references.public(reference(run, runs)).removesuffix(f"/{LAST}")


def load(run: Run, runs: Path, facts: dict[str, Any]) -> tuple[nn.Module, str | None]:
    """The network, and its file where that is the best of a run's folder.

    Raises:
        UserError: it is not there, its training has not ended, or the usual one was trained otherwise.
    """
    named = reference(run, runs)
    if run.subset_model is None:
        _check(run, runs, facts)
    bare = Path(references.named(named)[1])
    if (bare / ABOUT).is_file() and not (bare / LAST).is_file():
        raise UserError(f"--subset {run.subset} asks the network of {bare}; {trained.NOT_ENDED}")
    return models.load(trained.network(named).reference), BEST if (bare / BEST).is_file() else None


def _check(run: Run, runs: Path, facts: dict[str, Any]) -> None:
    """Whether the usual network is there, and was trained on the run's images at its eps."""
    folder = Folder(runs / usual(run).name)
    asks, about = f"--subset {run.subset} asks the network of {folder.path}, which", folder.about()
    if about is None:
        command = typed.command(usual(run), runs)
        raise UserError(f"{asks} is not there; train it: {command}, or name another one with --subset-model")
    there = about | {"settings": {"eps": about["settings"].get("eps")}}
    if differs := differing(there, {name: facts[name] for name in COMMON}, run.settings):
        raise UserError(
            f"{asks} was trained otherwise ({'; '.join(differs)}); to take it all the same, or another one, name it "
            "with --subset-model"
        )
