"""Whether a folder is a run's own: what was typed, what was found under these names, and what it was called."""

from typing import Any

from energylens import epoch_files, references, shards
from energylens.errors import UserError
from energylens.train.runs import Folder, Run

MEASURED = ("energies_samples", "test")
"""facts of a run that is measured while training; others may differ in them"""
NOT_COMPARED = ("subset_size", "subset_model_file")
"""what follows from other facts, and is told for readers"""
CONTENTS = {"synthetic_sha": "synthetic", "test_sha": "test", "subset_model_sha": "subset_model"}
"""what was found -> under which name"""


def check(folder: Folder, run: Run, facts: dict[str, Any], measured: bool) -> None:
    """Whether the folder is this run's, or free.

    Args:
        folder: where it is to lie.
        run: the run.
        facts: all that decides it; those of contents may be missing where they are not known yet.
        measured: whether energies are measured while training.

    Raises:
        UserError: it belongs to another run, or has been called otherwise; says what differs.
    """
    about = folder.about()
    if about is None:
        return
    folder.check(_comparable(about, facts, measured), run.settings)
    for found, name in CONTENTS.items():
        if found in about and found in facts and about[found] != facts[found]:
            other = "weights of" if name == "subset_model" else f"images under the name of --{name}"
            raise UserError(
                f"{folder.path} belongs to another run (other {other} {facts[name]}); take --name NAME, or another "
                "--runs, or delete it to train anew"
            )
    if not folder.done:
        _check_name(folder, run.name)


def _comparable(about: dict[str, Any], facts: dict[str, Any], measured: bool) -> dict[str, Any]:
    """The facts that both tell, but for contents; older descriptions hold references with their folders."""
    left = {name for name in MEASURED if not measured} | {*NOT_COMPARED, *CONTENTS}
    for name in ("synthetic", "test"):
        typed = about.get(name)
        if typed is not None and f"{name}_sha" not in about and references.public(typed) == facts[name]:
            left.add(name)
    return {name: value for name, value in facts.items() if name not in left}


def _check_name(folder: Folder, name: str) -> None:
    """Whether energies that were measured while training are all of this name."""
    own = shards.folder(folder.path, name, "").parent.name
    for there in sorted(folder.path.glob(f"{epoch_files.FOLDER}/model=*")):
        if there.name != own:
            old = shards.named(there / "attack=")[0]
            raise UserError(
                f"{folder.path} was called {old} when its energies were measured; call it so again to go on with it, "
                "or take another --name"
            )
