"""Files from the network: whole under their name, or absent."""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from energylens import paths
from energylens.atomic import whole
from energylens.errors import UserError, first_line

DRIVE = "https://drive.google.com/uc?id="
TRIES = 3
WAIT = 1.0
"""seconds before the second try; twice as long before each further one"""


class Unavailable(UserError):
    """A file that is not there and cannot be had."""


class _Failed(Exception):
    """One try; says why."""


class _Final(_Failed):
    """Trying again would give the same."""


def fetch(path: Path, urls: Sequence[str], checksum: str | None = None, what: str = "file") -> Path:
    """Download a file; beside it lies its sha256, as `sha256sum` writes it.

    Args:
        path: where it goes. If it is there, nothing is done.
        urls: where it comes from; a dead one is followed by the next. Copies under `$ENERGYLENS_MIRROR` come first.
        checksum: `md5:...` or `sha256:...`; without one, web pages and short bodies are refused all the same.
        what: it is, for messages.

    Returns:
        The path.

    Raises:
        Unavailable: it cannot be had; says what to save where.
        UserError: the folder cannot be written.
    """
    if path.is_file():
        return path
    if paths.offline():
        raise _unavailable(path, urls, what, f"{paths.OFFLINE} is set")
    failures = []
    for url in [*_mirrored(path), *urls]:
        try:
            return _tried(path, url, checksum)
        except _Failed as error:
            failures.append(f"{_host(url)}: {error}")
    raise _unavailable(path, urls, what, "; ".join(failures))


def _unavailable(path: Path, urls: Sequence[str], what: str, why: str) -> Unavailable:
    return Unavailable(f"{what} is missing and could not be downloaded ({why}); save {urls[0]} as {path}")


def _mirrored(path: Path) -> list[str]:
    """Its places on mirrors of the cache folder."""
    for top, folder in (("models", paths.model_dir()), ("data", paths.data_dir())):
        if path.is_relative_to(folder):
            return [f"{mirror.rstrip('/')}/{top}/{path.relative_to(folder).as_posix()}" for mirror in paths.mirrors()]
    return []


def _tried(path: Path, url: str, checksum: str | None) -> Path:
    for again in range(TRIES):
        try:
            return _placed(path, url, checksum)
        except _Final:
            raise
        except _Failed:
            if again == TRIES - 1:
                raise
            time.sleep(WAIT * 2**again)
    raise AssertionError


def _placed(path: Path, url: str, checksum: str | None) -> Path:
    """One try, from the network to its name."""
    import pooch

    try:
        there = next(parent for parent in path.absolute().parents if parent.exists())
        scratch = tempfile.TemporaryDirectory(dir=there, prefix=".download-")  # its folder is made when it has come
    except OSError as error:
        raise UserError(f"cannot write {path.parent} ({first_line(error)}); choose another folder") from error
    with scratch as folder:
        part = Path(folder) / path.name
        _download(url, part)
        _check(part, checksum)
        with whole(path.with_name(f"{path.name}.sha256"), "--model-dir or --data-dir") as hidden:
            hidden.write_text(f"{pooch.file_hash(str(part))}  {path.name}\n")
        with whole(path, "--model-dir or --data-dir") as hidden:
            part.rename(hidden)
    return path


def _download(url: str, part: Path) -> None:
    import requests

    try:
        if url.startswith(DRIVE):
            _from_drive(url, part)
        else:
            _from_web(url, part)
    except requests.HTTPError as error:
        answer = error.response
        assert answer is not None  # raise_for_status tells it
        kind = _Final if 400 <= answer.status_code < 500 and answer.status_code not in (408, 429) else _Failed
        raise kind(f"the server says {answer.status_code} {answer.reason}") from error
    except (requests.RequestException, OSError) as error:  # a screenful of addresses: the type says enough
        raise _Failed(type(error).__name__) from error


def _from_web(url: str, part: Path) -> None:
    import pooch

    download = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), headers={"Accept-Encoding": "identity"})
    download(url, str(part), None)


def _from_drive(url: str, part: Path) -> None:
    import gdown

    try:
        gdown.download(id=url.removeprefix(DRIVE), output=str(part), quiet=not sys.stderr.isatty())
    except gdown.exceptions.FileURLRetrievalError as error:
        raise _Final(f"Google Drive does not give it ({first_line(error)})") from error


def _check(part: Path, checksum: str | None) -> None:
    import pooch

    with part.open("rb") as file:
        head = file.read(64)
    if not head:
        raise _Failed("what came is empty")
    if checksum is not None:
        kind, _, wanted = checksum.partition(":")
        found = pooch.file_hash(str(part), alg=kind)
        if found != wanted:
            page = ", a web page" if head.lstrip()[:1] == b"<" else ""
            raise _Final(f"what came has {kind} {found[:8]}..., not {wanted[:8]}...{page}")
    elif head.lstrip()[:1] == b"<":
        raise _Final("what came is a web page, not the file (a quota page?)")


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
