"""Images a second of the sampler `eq7` against the released loop, and its peak memory as images grow in number.

All contenders start from the same noise, take the same few steps of the same network on one batch, and run in one
process, in turns, each round beginning with another one; a ratio is the median of the rounds' own ratios. A pass
costs the same whatever the weights are, so the CIFAR networks are fresh ones.

- `public, with energies` and `public`: `public_sampler.py`, with and without passes for the energies of all classes.
- `ours ..., observed`: energies of all classes at every step by `observe`; they come from the gradient's own pass.
- `ours fp32`, `ours bf16`: nobody observes. bf16 is `attacks.precision.Half`.

Ours run in the memory format that suits the network (`check.layout`). `images/s` is for chains of eq7's full length,
500 steps; of the few that are timed, an observer's last look at the end takes a larger part. The last lines are peak
memory (Linux) of processes that make few and many images, in batches. Takes two minutes on two cores.

    OMP_NUM_THREADS=2 python benchmarks/generation.py
    OMP_NUM_THREADS=1 python benchmarks/generation.py --processor-time --batch 32
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from probing import race, ratio
from public_sampler import sgld
from rows import Table
from torch import Tensor, nn

from energylens import data, models
from energylens.attacks.precision import Half
from energylens.generate.sampler import SAMPLERS, Sampler
from energylens.models import architectures, check

EQ7 = SAMPLERS["eq7"]
PUBLIC, PUBLIC_ENERGIES = "public", "public, with energies"
FP32, BF16 = "ours fp32", "ours bf16"
SEEN = ", observed"
STEPS = {"resnet18": 3, "resnet20": 20, "demo:sat": 30}
TARGETS = {FP32: 1.1, BF16: 2.0}
"""images/s of ours / public, at least; bf16's with avx512_bf16"""
COLUMNS = {
    "network": "<12", "contender": "<23", "images/s": ">10.3f", "median s": ">10.3f", "min s": ">9.3f",
    "max s": ">9.3f", "public / it": ">13.2f", "with energies / it": ">20.2f",
}  # fmt: skip
CHILD = """
import sys, torch
from energylens import models
from energylens.generate.sampler import parse
net, count, size = models.load("demo:sat"), int(sys.argv[1]), int(sys.argv[2])
for start in range(0, count, size):
    index = list(range(start, start + size))
    y = torch.tensor(index) % 10
    parse("eq7:steps=20")(net, torch.rand(size, 1, 16, 16), y, index=index, seed=0, observe=lambda *state: None)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
"""ru_maxrss would begin at the peak of the parent, which holds torch"""


@dataclass(frozen=True)
class Bench:
    """One network, one batch."""

    net: Callable[[], nn.Module]
    x: Tensor
    y: Tensor
    layout: torch.memory_format
    sampler: Sampler

    def public(self, energies: bool) -> Callable[[], Tensor]:
        """The released loop, on a network as it is loaded."""
        net, own = self.net(), self.sampler
        return lambda: sgld(
            net, self.x, self.y, own.steps, own.step_size, own.momentum, own.noise, [] if energies else None
        )

    def ours(self, half: bool, observed: bool) -> Callable[[], Tensor]:
        """`eq7` as energylens runs it."""
        net = Half(self.net()) if half else self.net()
        x, index = self.x.contiguous(memory_format=self.layout), list(range(len(self.x)))

        def run() -> Tensor:
            energies: list[Tensor] = []
            observe = (lambda step, x, logits: energies.append(-logits)) if observed else None
            return self.sampler(net, x, self.y, index=index, seed=0, observe=observe)

        return run

    def contenders(self) -> dict[str, Callable[[], Tensor]]:
        """All of them, each with a network of its own."""
        rows = {PUBLIC_ENERGIES: self.public(True), PUBLIC: self.public(False)}
        for name in (FP32, BF16):
            rows |= {name + SEEN: self.ours(name == BF16, True), name: self.ours(name == BF16, False)}
        return rows


def bench(reference: str, batch: int, steps: int) -> Bench:
    """A demo network on digits' shape, an architecture on CIFAR's."""
    demo = reference.startswith("demo:")
    shape = (1, 16, 16) if demo else (3, 32, 32)
    torch.manual_seed(0)
    x, y = torch.rand(batch, *shape), torch.arange(batch) % 10

    def net() -> nn.Module:
        return models.load(reference) if demo else architectures.build(reference).eval()

    images = data.Data("noise", "test", x, y, torch.arange(batch).numpy())
    return Bench(net, x, y, check.layout(net(), images), replace(EQ7, steps=steps))


def against(name: str, bench: Bench, rounds: int, clock: Callable[[], float], table: Table) -> dict[str, list[float]]:
    """Race one network's contenders; their seconds, after adding their rows."""
    rows = bench.contenders()
    for run in rows.values():
        run()  # not timed
    seconds = race(rows, rounds, clock)
    for own, times in seconds.items():
        middle = statistics.median(times)
        made = len(bench.x) * bench.sampler.steps / EQ7.steps / middle
        faster = [ratio(seconds[public], times) for public in (PUBLIC, PUBLIC_ENERGIES)]
        table.add(name, own, made, middle, min(times), max(times), *faster)
    return seconds


def verdicts(name: str, seconds: dict[str, list[float]]) -> list[str]:
    """Ours beside public without energies, and both with them."""
    lines = []
    for own, least in TARGETS.items():
        for theirs, mine in ((PUBLIC, own), (PUBLIC_ENERGIES, own + SEEN)):
            faster = ratio(seconds[theirs], seconds[mine])
            met = "met" if faster >= least else "missed"
            if own == BF16 and not torch.cpu._is_avx512_bf16_supported():
                met = "with avx512_bf16, which this processor lacks"
            lines.append(f"{name}: {theirs} / {mine}: {faster:.2f} (target: at least {least:g}, {met})")
    return lines


def peak(images: int, batch: int) -> float:
    """MiB of a process that makes so many digits; Linux tells it."""
    arguments = [sys.executable, "-c", CHILD, str(images), str(batch)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    return int(done.stdout) / 1024


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Images a second of eq7, against the released loop.")
    parser.add_argument(
        "--networks", nargs="+", default=list(STEPS), metavar="NAME", help=f"default: {' '.join(STEPS)}"
    )
    parser.add_argument("--batch", type=int, default=50, help="default: %(default)s")
    parser.add_argument(
        "--steps", type=int, help=f"default: {', '.join(f'{n} of {name}' for name, n in STEPS.items())}"
    )
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--processor-time", action="store_true", help="of this process; not the wall clock's")
    parser.add_argument("--sizes", type=int, nargs="*", default=[500, 2000], help="images; default: 500 2000")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown, too")
    return parser.parse_args()


def main() -> None:
    given, table, lines = options(), Table(COLUMNS), []
    print(f"batch {given.batch}; {given.rounds} rounds; ", end="")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    table.header()
    clock = time.process_time if given.processor_time else time.perf_counter
    for name in given.networks:
        steps = given.steps or STEPS.get(name, 3)
        lines += verdicts(name, against(name, bench(name, given.batch, steps), given.rounds, clock, table))
    print("", *lines, sep="\n")
    for images in given.sizes:
        print(f"{images:,} images of demo:sat in batches of {given.batch}: peak {peak(images, given.batch):.1f} MiB")
    if given.markdown:
        print("\n" + table.markdown())


if __name__ == "__main__":
    main()
