"""The grammar of model and data references, without loading anything."""

import os
import re
import shlex
from collections.abc import Iterable
from pathlib import Path

SPLITS = ("train", "test", "val", "extra")
USUAL = {"tiny-imagenet": "val", "imagenet": "val"}
"""data sets whose test images have no labels -> the split that is meant where none is named; `test` for all others"""
RUN = re.compile(r"(\w[\w-]*)-(digits|cifar10|cifar100|svhn|tiny-imagenet)-([\w+=.-]+)-(\d+)")
"""the name of a training run's folder: objective, data, architecture, seed"""
SUBSET = re.compile(r"(.+)-(misclassified|high|low|classes(?:-\d+)+)-(unperturbed|removed)")
"""what stands there for the objective of a run with a subset of its images treated apart"""
NORMS = {"linf": "Linf", "l2": "L2"}  # as RobustBench writes them


def named(reference: str) -> tuple[str, str]:
    """Display name and bare reference: `SAT=demo:sat` -> ("SAT", "demo:sat"); a default name if none is given."""
    match = re.match(r"([^:@/=]*)=(.+)", reference)
    if match and not os.path.exists(reference):  # False for names that no file can have
        return match.group(1).strip(), match.group(2)
    if _checkpoint_of_run(reference):
        return Path(reference).parent.name, reference
    tail = reference.rpartition("@")[0] or reference
    tail = re.split(r"[:/]", tail)[-1]
    return re.sub(r"\.(safetensors|pt|pth|th)$", "", tail), reference


def public(reference: str) -> str:
    """A bare model reference without its folders (a run keeps its own), as it is stored in tables."""
    reference = named(reference)[1]
    if _checkpoint_of_run(reference):
        return "/".join(Path(reference).parts[-2:])
    if reference.startswith("robustbench:"):
        return "/".join(NORMS.get(part.lower(), part) for part in reference.split("/"))
    file, at, arch = reference.rpartition("@")
    return f"{Path(file).name}@{arch}" if at else Path(arch).name


def placed(references: Iterable[str], runs: Path) -> tuple[str, ...]:
    """References with the networks of `runs/`, where trainings usually lie, looked for in another folder."""
    return tuple(re.sub(r"(^|=)runs/", lambda match: f"{match[1]}{runs}/", one) for one in references)


def run_command(reference: str) -> str | None:
    """The command that trains `runs/OBJECTIVE-DATA-ARCH-SEED/last.safetensors`, or `best`; None if it is no run."""
    path = Path(named(reference)[1])
    run = _run(str(path))
    if run is None:
        return None
    objective, data, arch, seed = run.groups()
    arch, apart = arch.replace("+", ":"), ""
    if subset := SUBSET.fullmatch(objective):
        objective, which, mode = subset.groups()
        which = which.replace("-", ":", 1).replace("-", ",")
        apart = f" --subset {which} --subset-mode {mode}"
    folder = path.parent.parent
    where = "" if folder == Path("runs") else f" --runs {shlex.quote(str(folder))}"
    return f"python -m energylens.train {objective} --data {data} --arch {arch} --seed {seed}{apart}{where}"


def _checkpoint_of_run(reference: str) -> bool:
    """Whether a file is called like a run's, whose folder then says more than its own name."""
    path = Path(reference)
    return path.name in ("last.safetensors", "best.safetensors") and path.parent.name != ""


def _run(reference: str) -> re.Match | None:
    return RUN.fullmatch(Path(reference).parent.name) if _checkpoint_of_run(reference) else None


def split(reference: str) -> tuple[str, str]:
    """A data reference's source and split: `cifar10:train` -> ("cifar10", "train"); the usual one if none is named."""
    source, _, last = reference.rpartition(":")
    return (source, last) if source and last in SPLITS else (reference, USUAL.get(reference, "test"))


def training(reference: str) -> str:
    """The training images of a data set, whichever split of it is named: `cifar10`, `cifar10:test` -> `cifar10:train`.

    Files without splits are left as they are.
    """
    source, _ = split(reference)
    return reference if source.endswith(".npz") or ".py:" in source else f"{source}:train"


def data_name(reference: str) -> tuple[str, str]:
    """A data reference's source without its folders, and its split, as they are stored in tables."""
    source, part = split(reference)
    return Path(source).name, part
