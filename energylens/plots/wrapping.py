"""Long names in figures, broken into lines that fit."""

import math
import re

import numpy as np
from matplotlib.textpath import TextPath

_START = re.compile(
    r"(?=-(?:random|gaussian|informative-pca|local-pca)(?:-|$))|(?<!informative)(?<!local)(?=-pca(?:-|$))"
)
"""where a method's name goes on with its start"""


def width(text: str, points: float) -> float:
    """In inches, of its letters' outlines with the points that bend them, which lie outside by a hair.

    Args:
        text: one line, `$` and what stands between two of them as in a figure.
        points: font size.
    """
    outline = TextPath((0, 0), text, size=points).vertices if text.strip() else np.zeros((1, 2))
    return float(np.ptp(outline[:, 0])) / 72


def wrapped(text: str, inches: float, points: float) -> str:
    """Lines of at most this width.

    They are broken at spaces; where a word is too long, before the start in a method's name, if that is enough, then
    at hyphens and underscores, at last anywhere.
    """
    lines = []
    for part in text.split("\n"):
        lines.append("")
        for word in part.split(" "):
            for place, piece in enumerate(_pieces(word, inches, points)):
                longer = f"{lines[-1]} {piece}" if not place and lines[-1] else lines[-1] + piece
                if lines[-1] and width(longer, points) > inches:
                    lines.append(piece)
                else:
                    lines[-1] = longer
    return "\n".join(lines)


def _pieces(word: str, inches: float, points: float) -> list[str]:
    """The word in parts that fit, as few as will do."""
    for cut in (r"(?!)", _START, r"(?<=[-_])"):
        pieces = [piece for piece in re.split(cut, word) if piece]
        if all(width(piece, points) <= inches for piece in pieces):
            return pieces
    if "$" in word:
        return pieces
    return [short for piece in pieces for short in _shortened(piece, inches, points)]


def _shortened(piece: str, inches: float, points: float) -> list[str]:
    """Equal parts of what has no place to be broken."""
    size = max(1, math.floor(len(piece) / max(1, math.ceil(1.1 * width(piece, points) / inches))))
    if width(piece, points) <= inches:
        return [piece]
    return [piece[first : first + size] for first in range(0, len(piece), size)]
