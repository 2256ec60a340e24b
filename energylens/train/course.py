"""One run from its start, or from where it was killed, to its end, in its folder.

After each epoch come, in this order: energies, the best checkpoint, metrics, the state. A run that is killed goes
on from its last state, and does again what came after it: the same, since nothing of an epoch depends on what was
before but the state.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pandas as pd

from energylens import epochs as energies
from energylens.atomic import sweep
from energylens.attacks import Attack
from energylens.epoch_files import FOLDER
from energylens.errors import UserError
from energylens.train import checkpoints, epochs, loop, own, select, subset
from energylens.train.negatives import Diverged
from energylens.train.prepare import Ready
from energylens.train.processes import Alone
from energylens.train.runs import BEST, LAST, STATE, SUBSET
from energylens.train.state import State

Row = dict[str, Any]


@dataclass
class Course:
    """How far a run is: its state, and what was told of it."""

    ready: Ready
    state: State
    processes: Alone
    rows: list[Row] = field(default_factory=list)
    """of the metrics"""
    best: float = -1.0
    """highest accuracy of the selection so far"""

    def save(self) -> None:
        """Its state, to go on from."""
        saved = {"state": self.state.state_dict(), "rows": self.rows, "best": self.best}
        checkpoints.save_state(self.ready.folder.path, saved)

    def resume(self) -> None:
        """Go on from what was saved, if anything was."""
        saved = self.processes.first(lambda: checkpoints.load_state(self.ready.folder.path))
        if saved is not None:
            self.state.load_state_dict(saved["state"])
            self.rows, self.best = saved["rows"], saved["best"]


def train(ready: Ready, processes: Alone, advance: Callable[[Row, int], None] = lambda row, epochs: None) -> None:
    """Train to the end; what is there already is not trained again.

    Args:
        ready: the run.
        processes: those that train together.
        advance: told of each epoch: its row of metrics, and how many there are.

    Raises:
        UserError: another process trains in the folder, the disk is full, or a file in it is broken.
        NotFinite: the loss or a weight became NaN, or energies diverged; the state of the last good epoch is kept.
    """
    with ExitStack() as held:
        if not processes.first(lambda: _done(ready, held)):
            _train(_agreed(ready, processes), processes, advance)


def _agreed(ready: Ready, processes: Alone) -> Ready:
    """All processes with the subset that the folder holds, whatever each has measured itself."""
    if ready.subset is None:
        return ready
    images = ready.subset.images
    made = replace(ready.subset, rows=processes.first(lambda: subset.read(ready.folder.path, images)))
    return replace(ready, data=made.trained_on, subset=made)


def _done(ready: Ready, held: ExitStack) -> bool:
    """Whether there is nothing left to train; the folder is this process's own until `held` is closed."""
    held.enter_context(ready.folder.mine())
    own.check(ready.folder, ready.run, ready.facts, bool(ready.every))  # another recipe may have come in between
    path = ready.folder.path
    for folder in (path, *path.glob(f"{FOLDER}/model=*/attack=*")):
        sweep(folder)
    if ready.folder.done:
        (path / STATE).unlink(missing_ok=True)  # killed between the last two files
        return True
    if ready.run.subset is None:
        (path / SUBSET).unlink(missing_ok=True)  # of a run that was killed before it said what it is
    elif ready.subset is None:
        raise UserError(f"{path} held a run that is gone now; give the command once more")
    if ready.folder.about() is None:
        if ready.subset:
            subset.write(path, ready.subset)  # before the description, which says that it is there
        ready.folder.write_about(ready.facts)
    return False


def _train(ready: Ready, processes: Alone, advance: Callable[[Row, int], None]) -> None:
    settings = ready.run.settings
    state = loop.begin(ready.arch, ready.objective, ready.data, settings, processes.device)
    course = Course(ready, state, processes)
    course.resume()
    if course.rows:
        advance(course.rows[-1], settings.epochs)
    if state.epoch == 0:
        processes.first(lambda: _before(course))
    began = time.monotonic()
    try:
        natural = ready.subset.natural if ready.subset else None
        for numbers in loop.epochs(state, ready.data, processes, natural):
            seconds, began = time.monotonic() - began, time.monotonic()
            row = {"epoch": state.epoch, **numbers, "seconds": seconds}
            advance(processes.first(partial(_after, course, row)), settings.epochs)
            began = time.monotonic()
    except (loop.NotFinite, Diverged) as error:
        raise _stopped(ready, state, error) from error
    processes.first(lambda: _end(ready, state))


def _end(ready: Ready, state: State) -> None:
    checkpoints.save_weights(state.result, ready.folder.path / LAST, ready, epoch=state.epoch, selected="last")
    (ready.folder.path / STATE).unlink()


def _before(course: Course) -> None:
    """What is measured and saved of the start."""
    _measured(course)
    course.save()


def _after(course: Course, row: Row) -> Row:
    """What is measured and saved of an epoch; its row of the metrics."""
    row |= _measured(course)
    row |= _selected(course)
    course.rows.append(row)
    checkpoints.save_metrics(course.ready.folder.path, course.rows)
    course.save()
    return row


def _measured(course: Course) -> Row:
    """The epoch's energies, if it is one of those that are measured; the means that metrics tell of them."""
    ready, epoch, path = course.ready, course.state.epoch, course.ready.folder.path
    if not ready.every or (epoch % ready.every and epoch != ready.run.settings.epochs):
        return {}
    precision = ready.run.settings.precision
    epochs.record(course.state.result, path, ready.run.name, epoch, ready.sets, precision=precision)
    means = energies.means(energies.open(path, epochs=epoch))
    return {name: value for split, _, attacks in ready.sets for name, value in _told(means, split, attacks)}


def _told(means: pd.DataFrame, split: str, attacks: tuple[Attack, ...]) -> list[tuple[str, float]]:
    """What metrics hold of a split: Delta E under the first attack, accuracies of test images under the last."""
    rows = means[means["split"] == split].set_index("attack")
    told = [(f"{split}_delta_energy", float(rows["delta_energy"][attacks[0].name]))]
    if split == "test":
        names = {"test_clean": "accuracy_natural", "test_robust": "accuracy"}
        told += [(name, float(rows[column][attacks[-1].name])) for name, column in names.items()]
    return told


def _selected(course: Course) -> Row:
    """Accuracies on the images apart, if there are any; the best network so far is saved."""
    ready, state = course.ready, course.state
    settings, apart = ready.run.settings, ready.apart
    if apart is None:
        return {}
    found = select.accuracies(state.result, apart, settings.eps)
    row = {f"val_{name}": value for name, value in found.items()}
    if state.epoch > settings.selects_after and found["robust"] > course.best:
        course.best = found["robust"]
        path = ready.folder.path / BEST
        checkpoints.save_weights(state.result, path, ready, epoch=state.epoch, selected=settings.select, **row)
    return row


def _stopped(ready: Ready, state: State, error: UserError) -> UserError:
    kept = f"the state after {state.epoch} of {ready.run.settings.epochs} epochs is kept in {ready.folder.path}"
    return loop.NotFinite(f"{ready.run.name}: {error}; {kept}; train it anew with a lower --lr and another --name")
