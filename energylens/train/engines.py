"""What trains: this process, several of this machine, those that torchrun has started, or a Ray cluster."""

import os
from collections.abc import Callable
from functools import partial

from energylens.errors import UserError, unknown
from energylens.train.order import Order
from energylens.train.processes import Alone


def engine(name: str, address: str | None, processes: int | None, device: str | None) -> Callable[[Order], None]:
    """The engine that is asked for; it raises UserError for what is not usable and for runs that failed.

    Args:
        name: `local` or `ray`.
        address: of a Ray cluster; one is started here if None.
        processes: that train a network together; as many as torchrun has started if None, or one.
        device: as it is asked for.

    Raises:
        UserError: unknown engine, or options that do not go together.
    """
    text = os.environ.get("WORLD_SIZE", "1")
    if not text.isdecimal():
        raise UserError(f"WORLD_SIZE is '{text}' and no number of processes; start with torchrun, or: unset WORLD_SIZE")
    joined = int(text)
    if name not in ("local", "ray"):
        raise unknown("engine", name, ("local", "ray"))
    if name == "ray":
        if (processes or joined) > 1:
            raise UserError("--engine ray trains each run in one process; leave --processes and torchrun out")
        from energylens.train import cluster

        return partial(cluster.train, address=address, asked=device)
    if address:
        raise UserError(f"--address {address} is of a Ray cluster; add --engine ray, or leave it out")
    if max(processes or 1, joined) > 1 and ":" in (device or ""):
        raise UserError(f"--device {device} is one GPU; processes that train together take --device cuda")
    if joined > 1:
        if processes not in (None, joined):
            raise UserError(f"--processes {processes}: torchrun has started {joined}; leave it out")
        return join
    if processes is not None and processes > 1:
        from energylens.train import children

        return partial(children.train, size=processes)
    return lambda order: order.train(Alone(order.place.device))


def join(order: Order) -> None:
    """Be one of the processes that torchrun has started; the first alone tells what failed."""
    from energylens.train import fabric

    processes = fabric.Several(order.place.device)
    try:
        order.train(processes)
    except UserError:
        if processes.rank == 0:
            raise
        raise SystemExit(2) from None
    finally:
        fabric.leave()
