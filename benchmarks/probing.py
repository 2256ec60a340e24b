"""Speed of PGD-20 probing: energylens against a bare loop, torchattacks and foolbox, on the CPU.

Every contender gives logits at natural images and at their PGD-20 points (Linf, eps 8/255, step 2/255,
uniform start), 128 images at once. All run in one process, in turns, each round beginning with another
one; a ratio is the median of the rounds' own ratios, so that a slow minute slows both of its sides.

- `energylens`: `measure.measure` and `record.columns`, from stored images to the columns of the table.
- `bare loop`: 20 forward and input-gradient passes and 2 forward passes of the same frozen network, and
  nothing else: no start, no step, no table. It stays at the natural images; no probing can be faster.
- `torchattacks`, `foolbox`: their PGD and two forward passes; foolbox without its success check, one
  more pass. `as loaded` is what their user gets; `tuned` has frozen parameters and our memory format.

The peers come from a folder of their own, never from the environment (README.md says why):

    pip install --target build/peers --no-deps torchattacks foolbox eagerpy gitpython gitdb smmap
    python benchmarks/probing.py --peers build/peers
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from energylens import data, energy, models, record
from energylens.attacks import PGD
from energylens.errors import UserError
from energylens.measure import measure
from energylens.models import check

ATTACK = PGD(eps=8 / 255, step_size=2 / 255, steps=20)
BATCH = 128
TARGET = 1.10
"""ours / bare loop, at most"""
OURS, BARE = "energylens", "bare loop, our memory format"

Attack = Callable[[Tensor, Tensor], Tensor]
Contender = Callable[[], Tensor]
"""runs once; gives the energies at the points where it ended"""


def ours(net: nn.Module, images: data.Data) -> Tensor:
    batches = []
    for found in measure(net, images, (None, ATTACK), 0, len(images), BATCH):
        batches.append({attack: record.columns(points, attack) for attack, points in found.items()})
    return torch.cat([torch.from_numpy(batch[ATTACK]["energy"]) for batch in batches])


def probing(net: nn.Module, batches: list[tuple[Tensor, Tensor]], attack: Attack) -> Tensor:
    logits = []
    for x, y in batches:
        with torch.no_grad():
            net(x)
        x_adv = attack(x, y)
        with torch.no_grad():
            logits.append(net(x_adv))
    return energy.marginal(torch.cat(logits).double())


def only_gradients(net: nn.Module) -> Attack:
    """The passes of PGD without its steps."""

    def attack(x: Tensor, y: Tensor) -> Tensor:
        point = x.detach().requires_grad_()
        for _ in range(ATTACK.steps):
            torch.autograd.grad(F.cross_entropy(net(point), y, reduction="sum"), point)
        return x

    return attack


def torchattacks(net: nn.Module) -> Attack:
    from torchattacks import PGD as Peer

    return Peer(net, eps=ATTACK.eps, alpha=ATTACK.step_size, steps=ATTACK.steps, random_start=True)


def foolbox(net: nn.Module) -> Attack:
    from foolbox import PyTorchModel
    from foolbox.attacks import LinfPGD

    peer = LinfPGD(abs_stepsize=ATTACK.step_size, steps=ATTACK.steps, random_start=True)
    wrapped = PyTorchModel(net, bounds=(0, 1), device="cpu")
    return lambda x, y: peer.run(wrapped, x, y, epsilon=ATTACK.eps)


PEERS = {"torchattacks": torchattacks, "foolbox": foolbox}


def importable(folder: Path) -> list[str]:
    """The peers that can be imported, `folder` being searched last; one line about the others."""
    sys.path.append(str(folder))  # behind the environment: torchattacks carries an old robustbench
    found, problems = [], []
    for name in PEERS:
        try:
            __import__(name)
            found.append(name)
        except ImportError as error:
            problems.append(f"{name} ({error})")
    if problems:
        print(f"not compared: {', '.join(problems)}")
        print(f"looked for them in {folder}: fill it as README.md says, or give --peers DIR\n")
    return found


def contenders(load: Callable[[], nn.Module], images: data.Data, peers: list[str]) -> dict[str, Contender]:
    loaded, frozen = load(), load().requires_grad_(False)
    x, y, _ = images.batch(0, len(images))
    plain = list(zip(x.split(BATCH), y.split(BATCH), strict=True))
    layout = check.layout(frozen, images)
    same = [(x.contiguous(memory_format=layout), y) for x, y in plain]
    own = load()
    rows = {
        OURS: lambda: ours(own, images),
        BARE: lambda: probing(frozen, same, only_gradients(frozen)),
        "bare loop, contiguous": lambda: probing(frozen, plain, only_gradients(frozen)),
    }
    for name in peers:
        as_loaded, tuned = PEERS[name](loaded), PEERS[name](frozen)
        rows[f"{name}, as loaded"] = lambda attack=as_loaded: probing(loaded, plain, attack)
        rows[f"{name}, tuned"] = lambda attack=tuned: probing(frozen, same, attack)
    return rows


def race(
    rows: dict[str, Contender], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of each contender in each round."""
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    names = list(rows)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            began = clock()
            rows[name]()
            seconds[name].append(clock() - began)
    return seconds


def ratio(above: list[float], below: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def show(seconds: dict[str, list[float]], energies: dict[str, float]) -> None:
    print(f"{'':30}{'median s':>10}{'min s':>8}{'max s':>8}{'/ ours':>8}{'mean E':>9}")
    for name, times in seconds.items():
        middle, against = statistics.median(times), ratio(times, seconds[OURS])
        print(f"{name:30}{middle:10.3f}{min(times):8.3f}{max(times):8.3f}{against:8.2f}{energies[name]:9.3f}")
    overhead = ratio(seconds[OURS], seconds[BARE])
    fastest = min(seconds[OURS]) / min(seconds[BARE])
    print(f"\nenergylens / bare loop: {overhead:.3f} (target: at most {TARGET:.2f}); fastest rounds: {fastest:.3f}")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Speed of PGD-20 probing against the peers, as ratios.")
    parser.add_argument("--model", help="default: $ENERGYLENS_ZOO/nets.py:resnet20_std")
    parser.add_argument("--data", default="cifar10:test", help="a data reference (default: %(default)s)")
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets; default: $ENERGYLENS_DATA")
    parser.add_argument("--images", type=int, default=128, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=11, help="default: %(default)s")
    parser.add_argument("--peers", type=Path, default=Path("build/peers"), help="default: %(default)s")
    given = parser.parse_args()
    if not given.model and "ENERGYLENS_ZOO" not in os.environ:
        parser.error("set ENERGYLENS_ZOO to the folder with nets.py, or say --model REFERENCE")
    given.model = given.model or f"{os.environ['ENERGYLENS_ZOO']}/nets.py:resnet20_std"
    return given


def main() -> None:
    given = options()
    peers = importable(given.peers)
    try:
        images = data.load(given.data, data_dir=given.data_dir, samples=given.images)
        rows = contenders(lambda: models.load(given.model), images, peers)
    except UserError as error:
        sys.exit(f"error: {error}")
    print(
        f"{given.model.rpartition('/')[2]} on {images.selection} of {images.name}; {given.rounds} rounds; ",
        end="",
    )
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    torch.manual_seed(0)  # for the peers' random starts; ours are keyed by the image
    energies = {name: float(run().mean()) for name, run in rows.items()}  # the untimed first round
    show(race(rows, given.rounds), energies)


if __name__ == "__main__":
    main()
