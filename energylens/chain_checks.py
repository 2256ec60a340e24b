"""Whether generated images are what their table says: as `verify`, without natural images to hold them against."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from energylens import provenance, row_checks
from energylens.compact import images_of
from energylens.errors import UserError
from energylens.row_checks import Columns
from energylens.schema import CHAINS
from energylens.shard_checks import NULLABLE, Said, Shard
from energylens.shards import Part, parts
from energylens.verify import Finding, Seen, images, strangers

__all__ = ["images", "problems"]


def problems(points: Path, seen: Seen = lambda images, rows: None) -> Iterator[Finding]:
    """What is wrong with a table of chains, file by file; nothing if it is all right.

    Args:
        points: the folder `TABLES/ANALYSIS/chains`.
        seen: told of each file's chains (by its name) and rows, once it is looked at.

    Yields:
        Findings, those of one file together; of one mistake in many rows, one.
    """
    homes = sorted(path for path in points.glob("model=*") if path.is_dir())
    yield from strangers(points, homes)
    for home in homes:
        folders = sorted(path for path in home.glob("attack=*") if path.is_dir())
        yield from strangers(home, folders)
        for where in folders:
            found = parts(where)
            yield from strangers(where, (part.path for part in found))
            if len({part.key for part in found}) > 1:
                yield Finding(where, "files of several keys, so made with different things")
            behind = 0
            for part in found:
                if part.start < behind:
                    yield Finding(part.path, "has chains of a file before it too, so readers take them twice")
                behind = max(behind, part.stop)
                checked = _File(part)
                yield from (Finding(part.path, what) for what in checked.problems())
                seen(part.stop - part.start, checked.rows)


class _File(Shard):
    """A file under examination."""

    nullable = (*NULLABLE, "clean_correct")

    def __init__(self, part: Part):
        super().__init__(part, CHAINS, None)

    def _name(self, said: Said) -> Iterator[str]:
        if said.key != self.part.key:
            yield f"its name has another key than its provenance, {said.key}"
        if said.key != provenance.key(said.decisive):
            yield f"its key is not that of what it was made with, {provenance.key(said.decisive)}"
        if not self.part.images.exists():
            yield f"its images, {self.part.images.name}, are gone"
            return
        try:
            images = images_of(self.part)
        except UserError as error:
            yield str(error)
            return
        if images.dtype != np.uint8 or images.ndim != 4 + bool(said.decisive["frames"]):
            yield f"{self.part.images.name} holds {images.dtype} of shape {list(images.shape)}, not uint8 images"

    def _rows(self, rows: Columns, logits: np.ndarray | None, said: Said) -> None:
        for what, wrong in row_checks.own(rows, row_checks.GENERATED, logits):
            self._note(what, wrong, rows)
