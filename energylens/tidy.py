"""Put shards where a plan wants them, and sweep out what killed runs left."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from energylens.errors import UserError, first_line
from energylens.lock import Lock
from energylens.plan import Move

HALF_WRITTEN = (".part-*", "._images-*")


def tidy(moves: list[Move], lock: Lock, say: Callable[[str], None]) -> None:
    """Move shards aside and back, and delete half-written files, while nobody else is at work.

    Raises:
        UserError: something is to be moved while another probe is at work, or cannot be moved.
    """
    if lock.alone():
        for kind in HALF_WRITTEN:
            for hidden in lock.points.glob(f"model=*/attack=*/{kind}"):
                with suppress(OSError):
                    hidden.unlink()
        for move in moves:
            _move(move)
            say(move.why)
        lock.share()
    elif moves:
        raise UserError(
            f"another probe is at work in {lock.points}, and this one would have {moves[0].why}; "
            "wait until it ends, or take another --tables"
        )


def _move(move: Move) -> None:
    try:
        move.target.parent.mkdir(parents=True, exist_ok=True)
        move.path.replace(move.target)
        kept = _images(move.path)
        if kept.exists():
            kept.replace(_images(move.target))
    except OSError as error:
        raise UserError(f"cannot move {move.path} to {move.target} ({first_line(error)})") from error


def _images(shard: Path) -> Path:
    """Where a shard's images lie, if they are kept."""
    return shard.with_name(f"_images-{shard.stem.partition('-')[2]}.npz")
