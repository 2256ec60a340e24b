"""JEAT beside SAT on the digits: accuracy under PGD-20 and mean energies; the numbers of docs/jeat.md.

JEAT by Adam with one attack step of size eps (`energylens.train` takes five here), SAT by its preset `demo`, both for
the same number of epochs. `--passes` shows what BatchNorm makes of
negatives: `one` pass of both kinds of images, as in training; `two` passes in train mode; negatives in `eval` mode.

    python benchmarks/jeat.py
    python benchmarks/jeat.py --passes one two eval --epochs 4
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from energylens import data, energy
from energylens.attacks import PGD
from energylens.models import architectures
from energylens.train.loop import train as train_sat
from energylens.train.negatives import Buffer, Negatives
from energylens.train.objectives import OBJECTIVES, Objective
from energylens.train.settings import recipe

ARCH = "small-resnet:depth=6"
SAT = recipe("demo", "sat", "digits", seed=0)
DEMO = Negatives(steps=10, buffer=1000)


def batches(images: data.Data, size: int, epochs: int) -> Iterator[tuple[int, Tensor]]:
    """(epoch, places of a batch), each epoch in another order."""
    for epoch in range(epochs):
        yield from ((epoch, rows) for rows in torch.randperm(len(images)).split(size))


def two_kinds(net: nn.Module, x_adv: Tensor, x_k: Tensor, passes: str) -> tuple[Tensor, Tensor]:
    """Logits at adversarial images and at negatives."""
    if passes == "one":
        adv, negative = net(torch.cat([x_adv, x_k])).split(len(x_adv))
        return adv, negative
    adv = net(x_adv)
    negative = net.train(passes == "two")(x_k)
    net.train()
    return adv, negative


def train(
    objective: Objective, images: data.Data, epochs: int, batch: int = 16, lr: float = 2e-2, passes: str = "one", seed=0
) -> tuple[nn.Module, Buffer, list[tuple[float, float]]]:
    """JEAT by Adam with OneCycle: the network in eval mode, its buffer, (mean E(x_adv), mean E(x_K)) of each step."""
    assert objective.inner is not None
    assert objective.negatives is not None
    torch.manual_seed(seed)
    net = architectures.build(ARCH).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(net.parameters(), lr)
    steps = epochs * -(-len(images) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps, pct_start=0.25)
    x_all, y_all, index = images.batch(0, len(images))
    buffer, energies = Buffer(objective.negatives, tuple(x_all.shape[1:]), seed), []
    for step, (epoch, rows) in enumerate(batches(images, batch, epochs)):
        x, y = x_all[rows], y_all[rows]
        x_adv = objective.inner.attack(SAT.eps, 1, SAT.eps, seed + 1000 * (epoch + 1))(net, x, y, index=index[rows])
        adv, negative = two_kinds(net, x_adv, buffer.sample(net, len(x)), passes)
        energies.append(objective.negatives.check(step, adv, negative))
        optimizer.zero_grad()
        objective.loss(adv, adv, y, negative=negative).backward()
        optimizer.step()
        schedule.step()
    return net.eval(), buffer, energies


@torch.no_grad()
def measured(net: nn.Module, x_k: Tensor | None = None) -> dict[str, float]:
    """Accuracies on the 500 test images, and mean E(x) of them, of their PGD-20 images, of negatives and of noise."""
    x, y, index = (test := data.load("digits:test")).batch(0, len(test))
    x_adv = PGD(eps=SAT.eps)(net, x, y, index=index)
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(0))
    row = {"clean %": 100 * (net(x).argmax(1) == y).float().mean().item()}
    row["PGD-20 %"] = 100 * (net(x_adv).argmax(1) == y).float().mean().item()
    shown = {"data": x, "adversarial": x_adv, "negatives": x_k, "noise": noise}
    return row | {f"E {kind}": energy.marginal(net(at)).mean().item() for kind, at in shown.items() if at is not None}


def say(name: str, seconds: float, row: dict[str, float]) -> None:
    """One line of the table."""
    print(f"{name:32s} {seconds:6.1f} s", *(f"  {key} {value:.4g}" for key, value in row.items()), flush=True)


def main() -> None:
    """The table, a line a network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--passes", nargs="+", default=["one"], choices=["one", "two", "eval"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    given = parser.parse_args()
    images = data.load("digits:train")
    for seed in given.seeds:
        began = time.process_time()
        net = train_sat("sat", ARCH, images, replace(SAT, epochs=given.epochs, seed=seed))
        say(f"SAT, seed {seed}", time.process_time() - began, measured(net))
        for passes in given.passes:
            began = time.process_time()
            row = replace(OBJECTIVES["jeat"], negatives=DEMO)
            net, buffer, energies = train(row, images, given.epochs, passes=passes, seed=seed)
            gap = max(abs(positive - negative) for positive, negative in energies)
            seconds = time.process_time() - began
            say(f"JEAT, {passes}, seed {seed}", seconds, measured(net, buffer.images) | {"largest gap": gap})


if __name__ == "__main__":
    main()
