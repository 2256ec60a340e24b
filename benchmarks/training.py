"""Seconds of a training step: the loop of energylens against plain transcriptions of the public ones.

Network, images and batch are the same for all; a step is attack, loss, backward pass and SGD step. The contenders of
an objective run in one process, in turns, each round beginning with another one; a ratio is the median of the rounds'
own ratios, so that a slow minute slows both of its sides.

- `public`: `public_loops.py`, float32, contiguous images, which are given.
- `ours`: `energylens.train.loop.epochs`, an epoch of `--steps` steps: order, augmentation, start noise, accuracies,
  and the checks for NaN of a step and of an epoch are counted as well.

`passes` counts products with a network of one layer while the step runs: 1 for a forward pass, 1 for a backward pass
to the inputs, 2 for one to inputs and weights. `% of matmul` is what the convolutions and products of a step reach of
the operations per second of one large matrix product in the same precision, by the fastest round.

On a machine that others use as well, `--processor-time` and OMP_NUM_THREADS=1 count what the process itself took.

    python benchmarks/training.py
    python benchmarks/training.py --arch small-resnet:width=32 --batch 128 --objectives weat-adv
    python benchmarks/training.py --device cuda --batch 128 --steps 20
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from counting import Counted, flops, limit, wait
from probing import race, ratio
from public_loops import STEPS_OF
from rows import Table
from torch import nn

from energylens import data
from energylens.data import Data
from energylens.errors import UserError
from energylens.models import architectures
from energylens.train import loop, prepare
from energylens.train.objectives import objective
from energylens.train.processes import Alone
from energylens.train.settings import Settings
from energylens.train.state import State

PUBLIC, PLAIN, LAYOUT, HALF = "public fp32", "ours fp32", "ours fp32, channels-last", "ours bf16, channels-last"
OURS = {
    PLAIN: {"channels_last": False},
    LAYOUT: {},
    HALF: {"precision": "bf16"},
}
OBJECTIVES = {"sat": "sat", "sat-mail": "sat", "trades": "trades", "weat-adv": "weat-adv"}
"""public step -> our objective"""
TARGETS = {"cpu": ((PLAIN, 1.2), (HALF, 2.2)), "cuda": ((HALF, 2.0),)}
"""ours, seconds of public / ours at least; `sat-mail`, of which we save no pass, has none"""
COLUMNS = {
    "objective": "<10", "contender": "<26", "passes": ">8.1f", "median s": ">10.3f", "min s": ">9.3f",
    "max s": ">9.3f", "public / it": ">13.2f", "% of matmul": ">13.0f",
}  # fmt: skip

Net = Callable[[], nn.Module]
Steps = Callable[[], None]
"""runs `--steps` steps"""


@dataclass(frozen=True)
class Bench:
    """What all contenders share."""

    images: Data
    """`--steps` batches"""
    batch: int
    device: torch.device
    clock: Callable[[], float]

    def settings(self, **changes) -> Settings:
        """The paper's recipe at this batch, for more epochs than there are rounds."""
        return Settings(batch=self.batch, epochs=10_000, **changes)

    def public(self, name: str, net: nn.Module) -> Steps:
        """Steps of the public code, on a network in train mode."""
        optimizer = torch.optim.SGD(net.parameters(), lr=0.004, momentum=0.9, weight_decay=5e-4)
        recipe = self.settings(channels_last=False)
        rows = torch.arange(len(self.images)).split(self.batch)
        batches = [loop.batch(self.images, part, recipe, 0, self.device)[:2] for part in rows]

        def steps() -> None:
            for x, y in batches:
                STEPS_OF[name](net, optimizer, x, y)
            wait(self.device)

        return steps

    def ours(self, name: str, net: nn.Module, **changes) -> Steps:
        """An epoch of our loop."""
        row, settings = objective(OBJECTIVES[name]), self.settings(**changes)
        if settings.channels_last:
            net = net.to(memory_format=torch.channels_last)
        state = State(net, row, self.images, settings)
        epochs = loop.epochs(state, self.images, Alone(self.device))

        def steps() -> None:
            next(epochs)
            wait(self.device)

        return steps

    def contenders(self, name: str, net: Net) -> dict[str, Steps]:
        """All of an objective, each with a network of its own."""
        rows = {PUBLIC: self.public(name, net().train())}
        return rows | {own: self.ours(name, net(), **changes) for own, changes in OURS.items()}


