"""Files from the network: whole under their name, or absent."""

import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from energylens import paths
from energylens.atomic import whole
from energylens.errors import UserError, first_line
from energylens.transfers import DRIVE, Failed, Final, check, checksum_beside, transfer

TRIES = 3
WAIT = 1.0
"""seconds before the second try; twice as long before each further one"""
STALE = 3600.0
"""seconds without a byte after which a download is dead; its process was killed"""
PREFIX = ".download-"


class Unavailable(UserError):
    """A file that is not there and cannot be had."""


@dataclass(frozen=True)
class _Wanted:
    path: Path
    checksum: str | None
    sound: Callable[[Path], bool] | None
    top: Path
    """the folder in which it lies while it comes"""


def fetch(
    path: Path,
    urls: Sequence[str],
    checksum: str | None = None,
    what: str = "file",
    *,
    place: str = "",
    sound: Callable[[Path], bool] | None = None,
) -> Path:
    """Download a file; beside it lies its sha256, as `sha256sum` writes it.

    Args:
        path: where it goes. If it is there, nothing is done.
        urls: where it comes from; a dead one is followed by the next.
        checksum: `md5:...` or `sha256:...`; without one, what `URL.sha256` of a mirror says.
        what: it is, for messages.
        place: where it lies in a cache folder, such as `models/cifar10/Linf/NAME.pt`: copies of such a folder under
            `$ENERGYLENS_MIRROR` come first.
        sound: whether a file of this kind is whole, asked before it has its name.

    Returns:
        The path.

    Raises:
        Unavailable: it cannot be had; says what to save where.
        UserError: the folder cannot be written, or `$ENERGYLENS_MIRROR` holds no addresses.
    """
    if path.is_file():
        return path
    if paths.offline():
        raise _unavailable(path, urls, what, f"{paths.OFFLINE} is set")
    folders = max(len(PurePosixPath(place).parts) - 2, 0)
    wanted = _Wanted(path, checksum, sound, path.absolute().parents[folders])
    copies = _mirrored(place)
    failures = []
    for url in [*copies, *urls]:
        try:
            return _tried(wanted, url, url in copies)
        except Failed as error:
            failures.append(f"{_host(url)}: {error}")
    raise _unavailable(path, urls, what, "; ".join(failures))


def _unavailable(path: Path, urls: Sequence[str], what: str, why: str) -> Unavailable:
    return Unavailable(f"{what} is missing and could not be downloaded ({why}); save {urls[0]} as {path}")


def _mirrored(place: str) -> list[str]:
    """Its addresses on mirrors of the cache folder."""
    for mirror in paths.mirrors():
        if not re.match(r"https?://[^/\s]", mirror):
            raise UserError(
                f"$ENERGYLENS_MIRROR holds '{mirror}', which is no address; write http://HOST/FOLDER or "
                "https://HOST/FOLDER, several of them separated by spaces"
            )
    return [f"{mirror.rstrip('/')}/{place}" for mirror in paths.mirrors()] if place else []


def _tried(wanted: _Wanted, url: str, copy: bool) -> Path:
    for again in range(TRIES - 1):
        try:
            return _placed(wanted, url, copy)
        except Final:
            raise
        except Failed:
            time.sleep(WAIT * 2**again)
    return _placed(wanted, url, copy)


def _placed(wanted: _Wanted, url: str, copy: bool) -> Path:
    """One try, from the network to its name."""
    import pooch

    path, checksum = wanted.path, wanted.checksum
    if checksum is None and copy:
        checksum = checksum_beside(url)
    with _scratch(wanted.top) as folder:
        part = folder / path.name
        transfer(url, part)
        check(part, checksum, wanted.sound)
        with whole(path.with_name(f"{path.name}.sha256"), "--model-dir or --data-dir") as hidden:
            hidden.write_text(f"{pooch.file_hash(str(part))}  {path.name}\n")
        with whole(path, "--model-dir or --data-dir") as hidden:
            shutil.move(part, hidden)
    return path


@contextmanager
def _scratch(top: Path) -> Iterator[Path]:
    """A folder inside another one, which is made; behind the block both are gone, if nothing came."""
    made = [parent for parent in (top, *top.parents) if not parent.exists()]
    try:
        top.mkdir(parents=True, exist_ok=True)
        _sweep(top)
        scratch = tempfile.TemporaryDirectory(dir=top, prefix=PREFIX)
    except OSError as error:
        raise UserError(f"cannot write {top} ({first_line(error)}); choose another folder") from error
    try:
        with scratch as folder:
            yield Path(folder)
    finally:
        with suppress(OSError):  # the first that is not empty
            for parent in made:
                parent.rmdir()


def _sweep(top: Path) -> None:
    """Remove what downloads left whose process was killed."""
    for left in top.glob(f"{PREFIX}*"):
        with suppress(OSError):  # another process was faster
            if max(path.stat().st_mtime for path in (left, *left.iterdir())) < time.time() - STALE:
                shutil.rmtree(left)


def _host(url: str) -> str:
    return "Google Drive" if url.startswith(DRIVE) else url.split("/")[2]


def verified(path: Path) -> str:
    """The sha256 of a file, checked against the one that was kept when it was downloaded, if one was.

    Raises:
        UserError: they differ.
    """
    import pooch

    found = pooch.file_hash(str(path))
    kept = path.with_name(f"{path.name}.sha256")
    if kept.is_file() and kept.read_text().split()[:1] != [found]:
        raise UserError(f"{path} is not what was downloaded (see {kept.name}); delete both and fetch it again")
    return found
