"""Energies while training: what a network does to images, measured between two epochs and kept in a run's folder.

A few lines of `energylens.epochs` read them. Delta E(x) = E(x) - E(x*), natural minus adversarial.
"""

import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

from energylens import energy, epoch_files, provenance, reach, shards
from energylens import record as recording
from energylens.atomic import whole
from energylens.attacks import Attack
from energylens.attacks.frozen import frozen
from energylens.attacks.library import own_random_numbers
from energylens.data import Data
from energylens.errors import UserError
from energylens.memory import no_memory, usual
from energylens.models import check, identity
from energylens.record import Points
from energylens.schema import EPOCHS, NATURAL
from energylens.table import check_name


class Watched(NamedTuple):
    """Images that are measured at every epoch, and what they are attacked with; a plain tuple will do."""

    split: str
    """its name in the table, and in those of the files"""
    data: Data
    """not augmented"""
    attacks: tuple[Attack, ...]
    """of one seed at all epochs, for it is a part of their names"""


def record(
    net: nn.Module,
    folder: str | Path,
    name: str,
    epoch: int,
    sets: Iterable[Watched | tuple[str, Data, tuple[Attack, ...]]],
    batch: int | None = None,
    precision: str = "fp32",
    keep_logits: bool = False,
) -> list[Path]:
    """Measure a network after an epoch, in eval mode; what is there of the same epoch and key is not measured again.

    Afterwards the network (mode, gradients, BatchNorm statistics) and torch's random numbers are as before. Files
    are whole or absent, those of natural images first; a file of another key (other weights, images or settings) or
    one that cannot be read is replaced. One process at a time may write an epoch.

    Args:
        net: the classifier, inputs in [0, 1].
        folder: the run's; files go to `folder/epochs/model=NAME/attack=ATTACK/SPLIT-EPOCH.parquet`.
        name: of the run, `model` in the table.
        epoch: epochs of training that the network has behind it; 0 is the start.
        sets: (split, images, attacks): such as training images with the training attack and with PGD-20, test images
            with PGD-20. Natural rows are measured once a split.
        batch: images at once; None for 128 on a CPU, 512 on a GPU. Halved until they fit.
        precision: of the search, fp32 or bf16; what is recorded is float32 always.
        keep_logits: whether the column `logits` is filled.

    Returns:
        The files that were written.

    Raises:
        UserError: a split or attack stands twice, a split or epoch cannot be one, an attack left its ball, or the
            folder cannot be written.
    """
    watched = [Watched(*one) for one in sets]
    _check(epoch, watched)
    device = check.device_of(net)
    # Frozen around all: choosing a memory layout calls the network too. Training may stand in an autocast.
    with frozen(net), own_random_numbers(0), torch.autocast(device.type, enabled=False):
        moment = _Moment(net, identity.sha(net), Path(folder), name, epoch, precision, keep_logits)
        return [path for one in watched for path in moment.record(one, batch or usual(device.type))]


def _check(epoch: int, sets: list[Watched]) -> None:
    if epoch < 0:
        raise UserError(f"epoch {epoch} cannot be: 0 is the network before any training")
    splits = [one.split for one in sets]
    for one in sets:
        check_name(one.split)
        if splits.count(one.split) > 1:
            raise UserError(f"two sets of images are called '{one.split}'; give each a name of its own")
        names = [attack.name for attack in one.attacks]
        for attack in names:
            if names.count(attack) > 1:
                raise UserError(f"attack {attack} stands twice for the images '{one.split}'; leave one out")


Columns = dict[str, Any]


@dataclass(frozen=True)
class _File:
    """One that is wanted."""

    path: Path
    attack: Attack | None
    facts: dict[str, Any]

    def there(self, kept: list[str]) -> bool:
        """Whether it need not be measured."""
        if not self.path.exists():
            return False
        try:
            about = shards.provenance(self.path)
        except shards.Broken:
            return False
        return about["key"] == provenance.key(self.facts) and set(kept) <= set(about["kept"])


