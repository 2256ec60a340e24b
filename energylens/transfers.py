"""One transfer from the network into a file, and what can be wrong with what came."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from energylens.errors import first_line

DRIVE = "https://drive.google.com/uc?id="
MARK = b"\xef\xbb\xbf"
"""what some editors and servers put in front of text (UTF-8's byte order mark)"""


def beginning(head: bytes) -> bytes:
    """The first bytes of a file, without what may stand in front of text; `<` is a web page's."""
    return head.removeprefix(MARK).lstrip()


def text(head: bytes) -> str | None:
    """The first bytes of a file, if they are text."""
    found = beginning(head)
    readable = found.isascii() and all(byte >= 32 or byte in b"\t\n\r" for byte in found)
    return found.decode().rstrip() if readable else None


class Failed(Exception):
    """One try; says why."""


class Final(Failed):
    """Trying again would give the same."""


def transfer(url: str, part: Path) -> None:
    """Have what an address gives, of Google Drive or any other, in a file.

    Raises:
        Failed: the server or the network does not give it.
    """
    with _told():
        if url.startswith(DRIVE):
            _from_drive(url, part)
        else:
            _from_web(url, part)


def checksum_beside(url: str) -> str | None:
    """What `URL.sha256` says, written as `sha256sum` does; None if the server has no such file.

    Raises:
        Failed: the server or the network fails, or it says something else.
    """
    import requests

    with _told():
        answer = requests.get(f"{url}.sha256", timeout=30)
        if _for_good(answer.status_code):
            return None
        answer.raise_for_status()
    found = re.match(r"[0-9a-fA-F]{64}\b", answer.text)
    if found is None:
        raise Final(f"{url.rpartition('/')[2]}.sha256 there holds no sha256")
    return f"sha256:{found.group().lower()}"


def _for_good(status: int) -> bool:
    """Whether an error is the asker's, so that asking again would not help."""
    return 400 <= status < 500 and status not in (408, 429)


@contextmanager
def _told() -> Iterator[None]:
    import requests

    try:
        yield
    except requests.HTTPError as error:
        answer = error.response
        assert answer is not None  # raise_for_status tells it
        kind = Final if _for_good(answer.status_code) else Failed
        raise kind(f"the server says {answer.status_code} {answer.reason}") from error
    except (requests.RequestException, OSError) as error:  # a screenful of addresses: the type says enough
        raise Failed(type(error).__name__) from error


def _from_web(url: str, part: Path) -> None:
    import pooch

    headers, hooks = {"Accept-Encoding": "identity"}, {"response": _refuse}
    download = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), headers=headers, hooks=hooks)
    download(url, str(part), None)


def _refuse(answer, **_) -> None:
    """Stop at an answer that is no file; requests shows each of them, those that lead elsewhere too."""
    if answer.is_redirect:
        return
    answer.raise_for_status()
    if answer.status_code != 200:
        raise Final(f"the server says {answer.status_code} {answer.reason}, not 200 with the whole file")
    if answer.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise Final("the server gives a web page, not the file (a quota page?)")


def _from_drive(url: str, part: Path) -> None:
    import gdown

    name = url.removeprefix(DRIVE)
    try:
        with part.open("wb") as file:  # without cookies, which gdown would keep in the home folder
            gdown.download(id=name, output=file, quiet=not sys.stderr.isatty(), use_cookies=False)
    except gdown.exceptions.FileURLRetrievalError as error:
        why = _reason(error)
        # gdown says this too where Drive is only busy (429, 500, 503); Drive's own reasons stay
        kind = Failed if why.startswith("Cannot retrieve the public link") else Final
        raise kind(why) from error
    except KeyError as error:
        raise Failed(f"an answer without {error.args[0]}") from error


def _reason(error: Exception) -> str:
    """The part of gdown's page of text that says why."""
    found = re.search(r"\n\n(.+?)\n\n", str(error), re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", found.group(1)).split()) if found else first_line(error)


def check(part: Path, checksum: str | None, sound: Callable[[Path], bool] | None) -> None:
    """Whether what came is what was wanted.

    Args:
        part: what came.
        checksum: `md5:...` or `sha256:...`, the whole of it or its beginning; None if it is not known.
        sound: whether it is a whole file of its kind.

    Raises:
        Failed: empty, a web page, another file, or a part of one.
    """
    import pooch

    with part.open("rb") as file:
        head = file.read(64)
    if not head:
        raise Failed("what came is empty")
    page = beginning(head)[:1] == b"<"
    if checksum is not None:
        kind, _, wanted = checksum.partition(":")
        found = pooch.file_hash(str(part), alg=kind)
        if not found.startswith(wanted):
            told = ", a web page" if page else ""
            raise Final(f"what came has {kind} {found[:8]}..., not {wanted[:8]}...{told}")
    elif page:
        raise Final("what came is a web page, not the file (a quota page?)")
    if sound is not None and not sound(part):
        if (words := text(head)) is not None:
            raise Final(f"what came is text, not the file; it begins: {' '.join(words.split())}")
        raise Failed("what came is not the whole file")
