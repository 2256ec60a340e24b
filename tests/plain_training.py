"""The training command, with networks without BatchNorm, whose batches can be shared exactly: `plain`, `plain-double`.

In float32, signs of KL's gradient near the start of its attack are rounding noise, and another order of a sum turns
pixels over. `plain-double` computes its logits in float64.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from energylens import command
from energylens.models.architectures import ARCHITECTURES
from energylens.train.command import app


def plain(classes: int = 10, channels: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, 8, 3, stride=2, padding=1),
        nn.Softplus(),
        nn.Conv2d(8, 8, 3, stride=2, padding=1),
        nn.Softplus(),
        nn.Flatten(),
        nn.Linear(8 * 16, classes),
    )


class Double(nn.Module):
    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x.double())


def plain_double(classes: int = 10, channels: int = 1) -> nn.Module:
    return Double(plain(classes, channels))


KNOWN = {"plain": plain, "plain-double": plain_double}


@contextmanager
def known() -> Iterator[None]:
    """Inside, they are architectures of ours."""
    ARCHITECTURES.update(KNOWN)
    try:
        yield
    finally:
        for name in KNOWN:
            del ARCHITECTURES[name]


if __name__ in ("__main__", "__mp_main__"):  # the command, and processes that it starts
    ARCHITECTURES.update(KNOWN)
if __name__ == "__main__":
    command.main(app, "train")
