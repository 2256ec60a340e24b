"""Each attack against the same one of torchattacks, pyautoattack and foolbox: seconds, robust accuracy, Delta E.

What is timed is the attack's own call and one float32 forward pass at its points, all images as one batch.
The contenders of an attack run in one process, in turns, each round beginning with another one; a ratio is
the median of the rounds' own ratios. Every run begins at torch seed 0, so all rounds do the same work.

- `energylens fp32`: as energylens runs it: parameters frozen, in the memory format that suits the network,
  semantics="paper" where an attack has one, since that is what the peers do.
- `energylens bf16`: the same, searched in bfloat16 (`--precision bf16`).
- `torchattacks`, `pyautoattack`, `foolbox`: as their users get them: network as loaded, contiguous images.

`robust %` is the share of images where the attack missed its aim (targeted ones: another class), judged in
float32. `mean dE` is E(x) - E(x*) in nats, x* being what the attack returned: where it failed, the natural
image, or a black one from foolbox's CW. Equal settings are not always equal numbers of passes: images that
are done leave the batch, and the CW of all three stops once its cost rises. PGD starts differ in their noise.
foolbox is compared where it has the attack: PGD, FGSM and CW.

    python benchmarks/attacks.py --peers build/peers
    python benchmarks/attacks.py --attacks pgd apgd-ce --images 16 --rounds 1
"""

import argparse
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import torch
from peers import PEERS
from probing import importable, race, ratio
from rows import Table
from torch import Tensor, nn

from energylens import data, energy, models
from energylens.attacks import APGD, CW, FAB, FGSM, PGD, Attack, Square
from energylens.attacks.precision import Half
from energylens.errors import UserError
from energylens.models import check

_OURS: tuple[Attack, ...] = (
    PGD(steps=20),
    PGD(loss="kl", start="tiny", steps=10),
    FGSM(),
    APGD(steps=10, semantics="paper"),
    APGD(steps=10, semantics="paper", loss="dlr"),
    APGD(steps=10, semantics="paper", loss="targeted-dlr"),
    FAB(steps=3),
    FAB(steps=10, classes=9),
    Square(queries=50, semantics="paper"),
    CW(steps=10, semantics="paper"),
    CW(steps=10, semantics="paper", target="random"),
)
ATTACKS = {attack.kind: attack for attack in _OURS}
FP32, BF16 = "energylens fp32", "energylens bf16"
TARGETS = (
    ("pgd", FP32, "torchattacks", 1.15),
    ("pgd", FP32, "foolbox", 1.7),
    ("pgd", BF16, "torchattacks", 2.1),
    ("pgd", BF16, "foolbox", 3.0),
    ("apgd-ce", BF16, "pyautoattack", 1.8),
)
"""attack, ours, theirs, seconds of theirs / ours at least"""
COLUMNS = {
    "attack": "<10", "contender": "<18", "median s": ">9.3f", "min s": ">9.3f", "max s": ">9.3f",
    "/ ours fp32": ">12.2f", "/ ours bf16": ">12.2f", "robust %": ">10.1f", "mean dE": ">9.3f",
}  # fmt: skip


@dataclass
class Contender:
    """Runs once a call; keeps the logits where it ended."""

    attack: Callable[[], Tensor]
    net: nn.Module
    logits: Tensor | None = None

    def __call__(self) -> None:
        """Attack, and look once more."""
        torch.manual_seed(0)  # for torchattacks' and foolbox's random starts
        points = self.attack()
        with torch.no_grad():
            self.logits = self.net(points)


