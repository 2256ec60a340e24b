"""Runs on a Ray cluster: each one task, on a GPU of its own where there are any (`pip install energylens[cluster]`).

A run whose worker is lost goes on from its last epoch, on another one. All machines share the folder of the runs.
"""

import os
import time
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from energylens.engines import cluster
from energylens.errors import UserError, first_line, many
from energylens.lock import Lock
from energylens.train import show
from energylens.train.order import Order
from energylens.train.processes import Alone
from energylens.train.runs import METRICS, Run

PATIENCE = 60.0
"""seconds that a task waits for another one in its folder"""


def train(order: Order, address: str | None, asked: str | None = None) -> None:
    """Train each run as a task of its own; the others go on when one fails.

    Args:
        order: the runs; all are checked here before any begins.
        address: of the cluster; one is started on this machine if None.
        asked: a device; GPUs of the cluster, or else its CPUs, if None.

    Raises:
        UserError: no Ray, no cluster or none that is large enough; a mistake; or at the end, what failed.
    """
    order.ready(measure=False)
    ray, mine = cluster.connect(address)
    try:
        order.end(_train(ray, order, asked))
    finally:
        if mine:
            ray.shutdown()


def _train(ray, order: Order, asked: str | None) -> list[str]:
    device, need = cluster.resources(ray, asked, torch.get_num_threads())
    place = replace(order.place, runs=order.place.runs.absolute(), device=device)
    task = ray.remote(max_retries=cluster.RETRIES, **need)(_task)
    tasks = {}
    for run in order.runs:
        one = replace(order, runs=(run,), place=place)
        tasks[task.remote(one, torch.get_num_threads(), Path.cwd())] = run
    print(f"{many(len(tasks), 'run')} on Ray, {cluster.slots(ray, need)} at a time", flush=True)
    failed = []
    while tasks:
        for handle in ray.wait(list(tasks), num_returns=1)[0]:
            run = tasks.pop(handle)
            reason = _reason(ray, handle, run)
            failed += [reason] if reason else []
            print(f"failed: {reason}" if reason else _told(run, order.place.runs), flush=True)
    return failed


def _told(run: Run, runs: Path) -> str:
    folder = runs / run.name
    (last,) = pd.read_parquet(folder / METRICS).tail(1).to_dict("records")
    return f"{run.name}: {show.told({str(name): value for name, value in last.items()})}; {folder}"


def _reason(ray, handle, run: Run) -> str | None:
    """Why a task failed, if it did."""
    try:
        return ray.get(handle)
    except ray.exceptions.RayTaskError as error:
        return f"{run.name}: {first_line(error.cause)} on a worker of the cluster; is energylens installed there?"
    except ray.exceptions.RayError as error:
        return f"{run.name}: lost with its worker, {cluster.RETRIES + 1} times ({first_line(error)})"


def _wait(folder: Path) -> None:
    """Until the task of a command that was killed has ended too."""
    lock, end = Lock(folder, "--runs"), time.monotonic() + PATIENCE
    with lock.file:
        while not lock.alone() and time.monotonic() < end:
            time.sleep(1)


def _task(order: Order, threads: int, folder: Path) -> str | None:
    """In a process of the cluster: train the one run; why it failed, if it did."""
    try:
        os.chdir(folder)
    except OSError as error:
        return f"worker cannot enter {folder} ({first_line(error)}); all machines must share it"
    torch.set_num_threads(threads)
    try:
        _wait(order.place.runs / order.runs[0].name)
        return next(iter(order.each(Alone(order.place.device))), None)
    except UserError as error:
        return str(error)
