"""Put shards where a plan wants them, and sweep out what killed runs left."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from energylens import lock
from energylens.aside import Move
from energylens.atomic import make, sync
from energylens.errors import UserError, first_line

HALF_WRITTEN = (".part-*", "._images-*")


def tidy(moves: list[Move], points: Path, alone: bool, say: Callable[[str], None]) -> None:
    """Move shards aside and back, and delete half-written files.

    Args:
        moves: what a plan wants.
        points: the folder of the table.
        alone: whether nobody else is at work in it.
        say: told of each move.

    Raises:
        UserError: something is to be moved while another probe is at work, or cannot be moved.
    """
    if moves and not alone:
        raise lock.busy(points, f"and this one would have {moves[0].why}")
    for kind in HALF_WRITTEN if alone else ():
        for hidden in points.glob(f"model=*/attack=*/{kind}"):
            with suppress(OSError):
                hidden.unlink()
    for move in moves:
        _move(move)
        say(move.why)


def _move(move: Move) -> None:
    """Kept images first: a shard whose images are gone is measured again, images without a shard are nothing."""
    images, target = (_images(path) for path in (move.path, move.target))
    try:
        make(move.target.parent)
        if images.exists():
            images.replace(target)
        move.path.replace(move.target)
        for folder in (move.target.parent, move.path.parent):
            sync(folder)
    except OSError as error:
        raise UserError(f"cannot move {move.path} to {move.target} ({first_line(error)})") from error


def _images(shard: Path) -> Path:
    """Where a shard's images lie, if they are kept."""
    return shard.with_name(f"_images-{shard.stem.partition('part-')[2]}.npz")
