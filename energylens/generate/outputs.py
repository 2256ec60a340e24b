"""What the command leaves for people: a grid of images and one file of all of them, per model and method."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np

from energylens.atomic import whole
from energylens.errors import many
from energylens.generate.files import Made
from energylens.plots import images as pictures

ROWS = 10
"""of a grid, at most"""
SEEN = 64
"""dots across an image of a grid, about"""


def written(made: dict[tuple[str, str], Made], out: Path) -> Iterator[str]:
    """Write OUT/MODEL-METHOD.png and OUT/MODEL-METHOD.npz; yields lines to print.

    The .npz holds `images` [N, C, H, W] uint8 and `labels` [N], so it is a data reference itself. Chains that became
    NaN are left out of it.
    """
    for (model, method), one in made.items():
        path = out / f"{quote(model, safe=' ()+')}-{method}.npz"
        ends = one.ends(["label", "status"])
        good = (ends["status"] != "nan").to_numpy()
        _write(path, one, good, ends["label"].to_numpy(np.int64))
        left = f", {many(int((~good).sum()), 'NaN chain')} left out" if not good.all() else ""
        yield f"images: {path}, {many(int(good.sum()), 'image')}{left}"
        grid = path.with_suffix(".png")
        columns = ends["label"].nunique()
        pictures.save(pictures.montage(_first(one, columns * ROWS), columns), grid)
        yield f"grid: {grid}, a column a class"


def _first(made: Made, count: int) -> np.ndarray:
    """The first images, enlarged until they can be seen: a pixel is a square of SEEN // size dots."""
    found: list[np.ndarray] = []
    for images in made.ended():
        found.append(images)
        if sum(map(len, found)) >= count:
            break
    images = np.concatenate(found)[:count]
    times = max(1, SEEN // images.shape[-1])
    return images.repeat(times, 2).repeat(times, 3)


def _write(path: Path, made: Made, good: np.ndarray, labels: np.ndarray) -> None:
    """An .npz, file by file: no more than one of them is in memory."""
    with whole(path, "--out") as hidden, zipfile.ZipFile(hidden, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("labels.npy", "w") as file:
            np.lib.format.write_array(file, labels[good])
        with archive.open("images.npy", "w", force_zip64=True) as file:
            position = 0
            for images in made.ended():
                if position == 0:
                    shape = (int(good.sum()), *images.shape[1:])
                    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_2_0(file, header)
                kept = images[good[position : position + len(images)]]
                file.write(np.ascontiguousarray(kept).tobytes())
                position += len(images)
