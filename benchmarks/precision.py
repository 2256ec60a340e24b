"""How a search in bfloat16 differs from one in float32, attack by attack.

Both searches begin at the same points (noise is keyed by the image) and are judged by float32 logits.
`dE` is the mean of E(x) - E(x*) in nats; `other %` the share of images with another outcome: the class
wrong after one search and right after the other; of targeted attacks, the wanted class reached or not.
Within the bound: the two mean dE at most 2 % or 0.03 nats apart, and at most 1 % of the images with
another outcome. Seconds are one run's, for orientation; `attacks.py` measures speed.

Rows are printed, and appended to `--csv`, as they are done; a part of the work is a part of the lists:

    python benchmarks/precision.py --csv build/precision.csv
    python benchmarks/precision.py --models demo:sat --data digits:test --samples 50 --attack pgd fab:steps=10
"""

import argparse
import csv
import os
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from rows import Table
from torch import nn

from energylens import attacks, data, energy, models
from energylens.attacks import Attack
from energylens.errors import UserError
from energylens.models import check
from energylens.reach import measure
from energylens.record import Points

ATTACKS = (
    "pgd", "pgd-kl", "pgd-t", "cw-linf", "fgsm",
    "apgd-ce:steps=20", "apgd-dlr:steps=20", "apgd-t:steps=10", "apgd-ce:steps=20:semantics=paper",
    "fab:steps=10", "fab-t:steps=10", "square:queries=100", "square-t:queries=100",
    "cw:steps=50:semantics=paper", "cw:steps=25:searches=2", "cw-t:steps=50:semantics=paper",
    "cw-t:steps=25:searches=2", "he-pgd", "he-pgd:gamma=search",
)  # fmt: skip
"""every attack but autoattack, which is made of four of them; `--attack autoattack` runs it at full length"""
ZOO = ("resnet20_std", "wide_sgd", "cnn_a_adv4")
SAMPLES = 500
SAMPLES_OF_CARRIED = 64
RELATIVE, NATS, OTHERS = 0.02, 0.03, 0.01
"""the bound"""
COLUMNS = {
    "model": "<16", "attack": "<42", "images": ">7d", "dE fp32": ">9.3f", "dE bf16": ">9.3f", "nats": ">8.3f",
    "%": ">8.1f", "other %": ">9.1f", "within": ">8", "fp32 s": ">8.1f", "bf16 s": ">8.1f",
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """Where one search ended, image by image."""

    delta: torch.Tensor
    """[N] E(x) - E(x*), float64"""
    there: torch.Tensor
    """[N] whether the attack has what it wants"""
    seconds: float


def search(net: nn.Module, images: data.Data, attack: Attack, precision: str, batch: int) -> Found:
    began = time.perf_counter()
    batches = [found[attack] for found in measure(net, images, (attack,), 0, len(images), batch, precision)]
    seconds = time.perf_counter() - began
    return Found(torch.cat([delta(points) for points in batches]), torch.cat([there(p) for p in batches]), seconds)


def delta(points: Points) -> torch.Tensor:
    return energy.marginal(points.natural.double()) - energy.marginal(points.logits.double())


def there(points: Points) -> torch.Tensor:
    pred = energy.predict(points.logits)
    return pred != points.y if points.target is None else pred == points.target


def compared(exact: Found, half: Found) -> list[float | str]:
    """The columns from `dE fp32` on."""
    means = [float(found.delta.mean()) for found in (exact, half)]
    apart, size = means[1] - means[0], abs(means[0])
    other = float((exact.there != half.there).double().mean())
    within = abs(apart) <= max(RELATIVE * size, NATS) and other <= OTHERS
    share = 100 * apart / size if size else float("nan")
    return [*means, apart, share, 100 * other, "yes" if within else "NO", exact.seconds, half.seconds]


def append(path: Path, cells: list) -> None:
    """One more row, under a header if the file is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(["data", *COLUMNS])
        writer.writerow(cells)


def compare(reference: str, samples: int, given: argparse.Namespace, table: Table) -> None:
    """All attacks on one network."""
    net = models.load(reference)
    images = data.load(given.data, data_dir=given.data_dir, samples=samples)
    name = Path(reference.partition("@")[0]).name.rpartition(":")[2]
    check.usable(net, name, images)
    for text in given.attacks:
        attack = attacks.parse(text)
        exact, half = (search(net, images, attack, precision, given.batch) for precision in ("fp32", "bf16"))
        cells = [name, text, len(images), *compared(exact, half)]
        table.add(*cells)
        if given.csv:
            append(given.csv, [given.data, *cells])


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A search in bfloat16 against one in float32, by attack.")
    parser.add_argument("--models", nargs="+", metavar="REF", help="default: four real CIFAR-10 networks")
    parser.add_argument("--data", default="cifar10:test", help="a data reference (default: %(default)s)")
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets; default: $ENERGYLENS_DATA")
    parser.add_argument("--samples", type=int, help=f"default: {SAMPLES}; {SAMPLES_OF_CARRIED} of the ResNet-18")
    parser.add_argument(
        "--attack", dest="attacks", nargs="+", metavar="REF", default=list(ATTACKS), help="default: all, shortened"
    )
    parser.add_argument("--batch", type=int, default=128, help="default: %(default)s")
    parser.add_argument("--csv", type=Path, help="append the rows to this file")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown, too")
    given = parser.parse_args()
    if not given.models and "ENERGYLENS_ZOO" not in os.environ:
        parser.error("set ENERGYLENS_ZOO to the folder with nets.py, or say --models REFERENCE")
    return given


def networks(given: argparse.Namespace) -> list[tuple[str, int]]:
    """References, each with its number of images."""
    if given.models:
        return [(reference, given.samples or SAMPLES) for reference in given.models]
    zoo = [(f"{os.environ['ENERGYLENS_ZOO']}/nets.py:{name}", given.samples or SAMPLES) for name in ZOO]
    carried = Path(find_spec("pyautoattack").origin).parent / "examples" / "model_test.pt"
    return [*zoo, (f"{carried}@resnet18", given.samples or SAMPLES_OF_CARRIED)]


def main() -> None:
    given, table = options(), Table(COLUMNS)
    print(f"{given.data}; torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    try:
        for text in given.attacks:
            attacks.parse(text)  # before hours are spent
        table.header()
        for reference, samples in networks(given):
            compare(reference, samples, given, table)
    except UserError as error:
        sys.exit(f"error: {error}")
    finally:
        if given.markdown and table.done:
            print("\n" + table.markdown())


if __name__ == "__main__":
    main()
