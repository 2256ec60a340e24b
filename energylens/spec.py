"""One small grammar for settings in a word: `pgd:steps=50:norm=l2`, `resnet18:classes=10`."""

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from energylens.errors import UserError, unknown


def number(text: str) -> float:
    """A number as researchers type it: `0.03`, `1e-3`, `8/255`.

    Raises:
        UserError: the text is no number.
    """
    try:
        return float(Fraction(text))
    except (ValueError, ZeroDivisionError, OverflowError):
        raise UserError(f"'{text}' is no number; write for example 0.03 or 8/255") from None


def value(text: str) -> Any:
    """Text as int, float (fractions too), bool, or itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return number(text)
    except UserError:
        return text


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """Split `name:key=value:...` into the name and its settings.

    Raises:
        UserError: a part is not `key=value`.
    """
    name, *parts = text.split(":")
    settings = {}
    for part in parts:
        key, equals, raw = part.partition("=")
        if not equals:
            raise UserError(f"'{part}' in '{text}' is no setting; write {name}:KEY=VALUE")
        if key in settings:
            raise UserError(f"'{text}' says {key} twice; leave one out")
        settings[key] = value(raw)
    return name, settings


def check(settings: dict[str, Any], known: Iterable[str], what: str) -> dict[str, Any]:
    """The settings themselves, when all their names are known.

    Raises:
        UserError: one is not.
    """
    known = list(known)
    for key in settings:
        if key not in known:
            raise unknown(f"setting of {what}", key, known)
    return settings
