"""Which class an attack wants of each image: a random wrong one, the least likely wrong one, or one chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from energylens.attacks.starts import random_wrong_class
from energylens.errors import UserError, unknown

if TYPE_CHECKING:
    from torch import Tensor

WORDS = ("random", "least-likely")


def check(attack) -> None:
    """Whether its field `target` is None, one of WORDS or a class.

    Raises:
        UserError: it is something else.
    """
    wanted = attack.target
    if isinstance(wanted, bool) or (isinstance(wanted, int) and wanted < 0) or isinstance(wanted, float):
        raise UserError(f"{type(attack).__name__}(target={wanted!r}): a class is a whole number, from 0")
    if isinstance(wanted, str) and wanted not in WORDS:
        raise unknown(f"target of {type(attack).__name__}", wanted, [*WORDS, "or a class, such as 3"])


def wanted(target: str | int, logits: Tensor, y: Tensor, seed: int, index: list[int]) -> Tensor:
    """[B] the class wanted of each image, int64.

    Args:
        target: `random` (keyed by seed and image), `least-likely` of the wrong classes, or a class.
        logits: [B, K] at the natural images.
        y: [B] true classes.
        seed: of the random ones.
        index: the images' places in the split.
    """
    if target == "random":
        return random_wrong_class(y, logits.shape[1], seed, index)
    if target == "least-likely":
        return logits.scatter(1, y[:, None], float("inf")).argmin(1)
    return y.new_full(y.shape, int(target))
