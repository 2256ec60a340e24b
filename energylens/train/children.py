"""Processes of this machine that train together: started, watched, and ended with each other."""

import logging
import os
import socket

import torch
from torch import multiprocessing
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from energylens import orphans
from energylens.errors import UserError
from energylens.train import fabric
from energylens.train.order import Order

HERE = "127.0.0.1"


def train(order: Order, size: int) -> None:
    """Train each run with so many processes; all is checked before one is started.

    Raises:
        UserError: a mistake, a run that failed, or a process that was killed.
    """
    _check(order, size)
    context = multiprocessing.get_context("spawn")
    said = context.SimpleQueue()
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)  # it tells which ones it ends
    children = multiprocessing.start_processes(_child, (size, _free_port(), order, said), size, join=False)
    try:
        while not children.join():
            pass
    except (ProcessExitedException, ProcessRaisedException) as error:
        killed = [rank for rank, process in enumerate(children.processes) if process.exitcode == -9]
        if isinstance(error, ProcessRaisedException) and not killed:
            raise  # a mistake of ours, with its traceback
        which = killed[0] if killed else error.error_index
        code = children.processes[which].exitcode
        how = "was killed (out of memory?)" if killed else f"ended with exit code {code}"
        raise UserError(
            f"process {which + 1} of {size} {how}; whole epochs are kept: the same command goes on"
        ) from error
    finally:
        for process in children.processes:
            process.kill()
    if not said.empty():
        raise UserError(said.get())


def _check(order: Order, size: int) -> None:
    device = torch.device(order.place.device)
    fabric.check()
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"--processes {size} needs --device cuda or cpu, not {device.type}")
    if device.type == "cuda" and (there := torch.cuda.device_count()) < size:
        fewer = f"--processes {there}, or " if there else ""
        raise UserError(f"--processes {size}: this machine has {there} GPUs; take {fewer}--device cpu")
    order.ready(size, measure=False)


def _free_port() -> int:
    with socket.socket() as made:
        made.bind((HERE, 0))
        return made.getsockname()[1]


def _child(rank: int, size: int, port: int, order: Order, said) -> None:
    """One of the processes; the first tells what failed."""
    orphans.end_with_parent()
    numbers = {"WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "RANK": rank, "LOCAL_RANK": rank, "MASTER_PORT": port}
    os.environ.update({name: str(number) for name, number in numbers.items()} | {"MASTER_ADDR": HERE})
    try:
        order.train(fabric.Several(order.place.device))
    except UserError as error:
        if rank == 0:
            said.put(str(error))
    fabric.leave()
