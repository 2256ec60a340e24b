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
    ray, mine = connect(job.place.address)
    try:
        device, need = resources(ray, job.place.device, job.threads)
        order = ray.put((job, device))
        attempt = ray.remote(max_retries=RETRIES, **need)(_attempt)

        def collect(flying: list) -> list:
            return ray.wait(flying, num_returns=1, timeout=engines.PAUSE)[0]

        def result(handle) -> Shard | Failure:
            return _result(ray, handle)

        def workers() -> int:
            return slots(ray, need)

        yield from engines.spread(lambda task: attempt.remote(order, task), collect, result, workers, todo, watch)
    finally:
        if mine:
            ray.shutdown()


def connect(address: str | None) -> tuple[Any, bool]:
    """Ray, and whether this function has connected to it.

    Args:
        address: of the cluster; one is started on this machine if None.

    Raises:
        UserError: Ray is not installed, or there is no cluster.
    """
    try:
        import ray
    except ImportError as error:
        raise UserError("--engine ray needs Ray; type: pip install 'energylens[cluster]'") from error
    if ray.is_initialized():
        return ray, False
    try:
        ray.init(
            address or "local",  # None would join whatever cluster is found
            logging_level=logging.ERROR,
            log_to_driver=False,
            include_dashboard=False if address is None else None,
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(
            f"no Ray cluster at {address or 'this machine'} ({first_line(error)}); start one: ray start --head"
        ) from error
    return ray, True


def _machines(ray) -> list[dict[str, float]]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def slots(ray, need: dict[str, int]) -> int:
    """How many tasks run at once now; clusters grow and shrink."""
    kind, amount = ("GPU", need["num_gpus"]) if "num_gpus" in need else ("CPU", need["num_cpus"])
    return max(1, int(sum(machine.get(kind, 0) // amount for machine in _machines(ray))))


def resources(ray, asked: str | None, threads: int) -> tuple[str, dict[str, int]]:
    """The device of all tasks, and what of a machine each takes.

    Args:
        ray: connected.
        asked: a device; a GPU of the cluster, or else CPUs, if None.
        threads: with which a task computes on CPUs.

    Raises:
        UserError: no machine of the cluster has that.
    """
    machines = _machines(ray)
    if asked != "cpu" and any(machine.get("GPU", 0) for machine in machines):
        return "cuda", {"num_gpus": 1, "num_cpus": 1}
    if asked not in (None, "cpu"):
        raise UserError(f"no machine of the Ray cluster has a GPU for --device {asked}; take --device cpu")
    largest = int(max(machine.get("CPU", 0) for machine in machines))
    if largest < threads:
        raise UserError(
            f"a task takes {threads} threads, as here, and the cluster's largest machine has {largest} CPUs; "
            f"put OMP_NUM_THREADS={max(1, largest)} in front of the command"
        )
    return "cpu", {"num_cpus": threads}


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
    except ray.exceptions.RayError as error:
        return Failure(f"lost with its worker, {RETRIES + 1} times ({first_line(error)})")
