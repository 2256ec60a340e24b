"""What attacks ask of their settings, and how a setting is written in a file name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from energylens.errors import UserError, unknown

SEMANTICS = ("strict", "paper")
"""strict: the method done right; paper: as the software that the paper used does it"""


def check_numbers(attack: Any, **least: float) -> None:
    """Each named field is a number at least this large, whole where the bound is an int; None where that is usual.

    Raises:
        UserError: it is not.
    """
    for field, bound in least.items():
        number, whole = getattr(attack, field), isinstance(bound, int)
        if number is None and getattr(type(attack), field) is None:
            continue
        kind = int if whole else (int, float)
        if isinstance(number, bool) or not isinstance(number, kind) or not bound <= number < 2**63:
            wanted = f"a whole number, at least {bound}" if whole else f"a number, {'above' if bound else 'at least'} 0"
            raise UserError(f"{type(attack).__name__}({field}={number!r}): {field} must be {wanted}")
        if not whole:
            object.__setattr__(attack, field, float(number))  # 1 and 1.0 are one attack, and one key


def check_choices(attack: Any, **known: Iterable[str]) -> None:
    """Each named field is one of the known words.

    Raises:
        UserError: it is not.
    """
    for field, words in known.items():
        if getattr(attack, field) not in words:
            raise unknown(f"{field} of {type(attack).__name__}", str(getattr(attack, field)), words)


def check_ball(attack: Any, norms: Iterable[str]) -> None:
    """A radius and a norm that go together; the norm's name in lower case from here on.

    Raises:
        UserError: they do not.
    """
    object.__setattr__(attack, "norm", str(attack.norm).lower())
    check_choices(attack, norm=norms)
    check_numbers(attack, eps=1e-12)
    if attack.norm == "linf" and attack.eps > 1:
        name, eps = type(attack).__name__, attack.eps
        raise UserError(f"{name}(eps={eps:g}) is above 1, the whole range of a pixel; 8 of 255 is written 8/255")


def short(setting: Any) -> str:
    """A setting as part of a file name; pixel fractions stay readable: 4/255 is `4_255`."""
    if not isinstance(setting, float) or float(f"{setting:g}") == setting:
        return f"{setting:g}" if isinstance(setting, float) else str(setting).lower()
    in_255 = round(setting * 255)
    return f"{in_255}_255" if in_255 / 255 == setting else repr(setting)


def check_batch(x: Any, y: Any) -> None:
    """Images in [0, 1] and one class for each.

    Raises:
        UserError: they are not.
    """
    if len(x) != len(y):
        raise UserError(f"{len(x)} images and {len(y)} labels; give one label an image")
    if y.is_floating_point():
        raise UserError(f"labels of type {y.dtype}; classes are int64: y.long()")
    if len(x) and (x.min() < -1e-6 or x.max() > 1 + 1e-6):
        low, high = float(x.min()), float(x.max())
        raise UserError(
            f"images from {low:.3g} to {high:.3g}; attacks take [0, 1], with the normalisation in the model"
        )
