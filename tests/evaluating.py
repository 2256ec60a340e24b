"""The command `evaluate` as it is typed, for its tests."""

from pathlib import Path

import pandas as pd
import torch
from linear import Linear, distances, images

from energylens import command, evaluate


def typed(*arguments: object) -> int:
    return command.run(evaluate.app, "python -m energylens.evaluate", [str(argument) for argument in arguments])


def rows(out: Path = Path("out")) -> pd.DataFrame:
    return pd.read_parquet(out / "evaluate.parquet")


def spread(count: int = 12) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images of the linear classifier, labels of which the last two are wrong, distances to the nearest boundary."""
    net, x = Linear(), images(count)
    y = net(x).argmax(1)
    y[-2:] = (y[-2:] + 1) % 5
    return x, y, distances(net, x, y, "linf").min(1).values