@dataclass(frozen=True)
class _Moment:
    """A network at one epoch, and where its files go."""

    net: nn.Module
    sha: str
    run: Path
    name: str
    epoch: int
    precision: str
    keep_logits: bool

    @property
    def kept(self) -> list[str]:
        """What is kept beside the energies, as in the provenance."""
        return ["keep_logits"] if self.keep_logits else []

    def record(self, one: Watched, size: int) -> list[Path]:
        """Write the files that are missing of some images, measured together."""
        wanted = [self._file(one, attack) for attack in (None, *one.attacks)]
        lacking = [file for file in wanted if not file.there(self.kept)]
        if not lacking:
            return []
        began = time.monotonic()
        columns, size = self._fitting(one.data, tuple(file.attack for file in lacking), size)
        about = {"batch": size, "seconds": round(time.monotonic() - began, 3), "measured_together": len(lacking)}
        for file in lacking:
            self._write(file, columns[file.attack], one, about)
        return [file.path for file in lacking]

    def _file(self, one: Watched, attack: Attack | None) -> _File:
        path = epoch_files.path(self.run, self.name, attack.name if attack else NATURAL, one.split, self.epoch)
        images = one.data
        facts = provenance.decisive(self.sha, images.sha, images.shuffle_seed, attack, self.precision, "epochs")
        chosen = hashlib.sha256(np.asarray(images.index, np.int64).tobytes()).hexdigest()
        return _File(path, attack, facts | {"selection": chosen})

    def _fitting(
        self, images: Data, attacks: tuple[Attack | None, ...], size: int
    ) -> tuple[dict[Attack | None, Columns], int]:
        """The columns under each attack, and how many images fitted at once."""
        while True:
            try:
                return self._columns(images, attacks, size), size
            except RuntimeError as error:
                if not no_memory(error) or size == 1:
                    raise
            size //= 2
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _columns(self, images: Data, attacks: tuple[Attack | None, ...], size: int) -> dict[Attack | None, Columns]:
        batches: dict[Attack | None, list[Columns]] = {attack: [] for attack in attacks}
        for reached in reach.measure(self.net, images, attacks, 0, len(images), size, self.precision):
            for attack, points in reached.items():
                columns = recording.columns(points, attack, self.keep_logits)
                batches[attack].append(columns | _terms(points, attack))
        return {attack: recording.joined(columns) for attack, columns in batches.items()}

    def _write(self, file: _File, columns: Columns, one: Watched, about: dict[str, Any]) -> None:
        images, rows = one.data, len(columns["sample"])
        constants = provenance.constants(file.facts, file.attack, self.name, images.name, one.split)
        constants["epoch"] = self.epoch
        about = about | {
            "key": constants["key"],
            "decisive": file.facts,
            "model_ref": self.name,
            "data": f"{images.name}:{one.split}",
            "epoch": self.epoch,
            "images": len(images.labels),
            "selected": len(images),
            "rows": rows,
            "kept": self.kept,
            "software": provenance.software(str(check.device_of(self.net))),
        }
        columns = columns | {name: [value] * rows for name, value in constants.items()}
        table = pa.table([columns[field.name] for field in EPOCHS], schema=EPOCHS)
        with whole(file.path, "--runs") as hidden:
            pq.write_table(shards.described(table, about), hidden, write_page_checksum=True)


def _terms(points: Points, attack: Attack | None) -> Columns:
    """The two terms of eq. 5 in float64, from the float32 logits; the second is +Delta E(x)."""
    names = ("kl_conditional", "kl_marginal")
    if attack is None:
        return dict.fromkeys(names, np.full(len(points.y), None))
    terms = energy.kl_split(points.natural.double(), points.logits.double())
    return {name: term.numpy() for name, term in zip(names, terms, strict=True)}
