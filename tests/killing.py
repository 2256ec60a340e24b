"""Probes in processes of their own, that can be killed at any moment. One starts in 20 ms, as it is forked."""

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from dying import Death, arm
from folders import Piece, written

from energylens import command, engines, measure, probe
from energylens.attacks import APGD, PGD
from energylens.errors import UserError
from energylens.lock import Lock
from energylens.options import Keep, Place
from energylens.plan import Plan, Task
from energylens.progress import Watch
from energylens.recipe import Recipe

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # in the children: a thread that waits leaves the core to others
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["energylens.measure", "energylens.probe", "sklearn.datasets"])
SHARD = 25
ATTACKS = (PGD(eps=0.2), APGD(eps=0.2, batch=SHARD, steps=10))
RECIPE = Recipe(("demo:sat", "demo:standard-6"), "digits:test", ATTACKS, samples=100)
"""24 shards in a second"""
COMMAND = [
    "test", "--models", "demo:sat", "--models", "demo:standard-6", "--data", "digits:test", "--shard", "25",
    "--attack", "pgd:eps=0.2", "--attack", "apgd-ce:eps=0.2:batch=25:steps=10", "--keep-logits", "--keep-images",
    "--samples",
]  # fmt: skip
"""the same with EVERYTHING, as a user types it, but for the number of images"""
EVERYTHING = Keep(keep_logits=True, keep_images=True)


@dataclass
class Child:
    """A probe in a process of its own. It waits for `go`, and tells what it does."""

    tables: Path
    recipe: Recipe = RECIPE
    keep: Keep = measure.ENERGIES_ONLY
    death: Death | None = None
    threads: int = 1
    devices: int = 1
    """worker processes, if more than one"""
    settings: dict[str, Any] = field(default_factory=dict)
    """of its `Place`"""
    heard: list[tuple[str, Any]] = field(default_factory=list)

    def __post_init__(self):
        self.pipe, theirs = FORKS.Pipe()
        place = Place(**{"tables": self.tables, "shard": SHARD} | self.settings)
        work = (theirs, self.recipe, place, self.keep, self.death, self.threads, self.devices)
        self.process = FORKS.Process(target=_probe, args=work, daemon=self.devices == 1)
        self.process.start()
        theirs.close()
        self.listen("ready")

    def go(self) -> "Child":
        self.pipe.send("go")
        return self

    def listen(self, until: str = "", seconds: float = 60) -> bool:
        """Hear what it tells till it says this word, or is gone, for so long at most; whether it said it."""
        end = time.monotonic() + seconds
        while self.pipe.poll(max(0.0, end - time.monotonic())):
            try:
                self.heard.append(self.pipe.recv())
            except (EOFError, ConnectionError):
                return False
            if self.heard[-1][0] == until:
                return True
        return False

    def kill(self) -> bool:
        """SIGKILL; whether it was still at work."""
        self.process.kill()
        return self.finish() == -signal.SIGKILL and not self.told("end")

    def finish(self) -> int:
        """Its exit code, when it is gone."""
        self.listen()
        self.process.join(60)
        assert self.process.exitcode is not None, "hangs"
        return self.process.exitcode

    def end(self) -> None:
        """Wait until it has measured all."""
        code = self.finish()
        assert (code, self.heard[-1][0]) == (0, "end"), self.heard[-1]

    def stop(self) -> Piece:
        """SIGSTOP within a shard, which it then has for itself; `go_on` ends it."""
        while True:
            self.listen("begin")
            os.kill(self.process.pid, signal.SIGSTOP)
            self.listen(seconds=0.05)
            under_way = set(self.begun) - written(self.tables).keys()
            if under_way:
                return under_way.pop()
            self.go_on()

    def go_on(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def told(self, word: str) -> list:
        return [what for said, what in self.heard if said == word]

    @property
    def begun(self) -> list[Piece]:
        """What it began to measure."""
        return self.told("begin")

    @property
    def phase(self) -> float:
        """Seconds of its work, planning left out."""
        return self.told("end")[0] - self.told("plans")[0]


_clean: dict[tuple[Recipe, Keep], Child] = {}


def clean(folders: pytest.TempPathFactory, recipe: Recipe = RECIPE, keep: Keep = EVERYTHING) -> Child:
    """A probe that nobody killed, and that is done."""
    if (recipe, keep) not in _clean:
        _clean[recipe, keep] = Child(folders.mktemp("clean"), recipe, keep).go()
        _clean[recipe, keep].end()
    return _clean[recipe, keep]


class _Telling(Watch):
    def __init__(self, pipe):
        self.pipe = pipe

    def begin(self, task: Task) -> None:
        self.pipe.send(("begin", _piece(task)))

    def waits(self, task: Task) -> None:
        self.pipe.send(("waits", _piece(task)))


def _piece(task: Task) -> Piece:
    return Piece(task.subject.name, task.attack_name, task.start, task.stop)


def _probe(pipe, recipe: Recipe, place: Place, keep: Keep, death: Death | None, threads: int, devices: int) -> None:
    """In the child."""
    torch.set_num_threads(threads)
    engines.PAUSE = 0.05
    if devices > 1:
        vars(place)["devices"] = ["cpu"] * devices
    if death:
        arm(death)

    @contextmanager
    def show(plans: list[Plan]) -> Iterator[Watch]:
        pipe.send(("plans", time.monotonic()))
        yield _Telling(pipe)

    pipe.send(("ready", None))
    pipe.recv()
    try:
        measure.run(recipe, "test", place, keep, show, lambda line: pipe.send(("say", line)))
        pipe.send(("end", time.monotonic()))
    except UserError as error:
        pipe.send(("error", str(error)))


def typed(arguments: list[str], out: Path, err: Path) -> multiprocessing.process.BaseProcess:
    """`python -m energylens.probe` with these arguments, in a process that is forked."""
    process = FORKS.Process(target=_typed, args=(arguments, out, err), daemon=True)
    process.start()
    return process


def _typed(arguments: list[str], out: Path, err: Path) -> None:
    """In the child."""
    torch.set_num_threads(1)
    for path, number in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    command.main(probe.app, "python -m energylens.probe", [str(argument) for argument in arguments])


class LockElsewhere:
    """A lock in a process of its own."""

    def __init__(self, folder: Path):
        self.pipe, theirs = FORKS.Pipe()
        self.process = FORKS.Process(target=_serve, args=(theirs, folder), daemon=True)
        self.process.start()
        theirs.close()

    def ask(self, method: str, *arguments) -> Any:
        """What a method of it gives."""
        self.pipe.send((method, arguments))
        return self.pipe.recv()

    def die(self) -> None:
        self.process.kill()
        self.process.join(60)


def _serve(pipe, folder: Path) -> None:
    """In the child."""
    lock = Lock(folder)
    while True:
        method, arguments = pipe.recv()
        pipe.send(getattr(lock, method)(*arguments))
