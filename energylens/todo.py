"""Tasks to be handed out: each to one probe, whichever is first."""

from collections import deque
from dataclasses import replace

from energylens import plan
from energylens.errors import UserError
from energylens.lock import Lock
from energylens.plan import Planner, Task
from energylens.progress import Watch


class Todo:
    """The tasks of a run. What another probe is at comes last, and only what of it that one left."""

    def __init__(self, tasks: list[Task], planner: Planner, lock: Lock, watch: Watch):
        self.waiting = deque(tasks)
        self.planner, self.lock, self.watch = planner, lock, watch

    def __bool__(self) -> bool:
        return bool(self.waiting)

    def take(self) -> Task | None:
        """A task that nobody else is at, now one's own; None while there is none."""
        busy = 0
        while busy < len(self.waiting):
            task = self.waiting.popleft()
            if not self.lock.take(plan.folder(self.planner.points, task), task.start, task.stop):
                self.waiting.append(task)
                busy += 1
                continue
            try:
                rest = self.planner.rest(task)
            except UserError as error:  # of this shard, not of the run
                return replace(task, refused=str(error))
            if rest == [task]:
                return task
            self.done(task)
            self.waiting.extendleft(reversed(rest))
            self.watch.elsewhere(task, task.images - sum(left.images for left in rest))
        if self.waiting:
            self.watch.waits(self.waiting[0])
        return None

    def done(self, task: Task) -> None:
        """Its shard is written, or it failed."""
        self.lock.give_back(plan.folder(self.planner.points, task), task.start, task.stop)