def passes(bench: Bench, name: str) -> dict[str, float]:
    """How many passes through the network a step of each contender makes."""
    inputs, classes = bench.images.images[0].numel(), int(bench.images.labels.max()) + 1
    rows = bench.contenders(name, lambda: Counted(inputs, classes).to(bench.device))
    return {own: flops(steps) / (2 * inputs * classes * len(bench.images)) for own, steps in rows.items()}


def against(bench: Bench, name: str, net: Net, rounds: int, limits: dict, table: Table) -> dict[str, list[float]]:
    """Race an objective's contenders; their seconds a step, after adding their rows."""
    counts, steps = passes(bench, name), len(bench.images) // bench.batch
    rows = bench.contenders(name, net)
    work = {own: flops(run) / steps for own, run in rows.items()}  # the untimed first round
    seconds = {own: [value / steps for value in times] for own, times in race(rows, rounds, bench.clock).items()}
    for own, times in seconds.items():
        reached = 100 * work[own] / min(times) / limits[torch.bfloat16 if own == HALF else torch.float32]
        middle, faster = statistics.median(times), ratio(seconds[PUBLIC], times)
        table.add(name, own, counts[own], middle, min(times), max(times), faster, reached)
    return seconds


def verdicts(seconds: dict[str, dict[str, list[float]]], device: torch.device) -> list[str]:
    lines = []
    for name, times in seconds.items():
        for own, least in TARGETS[device.type]:
            faster = ratio(times[PUBLIC], times[own])
            if name == "sat-mail":
                verdict = "no target"
            elif own == HALF and device.type == "cpu" and not torch.cpu._is_avx512_bf16_supported():
                verdict = f"target: at least {least:g} with avx512_bf16, which this processor lacks"
            else:
                verdict = f"target: at least {least:g}, {'met' if faster >= least else 'missed'}"
            lines.append(f"{name}: {PUBLIC} / {own}: {faster:.2f} ({verdict})")
    return lines


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Seconds of a training step, against the public loops.")
    parser.add_argument("--objectives", nargs="+", choices=OBJECTIVES, default=list(OBJECTIVES), metavar="NAME")
    parser.add_argument("--arch", default="resnet18", help="default: %(default)s")
    parser.add_argument("--data", default="cifar10:train", help="a data reference (default: %(default)s)")
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets; default: $ENERGYLENS_DATA")
    parser.add_argument("--batch", type=int, default=32, help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=1, help="in an epoch, which is what is timed (default: 1)")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--device", choices=TARGETS, default="cpu", help="default: %(default)s")
    parser.add_argument(
        "--processor-time", action="store_true", help="of this process, on the CPU; not the wall clock's"
    )
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown, too")
    given = parser.parse_args()
    if given.processor_time and given.device != "cpu":
        parser.error("--processor-time would not count the work of a GPU; leave it out")
    return given


def main() -> None:
    given = options()
    device = torch.device(given.device)
    try:
        images = data.load(given.data, data_dir=given.data_dir, samples=given.batch * given.steps)
        arch = prepare.complete(given.arch, images)
        architectures.build(arch)
    except UserError as error:
        sys.exit(f"error: {error}")
    clock = time.process_time if given.processor_time else time.perf_counter
    bench, table, seconds = Bench(images, given.batch, device, clock), Table(COLUMNS), {}
    limits = {dtype: limit(device, dtype, clock) for dtype in (torch.float32, torch.bfloat16)}
    fp32, bf16 = (f"{value / 1e12:.3g}" for value in limits.values())
    print(f"{arch} on {images.selection} of {images.name}, batch {given.batch}; {given.rounds} rounds; ", end="")
    print(f"torch {torch.__version__}, {given.device}, {torch.get_num_threads()} threads; ", end="")
    print(f"matrix product: {fp32} TFLOP/s in float32, {bf16} in bfloat16\n")
    table.header()
    torch.manual_seed(0)  # for the public start noise
    for name in given.objectives:
        seconds[name] = against(bench, name, lambda: architectures.build(arch).to(device), given.rounds, limits, table)
    print("", *verdicts(seconds, device), sep="\n")
    if given.markdown:
        print("\n" + table.markdown())


if __name__ == "__main__":
    main()
