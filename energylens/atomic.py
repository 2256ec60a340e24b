"""Files that are whole or absent."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from energylens.errors import UserError, first_line


@contextmanager
def whole(path: Path, option: str) -> Iterator[Path]:
    """A hidden name to write to; behind the block it is synced and renamed to `path`.

    Raises:
        UserError: the folder cannot be written, or the disk is full; `option` chooses another one.
    """
    hidden = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield hidden
        with hidden.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(hidden, path)
    except OSError as error:
        raise UserError(f"cannot write {path} ({first_line(error)}); choose another folder with {option}") from error
    finally:
        with suppress(OSError):
            hidden.unlink()
