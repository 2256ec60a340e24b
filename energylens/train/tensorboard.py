"""Event files of a run for TensorBoard (`pip install energylens[tensorboard]`); metrics.parquet holds the same."""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from energylens.errors import UserError

FOLDER = "_tensorboard"
"""in that of the run"""


def library() -> Any:
    """The SummaryWriter of torch.

    Raises:
        UserError: TensorBoard is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own imports
            from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UserError("--tensorboard needs TensorBoard; type: pip install 'energylens[tensorboard]'") from error
    return SummaryWriter


@contextmanager
def writing(run: Path) -> Iterator[Callable[[dict[str, Any], int], None]]:
    """Gives what writes an epoch's metrics, a point each.

    The first epoch that is told is written again where it is there, and hides what follows it: a run that goes on
    tells its last epoch first.
    """
    writer = None

    def write(row: dict[str, Any], epochs: int) -> None:
        nonlocal writer
        if writer is None:
            writer = library()(str(run / FOLDER), purge_step=row["epoch"])
        for name, value in row.items():
            if name != "epoch" and math.isfinite(value):
                writer.add_scalar(name, value, row["epoch"])
        writer.flush()

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()
