"""What AutoAttack would save if images left APGD at the step that fools them, and not at the end of its run.

Between its parts, between the classes that APGD-T tries and within Square, images that are wrong have left already.
Within one run of APGD (100 steps) they stay. Counted are image-passes, which need no clock: an image through the
network is 1, with its gradient 3. `spare %` are those of images that were wrong at an earlier step of their run.

Then the network is really spared them. `rounded`: of the images that no step of APGD-CE fooled, how many end at
points whose bits differ, as a batch of fewer images rounds otherwise. `outcomes`: images that are right after
AutoAttack in one of the two ways alone.

    python benchmarks/leaving.py nets.py:resnet20_std nets.py:cnn_a_adv4 --data cifar10:test --images 100
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import torch
from pyautoattack.autopgd_base import APGDAttack
from rows import Table
from torch import Tensor

from energylens import data, models
from energylens.attacks import APGD, FAB, AutoAttack, Square
from energylens.attacks.frozen import frozen

GRADIENT = 3
"""passes of an image forward and backward"""


class Run:
    """The network as one run of APGD sees it: it knows who is wrong already, and may spare the network these."""

    def __init__(self, net, y: Tensor, leave: bool, spare: Counter):
        self.net, self.y, self.leave, self.spare = net, y, leave, spare
        self.right = torch.ones_like(y, dtype=torch.bool)

    def __call__(self, x: Tensor) -> Tensor:
        """Logits [B, K]."""
        self.spare["passes"] += GRADIENT * int((~self.right).sum())
        if not self.leave or self.right.all():
            logits = self.net(x)
        else:  # who left looks right from now on, so that the point that fooled it is kept
            seen = self.net(x[self.right])
            gone = 100.0 * torch.nn.functional.one_hot(self.y, seen.shape[1]) + 0 * x.flatten(1).sum(1, keepdim=True)
            logits = gone.index_put((self.right.nonzero()[:, 0],), seen)
        self.right = self.right & (logits.detach().argmax(1) == self.y)
        return logits


@contextmanager
def watched(leave: bool, spare: Counter, now: list[str]) -> Iterator[None]:
    """Inside, each run of APGD has a `Run` for its network, and `now` tells which part of AutoAttack is at work."""
    run = APGDAttack.attack_single_run

    def single(self, x, y, x_init=None):
        with patch.object(self, "model", Run(self.model, y, leave, spare)):
            return run(self, x, y, x_init)

    def telling(search):
        def told(self, *given):
            now[0] = self.kind
            return search(self, *given)

        return told

    with ExitStack() as patches:
        patches.enter_context(patch.object(APGDAttack, "attack_single_run", single))
        for kind in (APGD, FAB, Square):
            patches.enter_context(patch.object(kind, "_search", telling(kind._search)))
        yield


def attacked(attack, net, x: Tensor, y: Tensor, leave: bool) -> tuple[Tensor, Counter, int]:
    """The points, image-passes by part, and those that could have been spared."""
    passes, spare, now = Counter(), Counter(), [""]

    def counting(images: Tensor) -> Tensor:
        passes[now[0]] += len(images) * (GRADIENT if images.requires_grad else 1)
        return net(images)

    with frozen(net), watched(leave, spare, now):
        return attack(counting, x, y), passes, spare["passes"]


def main() -> None:
    """A row for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--data", default="cifar10:test")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--eps", type=float, default=8 / 255)
    given = parser.parse_args()
    x, y, _ = data.load(given.data, samples=given.images).batch(0, given.images)
    parts = dict.fromkeys(AutoAttack.parts, ">9,.0f")
    columns = {"network": "<28", "clean": ">7.0f", "robust": ">8.0f", **parts}
    table = Table({**columns, "spare %": ">9.1f", "rounded": ">9.0f", "outcomes": ">10.0f"})
    table.header()
    for reference in given.models:
        net = models.load(reference)
        both = {}
        for attack in (APGD(eps=given.eps, batch=len(x)), AutoAttack(eps=given.eps, batch=len(x))):
            both[attack.kind] = [attacked(attack, net, x, y, leave) for leave in (False, True)]
        with torch.no_grad():
            right = {kind: [net(one[0]).argmax(1) == y for one in two] for kind, two in both.items()}
            clean = net(x).argmax(1) == y
        stayed = right["apgd-ce"][0] & right["apgd-ce"][1]
        usual, left = both["apgd-ce"][0][0], both["apgd-ce"][1][0]
        rounded = (usual != left).flatten(1).any(1) & stayed
        _, passes, spare = both["autoattack"][0]
        ends = right["autoattack"]
        spent = [passes[part] for part in AutoAttack.parts]
        numbers = [*spent, 100 * spare / sum(spent), rounded.sum(), (ends[0] != ends[1]).sum()]
        table.add(reference.rpartition(":")[2], *map(float, (clean.sum(), ends[0].sum(), *numbers)))
    print(table.markdown())


if __name__ == "__main__":
    main()
