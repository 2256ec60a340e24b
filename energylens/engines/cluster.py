"""A Ray cluster: one task a shard, those of lost workers are given to others (`pip install energylens[cluster]`)."""

import logging
from typing import Any

from energylens import engines, work
from energylens.engines import Done
from energylens.errors import UserError, first_line
from energylens.plan import Task
from energylens.progress import Watch
from energylens.todo import Todo
from energylens.work import Failure, Job, Shard, Worker

RETRIES = 3
"""how often a shard is given to another worker when its own is lost"""
_workers: dict[Any, Worker] = {}
"""the one worker of a process of the cluster, by its job"""


def run(job: Job, todo: Todo, watch: Watch) -> Done:
    """Each task on whichever worker is free.

    Raises:
        UserError: Ray is not installed, there is no cluster at the address, or none of its machines is large enough.
    """
    ray, mine = _connect(job.place.address)
    try:
        device, need, slots = _need(ray, job)
        order = ray.put((job, device))
        attempt = ray.remote(max_retries=RETRIES, **need)(_attempt)

        def collect(flying: list) -> list:
            return ray.wait(flying, num_returns=1, timeout=engines.PAUSE)[0]

        def result(handle) -> Shard | Failure:
            return _result(ray, handle)

        yield from engines.spread(lambda task: attempt.remote(order, task), collect, result, 2 * slots, todo, watch)
    finally:
        if mine:
            ray.shutdown()


def _connect(address: str | None) -> tuple[Any, bool]:
    """Ray, and whether this function has connected to it."""
    try:
        import ray
    except ImportError as error:
        raise UserError("--engine ray needs Ray; type: pip install 'energylens[cluster]'") from error
    if ray.is_initialized():
        return ray, False
    try:
        ray.init(
            address,
            logging_level=logging.ERROR,
            log_to_driver=False,
            include_dashboard=False if address is None else None,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(f"no Ray cluster at {address} ({first_line(error)}); start one: ray start --head") from error
    return ray, True


def _need(ray, job: Job) -> tuple[str, dict[str, float], int]:
    """The device of all tasks, what of a machine each takes, and how many run at once."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    asked = job.place.device
    gpus = int(sum(machine.get("GPU", 0) for machine in machines))
    if asked != "cpu" and gpus:
        return asked or "cuda", {"num_gpus": 1, "num_cpus": 1}, gpus
    if asked not in (None, "cpu"):
        raise UserError(f"no machine of the Ray cluster has a GPU for --device {asked}; take --device cpu")
    slots = int(sum(machine.get("CPU", 0) // job.threads for machine in machines))
    if slots == 0:
        largest = int(max(machine.get("CPU", 0) for machine in machines))
        raise UserError(
            f"a shard takes {job.threads} threads, as here, and the cluster's largest machine has {largest} CPUs; "
            f"put OMP_NUM_THREADS={max(1, largest)} in front of the command"
        )
    return "cpu", {"num_cpus": job.threads}, slots


def _attempt(order: tuple[Job, str], task: Task) -> Shard | Failure:
    """In a process of the cluster."""
    job, device = order
    try:
        if job not in _workers:
            _workers.clear()
            _workers[job] = work.begin(job, device)
    except UserError as error:
        return Failure(str(error))
    return _workers[job].attempt(task, lambda images: None)


def _result(ray, handle) -> Shard | Failure:
    try:
        return ray.get(handle)
    except ray.exceptions.RayTaskError as error:
        raise UserError(
            f"a worker of the cluster failed ({first_line(error.cause)}); is energylens installed there?"
        ) from error
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.RayError) as error:
        return Failure(f"lost with its worker, {RETRIES + 1} times ({first_line(error)})")