@dataclass(frozen=True)
class Bench:
    """One batch and two copies of a network: ours, and as it is loaded."""

    own: nn.Module
    loaded: nn.Module
    x: Tensor
    y: Tensor
    index: Tensor
    layout: torch.memory_format
    natural: Tensor
    """[B, K] logits"""

    def contenders(self, attack: Attack, peers: list[str]) -> dict[str, Contender]:
        """Ours in both precisions, then the peers that have this attack."""
        target = attack.wanted(self.natural, self.y, self.index.tolist())
        x = self.x.contiguous(memory_format=self.layout)
        rows = {}
        for name, search in ((FP32, self.own), (BF16, Half(self.own))):
            call = partial(attack, search, x, self.y, index=self.index, target=target)
            rows[name] = Contender(call, self.own)
        goal = self.y if target is None else target
        for name in peers:
            run = PEERS[name](self.loaded, attack)
            if run is not None:
                rows[name] = Contender(partial(run, self.x, goal), self.loaded)
        return rows

    def judged(self, logits: Tensor, attack: Attack) -> tuple[float, float]:
        """Robust accuracy in percent, mean Delta E in nats."""
        target, pred = attack.wanted(self.natural, self.y, self.index.tolist()), energy.predict(logits)
        missed = pred == self.y if target is None else pred != target
        delta = energy.marginal(self.natural.double()) - energy.marginal(logits.double())
        return 100 * float(missed.double().mean()), float(delta.mean())


def bench(given: argparse.Namespace) -> Bench:
    """The batch and the networks, each of which has run once."""
    images = data.load(given.data, data_dir=given.data_dir, samples=given.images)
    own, loaded = models.load(given.model).requires_grad_(False), models.load(given.model)
    x, y, index = images.batch(0, len(images))
    layout = check.layout(own, images)
    for net, memory in ((own, layout), (Half(own), layout), (loaded, torch.contiguous_format)):  # not timed
        like = x.clone(memory_format=memory).requires_grad_()
        torch.autograd.grad(net(like).sum(), like)
    with torch.no_grad():
        natural = loaded(x)
    return Bench(own, loaded, x, y, index, layout, natural)


def against(bench: Bench, attack: Attack, peers: list[str], rounds: int, table: Table) -> dict[str, list[float]]:
    """Race one attack's contenders; their seconds, after adding their rows."""
    rows = bench.contenders(attack, peers)
    seconds = race(rows, rounds)
    for name, times in seconds.items():
        robust, delta = bench.judged(rows[name].logits, attack)
        faster = [ratio(times, seconds[ours]) for ours in (FP32, BF16)]
        table.add(attack.kind, name, statistics.median(times), min(times), max(times), *faster, robust, delta)
    return seconds


def verdicts(seconds: dict[str, dict[str, list[float]]]) -> list[str]:
    lines = []
    for attack, ours, theirs, least in TARGETS:
        if theirs in seconds.get(attack, {}):
            times = ratio(seconds[attack][theirs], seconds[attack][ours])
            met = "met" if times >= least else "missed"
            lines.append(f"{attack}: {theirs} / {ours}: {times:.2f} (target: at least {least:g}, {met})")
    return lines


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Each attack against the same one of the peers.")
    parser.add_argument("--attacks", nargs="+", choices=ATTACKS, default=list(ATTACKS), metavar="NAME")
    parser.add_argument("--model", help="default: the ResNet-18 that pyautoattack carries")
    parser.add_argument("--data", default="cifar10:test", help="a data reference (default: %(default)s)")
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets; default: $ENERGYLENS_DATA")
    parser.add_argument("--images", type=int, default=64, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--peers", type=Path, default=Path("build/peers"), help="default: %(default)s")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown, too")
    given = parser.parse_args()
    carried = Path(find_spec("pyautoattack").origin).parent / "examples" / "model_test.pt"
    given.model = given.model or f"{carried}@resnet18"
    return given


def main() -> None:
    given = options()
    found = [*importable(given.peers), "pyautoattack"]
    peers = [name for name in PEERS if name in found]
    try:
        batch = bench(given)
    except UserError as error:
        sys.exit(f"error: {error}")
    right = 100 * float((energy.predict(batch.natural) == batch.y).double().mean())
    print(f"{Path(given.model).name} on {len(batch.x)} images of {given.data}, {right:.1f} % right; ", end="")
    print(f"{given.rounds} rounds; torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    table, seconds = Table(COLUMNS), {}
    table.header()
    for name in given.attacks:
        attack = ATTACKS[name]
        attack = attack if attack.batch is None else replace(attack, batch=given.images)
        seconds[name] = against(batch, attack, peers, given.rounds, table)
    print("", *verdicts(seconds), sep="\n")
    if given.markdown:
        print("\n" + table.markdown())


if __name__ == "__main__":
    main()
