"""This machine: one device in this process, or a process for each of several GPUs."""

import multiprocessing
import pickle
import signal
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import partial

from energylens import engines, orphans, work
from energylens.engines import Done
from energylens.errors import UserError, first_line
from energylens.plan import Task
from energylens.progress import Watch
from energylens.todo import Todo
from energylens.work import Failure, Job, Shard, Worker

_worker: Worker | Failure
"""of a process that `several` has started"""


def one(job: Job, todo: Todo, watch: Watch) -> Done:
    """One task after the other, on the one device."""
    worker = Worker(job, job.place.where)
    while todo:
        task = todo.take()
        if task is None:
            time.sleep(engines.PAUSE)
            continue
        watch.begin(task)
        yield task, worker.attempt(task, partial(watch.advance, task))


def several(job: Job, todo: Todo, watch: Watch) -> Done:
    """A process for each device.

    Raises:
        UserError: one of them died, or an attack is known to this process alone.
    """
    _check_travels(job)
    context = multiprocessing.get_context("spawn")
    devices = context.SimpleQueue()
    for device in job.place.devices:
        devices.put(device)
    count = len(job.place.devices)
    before = set(multiprocessing.active_children())
    with ProcessPoolExecutor(count, context, initializer=_start, initargs=(job, devices)) as pool:
        try:
            yield from engines.spread(
                lambda task: pool.submit(_attempt, task), _collect, Future.result, lambda: count, todo, watch
            )
        except BaseException as error:  # GeneratorExit is one: a shard could not be written
            for child in set(multiprocessing.active_children()) - before:
                child.kill()
            if isinstance(error, BrokenProcessPool):  # where a task is given away, or its shard asked for
                raise UserError(
                    "a worker process was killed (out of memory?); whole shards are kept: the same command goes on, "
                    "with --batch 64 it needs less memory"
                ) from error
            raise


def _check_travels(job: Job) -> None:
    try:
        pickle.dumps(job)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UserError(
            f"an attack cannot travel to other processes ({first_line(error)}); put it into a file: FILE.py:function"
        ) from error


def _start(job: Job, devices) -> None:
    """Be a worker: gone with the process that started it, and silent at Ctrl-C, which that one hears too."""
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    orphans.end_with_parent()
    try:
        _worker = work.begin(job, devices.get())
    except UserError as error:
        _worker = Failure(str(error))


def _attempt(task: Task) -> Shard | Failure:
    return _worker if isinstance(_worker, Failure) else _worker.attempt(task, lambda images: None)


def _collect(futures: list[Future]) -> list[Future]:
    return list(wait(futures, engines.PAUSE, FIRST_COMPLETED).done)
