"""Mistakes a user can mend, each told in one line that says what to type instead."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake the user can mend; commands print its text on one line and exit with code 2."""


class Note(UserWarning):
    """Something that a user should know and need not mend; commands print its text on one line."""


MOST = 40
"""names that an error lists; of more, the nearest"""


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """An error for a name that does not exist: the closest one first (one that begins like it), then all there are."""
    known = list(known)
    lowered = {option.lower(): option for option in known}
    longer = [option for option in lowered if name and option.startswith(f"{name.lower()}-")]
    near = longer or difflib.get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.5)
    hint = f"did you mean '{lowered[near[0]]}'? " if near else ""
    if len(known) > MOST:
        nearest = difflib.get_close_matches(name.lower(), list(lowered), n=MOST // 2, cutoff=0.2)
        known = [*(lowered[option] for option in nearest), f"... ({len(lowered)} in all)"]
    return UserError(f"unknown {kind} '{name}'; {hint}available: {', '.join(known) or 'none'}")


def first_line(error: BaseException) -> str:
    """The type and first line of another library's error, to be quoted in ours."""
    lines = str(error).strip().splitlines() or ["no message"]
    return f"{type(error).__name__}: {lines[0].strip()}"


def option(name: str) -> str:
    """A setting as it is typed: `awp_warmup` is `--awp-warmup`."""
    return f"--{name.replace('_', '-')}"


def some(names: Iterable[str]) -> str:
    """The first three names, and how many more there are."""
    names = sorted(names)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def many(count: int, noun: str) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
