"""Many images as one array of pixels, and its file. Images are uint8 [C, H, W], grey or RGB."""

from pathlib import Path

import numpy as np
from PIL import Image

from energylens.atomic import whole
from energylens.errors import UserError

PAPER = 255
"""what lies between images, and in cells without one"""


def montage(images: np.ndarray, columns: int, gap: int = 1) -> np.ndarray:
    """Images side by side, row by row, with white lines between them and none around.

    Args:
        images: [N, C, H, W] uint8, C 1 or 3.
        columns: in one row; the last row may be shorter, its cells are white.
        gap: width of the lines, in pixels.

    Returns:
        [rows * (H + gap) - gap, columns * (W + gap) - gap, C] uint8.

    Raises:
        UserError: no image, or images of another number of channels.
    """
    if not len(images):
        raise UserError("a grid needs at least one image")
    channels = images.shape[1]
    if channels not in (1, 3):
        raise UserError(f"images of {channels} channels are neither grey nor RGB; give 1 or 3")
    rows = -(-len(images) // columns)
    return tile({divmod(place, columns): image for place, image in enumerate(images)}, rows, columns, gap)


def tile(cells: dict[tuple[int, int], np.ndarray], rows: int, columns: int, gap: int = 1) -> np.ndarray:
    """Images [C, H, W] in the cells (row, column) that have one, all of one size; the other cells are white."""
    channels, height, width = next(iter(cells.values())).shape
    shape = rows * (height + gap) - gap, columns * (width + gap) - gap, channels
    made = np.full(shape, PAPER, np.uint8)
    for (row, column), image in cells.items():
        top, left = row * (height + gap), column * (width + gap)
        made[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    return made


def save(array: np.ndarray, path: Path) -> Path:
    """Write [H, W, 3] or [H, W, 1] uint8 as a PNG of just these pixels, whole or not at all.

    Raises:
        UserError: the folder cannot be written.
    """
    picture = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    with whole(path, "--out") as hidden:
        picture.save(hidden, format="PNG")
    return path
