"""What the alarms of energylens.watch say of adversarial training on the digits: `python benchmarks/alarms.py fgsm`.

The network is watched on its training images and on test images, before the first epoch and behind each one.
"""

import time
import warnings

import torch
import typer
from torch.nn import functional as F

import energylens
from energylens import data
from energylens.attacks import FGSM, PGD
from energylens.errors import Note
from energylens.models import architectures
from energylens.telemetry import Watch


def main(
    kind: str = typer.Argument(help="fgsm (one step from the image) or pgd (five steps from a random start)."),
    eps: float = 0.2,
    epochs: int = 24,
    images: int = typer.Option(1297, help="The first so many of the training images."),
    every: int = typer.Option(1, help="Epochs between two measurements."),
    seeds: int = 1,
    table: bool = typer.Option(False, help="Print every measurement."),
) -> None:
    """Train, and print accuracies at the epoch of the best test PGD accuracy and at the end, and the alarms."""
    warnings.simplefilter("ignore", Note)
    for seed in range(seeds):
        start = time.perf_counter()
        watches = train(kind, eps, epochs, images, every, seed)
        for name, watch in watches.items():
            rows = watch.table.set_index("step").drop(columns="entropy")
            best = watches["test"].table.set_index("step")["pgd_accuracy"].idxmax()
            print(
                f"{kind} eps {eps} seed {seed}, {name} images: epoch {best} (best on test images) and {rows.index[-1]}"
            )
            print((rows if table else rows.loc[[best, rows.index[-1]]]).round(3).to_string())
            print(*(f"step {alarm.step}: {alarm}" for alarm in watch.alarms), sep="\n")
        print(f"{time.perf_counter() - start:.0f} s", flush=True)


def train(kind: str, eps: float, epochs: int, images: int, every: int, seed: int) -> dict[str, Watch]:
    """The watches of one training by the recipe of the demo zoo."""
    torch.manual_seed(seed)
    net = architectures.build("small-resnet:depth=6")
    chosen = data.load("digits:train", samples=images)
    x, y, index = chosen.batch(0, images)
    sets = {"training": chosen, "test": data.load("digits:test")}
    watches = {name: energylens.watch(net, of, every, eps=eps, samples=256) for name, of in sets.items()}
    optimizer = torch.optim.SGD(net.parameters(), 0.4, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.4, epochs * -(-images // 64), pct_start=0.25)
    for epoch in range(epochs + 1):
        for watch in watches.values():
            watch()
        attack = FGSM(eps=eps) if kind == "fgsm" else PGD(eps=eps, steps=5, seed=epoch)
        net.train()
        for rows in torch.randperm(images).split(64) if epoch < epochs else ():
            x_adv = attack(net, x[rows], y[rows], index=index[rows])
            optimizer.zero_grad()
            F.cross_entropy(net(x_adv), y[rows]).backward()
            optimizer.step()
            schedule.step()
    return watches


if __name__ == "__main__":
    typer.run(main)
