"""Where shards are measured: in this process, on all GPUs of this machine, or on a Ray cluster.

An engine takes tasks from a `Todo` and yields each with its shard, or with the reason why there is none. It
writes nothing: whoever planned the work does.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

from energylens.errors import UserError, unknown
from energylens.options import Place
from energylens.plan import Task
from energylens.progress import Watch
from energylens.todo import Todo
from energylens.work import Failure, Job, Shard

Done = Iterator[tuple[Task, Shard | Failure]]
PAUSE = 1.0
"""seconds between two looks at what others are at"""


def engine(place: Place) -> Callable[[Job, Todo, Watch], Done]:
    """The engine that is asked for.

    Raises:
        UserError: there is none of that name, or it has no use for an address.
    """
    if place.address and place.engine != "ray":
        raise UserError(f"--address {place.address} is of a Ray cluster; add --engine ray, or leave it out")
    if place.engine == "ray":
        from energylens.engines import cluster

        return cluster.run
    if place.engine != "local":
        raise unknown("engine", place.engine, ("local", "ray"))
    from energylens.engines import local

    return local.several if len(place.devices) > 1 else local.one


def spread(
    submit: Callable[[Task], Any],
    collect: Callable[[list], list],
    result: Callable[[Any], Shard | Failure],
    workers: Callable[[], int],
    todo: Todo,
    watch: Watch,
) -> Done:
    """Keep workers elsewhere busy until all tasks are done: each with one task, and one more waits for it.

    Args:
        submit: gives a task away; what it returns stands for it.
        collect: those of the tasks given away that are done, after PAUSE seconds at the latest.
        result: of one that is done.
        workers: how many there are now.
        todo: the tasks.
        watch: told of each.
    """
    flying: dict[Any, Task] = {}
    while todo or flying:
        watch.workers = workers()
        while len(flying) < 2 * watch.workers and (task := todo.take()) is not None:
            watch.begin(task)
            flying[submit(task)] = task
        if not flying:
            time.sleep(PAUSE)
        for handle in collect(list(flying)) if flying else []:
            task, outcome = flying.pop(handle), result(handle)
            if isinstance(outcome, Shard):
                watch.advance(task, task.images, outcome.seconds)
            yield task, outcome
