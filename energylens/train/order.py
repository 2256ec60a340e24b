"""What a command trains: runs, one after the other, here or in another process."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from energylens.errors import UserError, many
from energylens.train import course, show
from energylens.train.prepare import Energies, Place, Ready, prepared
from energylens.train.processes import Alone
from energylens.train.runs import Run

Advance = Callable[[dict[str, Any], int], None]


@dataclass(frozen=True)
class Order:
    """Runs to be trained; it travels to other processes."""

    runs: tuple[Run, ...]
    place: Place
    energies: Energies
    tensorboard: bool = False
    """whether each run writes event files"""

    def ready(self, processes: int = 1, measure: bool = True) -> list[Ready]:
        """The runs, checked.

        Args:
            processes: how many train together.
            measure: whether to measure what a subset needs; if not, other processes will, and check the rest.

        Raises:
            UserError: something is not usable.
        """
        if self.tensorboard:
            from energylens.train import tensorboard

            tensorboard.library()
        made = [prepared(run, self.place, self.energies, measure) for run in self.runs]
        for one in made if processes > 1 else []:
            if one.objective.negatives:
                raise UserError(f"{one.run.objective} has one replay buffer, in one process; leave --processes out")
            if one.run.subset and one.subset is None:
                continue  # how many images are trained on is not known: done, or not measured
            _check_shares(len(one.data), one.run.settings.batch, processes)
        return made

    def train(self, processes: Alone) -> None:
        """Train each run to its end, the others too when one fails.

        Raises:
            UserError: something is not usable, before any work; or at the end, what failed.
        """
        self.end(self.each(processes))

    def each(self, processes: Alone) -> list[str]:
        """The same; returns why runs failed.

        Raises:
            UserError: something is not usable, before any work.
        """
        failed = []
        for one in processes.together(lambda: self.ready(processes.size)):
            try:
                with self._told(one, processes) as advance:
                    course.train(one, processes, advance)
            except UserError as error:
                failed.append(str(error))
                if processes.rank == 0 and len(self.runs) > 1:
                    print(f"failed: {error}", flush=True)
        return failed

    def end(self, failed: list[str]) -> None:
        """Raises what failed, if anything did.

        Raises:
            UserError: how many runs failed, and the first reason.
        """
        if failed and len(self.runs) == 1:
            raise UserError(failed[0])
        if failed:
            raise UserError(f"{len(failed)} of {many(len(self.runs), 'run')} failed; {failed[0]}")

    @contextmanager
    def _told(self, one: Ready, processes: Alone) -> Iterator[Advance]:
        """What is told of each epoch of a run; the first process alone speaks."""
        if processes.rank > 0:
            yield lambda row, epochs: None
            return
        with ExitStack() as stack:
            heard = [stack.enter_context(show.shown(one))]
            if self.tensorboard:
                from energylens.train import tensorboard

                heard.append(stack.enter_context(tensorboard.writing(one.folder.path)))

            def advance(row: dict[str, Any], epochs: int) -> None:
                for tell in heard:
                    tell(row, epochs)

            yield advance


def _check_shares(images: int, batch: int, processes: int) -> None:
    """Whether each process has an image in each batch."""
    if (least := min(images, batch)) < processes:
        raise UserError(f"a batch of {many(least, 'image')} cannot be shared by {processes} processes; take fewer")
    if (last := images % batch or batch) >= processes:
        return
    better = next(size for size in range(batch + 1, images + 1) if (images % size or size) >= processes)
    raise UserError(
        f"the last batch of {many(images, 'image')} is {last}, too few for {processes} processes; "
        f"take --batch {better}, or --processes {last}"
    )
