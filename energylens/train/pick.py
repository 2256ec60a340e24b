"""Which images a subset of the training images is made of: from what a network says of them, or from their classes."""

import re
from collections.abc import Iterable

import pandas as pd
import torch
from torch import nn

from energylens import reach, record
from energylens.data import Data
from energylens.errors import UserError, many
from energylens.memory import usual
from energylens.models import check

MISCLASSIFIED, HIGH, LOW, CLASSES = "misclassified", "high", "low", "classes:"
OF_A_NETWORK = ["sample", "label", "pred", "energy"]
"""columns: place in the split, true class, class by the first network, its E(x) in nats"""


def classes(which: str) -> list[int]:
    """`classes:2,0` -> [0, 2].

    Raises:
        UserError: these are no numbers.
    """
    words = which.removeprefix(CLASSES)
    if not re.fullmatch(r"\d+(,\d+)*", words):
        raise UserError(f"--subset {which}: name classes by their numbers, such as classes:0,1,2")
    return sorted({int(word) for word in words.split(",")})


def measured(net: nn.Module, images: Data) -> pd.DataFrame:
    """What a network says of all images: the columns of OF_A_NETWORK, natural and in eval mode."""
    batches = reach.measure(net, images, (None,), 0, len(images), usual(check.device_of(net).type))
    columns = record.joined([record.columns(points[None], None) for points in batches])
    return pd.DataFrame({name: columns[name] for name in OF_A_NETWORK})


def pick(which: str, found: pd.DataFrame, name: str) -> pd.DataFrame:
    """Those that are misclassified, or as many that are right and have the highest or lowest E(x).

    Args:
        which: misclassified, high or low.
        found: all images, as `measured`.
        name: the network's, for messages.

    Returns:
        Their rows, in the order of the images; of equal energies the first are taken.

    Raises:
        UserError: no image is misclassified, or fewer are right than wrong.
    """
    wrong = (found["pred"] != found["label"]).to_numpy()
    count, right = int(wrong.sum()), found[~wrong]
    if count == 0:
        raise UserError(
            f"--subset {which}: {name} gets all {many(len(found), 'image')} right, so there is no number of "
            "misclassified ones; name another network with --subset-model"
        )
    if which == MISCLASSIFIED:
        rows = found[wrong]
    elif count > len(right):
        raise UserError(
            f"--subset {which}: {name} gets {count:,} images wrong and only {len(right):,} right; name another network "
            "with --subset-model"
        )
    else:
        rows = right.sort_values("energy", ascending=which == LOW, kind="stable")[:count].sort_index()
    return rows.reset_index(drop=True)


def of_classes(images: Data, which: str) -> pd.DataFrame:
    """All images of some classes: `sample`, `label`.

    Raises:
        UserError: a class does not exist, or has no image.
    """
    labels = images.labels[torch.from_numpy(images.index)].numpy()
    there = set(labels.tolist())
    for wanted in classes(which):
        if wanted not in there:
            told = _numbers(there)
            raise UserError(f"--subset {which}: no image of class {wanted}; the training images have classes {told}")
    rows = pd.DataFrame({"sample": images.index, "label": labels})
    return rows[rows["label"].isin(classes(which))].reset_index(drop=True)


def _numbers(numbers: Iterable[int]) -> str:
    """`0 to 9`, or `0, 2, 5` where some are missing."""
    ordered = sorted(numbers)
    if ordered == list(range(ordered[0], ordered[-1] + 1)) and len(ordered) > 2:
        return f"{ordered[0]} to {ordered[-1]}"
    return ", ".join(map(str, ordered))
