"""What two processes do that train together, over gloo: `everything`, in both."""

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from plain_training import known
from small_runs import FORKS, changed, ready
from torch import Tensor

from energylens.errors import UserError
from energylens.train import course, loop
from energylens.train.objectives import Objective, Term
from energylens.train.processes import Alone
from energylens.train.runs import Run
from energylens.train.settings import recipe

SMALL: dict[str, Any] = {"epochs": 3, "attack_steps": 2, "batch": 16, "awp": 0.005, "awp_warmup": 1, "augment": True}
SAT = Run("sat", "digits:train", "plain", recipe("demo", "sat", "digits", **SMALL), samples=75)
"""four batches of 16 images and one of 11, of which one process takes 6 and the other 5"""
WEAT = Run(
    "weat-adv", "digits:train", "plain-double", recipe("demo", "weat-adv", "digits", normalize="mean1", **SMALL), 75
)
NORMED = replace(changed(SAT, epochs=10, awp=0.0, augment=False), arch="small-resnet:width=4", samples=16)
"""one batch, with BatchNorm"""
CHOSEN = replace(changed(SAT, select="best-val", val_images=11, ema=0.9), samples=75)


class Stop(Exception):
    """An epoch was enough."""


def numbers(processes: Alone, folder: Path, run: Run, epochs: int) -> tuple[list[list[float]], dict[str, Tensor]]:
    """Losses, terms and accuracies of every epoch, and the weights and statistics at the end."""
    made = ready(folder, run)
    state = loop.begin(made.arch, made.objective, made.data, run.settings)
    told = zip(range(epochs), loop.epochs(state, made.data, processes), strict=False)
    rows = [list(row.values()) for _, row in told]
    return rows, {key: value.numpy() for key, value in state.net.state_dict().items()}


def weighed(logits: Tensor, adv: Tensor, y: Tensor) -> Tensor:
    return logits[:, 0]


def lost(logits: Tensor, adv: Tensor, y: Tensor) -> Tensor:
    return logits[:, 1]


def normed_weights(processes: Alone) -> float:
    """Three images with weights 1, 1, 4 and losses 1, 1, 10; the second process has the last one."""
    logits = torch.tensor([[[1.0, 1.0], [1.0, 1.0]], [[4.0, 10.0]]][processes.rank])
    objective = Objective(None, (Term(lost, 1, weighed),))
    return objective.loss(logits, logits, torch.zeros(len(logits)), processes.mean(3), "mean1").item()


def mistakes(processes: Alone) -> list[str]:
    """What each process hears when the first, or the second, makes one."""

    def fail(rank: int) -> None:
        if processes.rank == rank:
            raise UserError(f"of {rank}")

    heard = []
    for doing in (lambda: processes.first(lambda: fail(0)), lambda: processes.together(lambda: fail(1))):
        try:
            doing()
        except UserError as error:
            heard.append(str(error))
    return heard


def stopped_once(processes: Alone, folder: Path) -> None:
    """A run in its folder that stops after an epoch and goes on."""

    def stop(row: dict[str, float], epochs: int) -> None:
        raise Stop

    made = ready(folder, CHOSEN)
    try:
        course.train(made, processes, stop)
    except Stop:
        course.train(made, processes)


def everything(processes: Alone, folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {run.objective: numbers(processes, folder, run, 3) for run in (SAT, WEAT)}
    found["normed"] = numbers(processes, folder, NORMED, 1)
    found["mean1"], found["mistakes"] = normed_weights(processes), mistakes(processes)
    course.train(ready(folder / "whole", CHOSEN), processes)
    stopped_once(processes, folder / "stopped")
    return found


def in_two(work: Callable, *given: Any) -> list[Any]:
    """What `work(processes, *given)` returns in each of the two."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(2):
        pipe, theirs = FORKS.Pipe()
        process = FORKS.Process(target=_one, args=(theirs, rank, port, work, given), daemon=True)
        process.start()
        theirs.close()
        started.append((pipe, process))
    found = [pipe.recv() for pipe, _ in started]
    for _, process in started:
        process.join(30)
    return found


def _one(pipe, rank: int, port: int, work: Callable, given: tuple) -> None:
    torch.set_num_threads(1)
    os.environ |= {"WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    from energylens.train.fabric import Several

    with known():
        pipe.send(work(Several(), *given))
