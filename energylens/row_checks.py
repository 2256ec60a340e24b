"""What holds for every row of an energy table, whoever measured it.

A check takes columns {name: [B]} and gives [B], True where something is wrong; its text is what to tell.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

Columns = dict[str, np.ndarray]
Wrong = tuple[str, np.ndarray]

STATUSES = ("natural", "success", "best_effort", "clean_fallback", "not_attacked", "generated", "nan")
REACHED = ("success", "not_attacked")
"""where the attack's goal is met"""
LEFT = ("clean_fallback", "not_attacked")
"""where the image came back as it was"""
NUMBERS = ("joint_energy", "ce", "prob_margin", "logit_margin", "linf", "l2")
"""columns with a number wherever E(x) has one; entropy has none where a logit is minus infinity"""
HELD = ("sample", "label", "pred", "energy", "logit_margin")
"""of natural rows, what attacked ones are held against"""
FROM_LOGITS = (
    "pred", "energy", "joint_energy", "target_energy", "ce", "entropy", "prob_margin", "logit_margin"
)  # fmt: skip
ROUNDING = 2.0**-23
"""relative error of a recorded number: twice that of rounding to float32"""
EXACT = 1e-12
"""error per nat of the largest logit: float64 on another machine"""
SUMMED = 1e-5
"""relative error of a distance whose squares were added up in float32"""
NEAR = 1e-3
"""logits; a natural image this near to a boundary may fall on its other side in another batch or on another device"""


def _nan(rows: Columns) -> np.ndarray:
    return rows["status"] == "nan"


def _right(rows: Columns) -> np.ndarray:
    return rows["pred"] == rows["label"]


def _reached(rows: Columns) -> np.ndarray:
    return np.where(np.isnan(rows["target"]), ~_right(rows), rows["pred"] == rows["target"])


def _no_number(rows: Columns) -> np.ndarray:
    lacking = np.any([np.isnan(rows[name]) for name in NUMBERS], axis=0)
    return lacking & np.isfinite(rows["energy"])


def _differ(recorded: np.ndarray, exact: np.ndarray, tolerance: np.ndarray) -> np.ndarray:
    same = (recorded == exact) | (np.isnan(recorded) & np.isnan(exact))
    with np.errstate(invalid="ignore"):  # inf - inf
        return ~(same | (np.abs(recorded - exact) <= tolerance))


def _not_a_difference(rows: Columns) -> np.ndarray:
    ce, joint, energy = rows["ce"], rows["joint_energy"], rows["energy"]
    with np.errstate(invalid="ignore"):
        wrong = _differ(ce, joint - energy, ROUNDING * (np.abs(joint) + np.abs(energy) + np.abs(ce)))
    return wrong & np.isfinite(energy)


def _wrong_sign(margin: str) -> Callable[[Columns], np.ndarray]:
    return lambda rows: np.where(_right(rows), rows[margin] < 0, rows[margin] > 0)


ALWAYS = (
    ("a status that does not exist", lambda rows: ~np.isin(rows["status"], STATUSES)),
    ("pred is -1 and status not nan, or the other way round", lambda rows: (rows["pred"] == -1) != _nan(rows)),
    ("energy is NaN and status not nan, or the other way round", lambda rows: np.isnan(rows["energy"]) != _nan(rows)),
    (f"no number in one of {', '.join(NUMBERS)}", _no_number),
    ("a label that is no class", lambda rows: rows["label"] < 0),
)
NATURAL = (
    ("status is not natural", lambda rows: ~np.isin(rows["status"], ("natural", "nan"))),
    ("a natural image that was moved", lambda rows: (rows["linf"] > 0) | (rows["l2"] > 0)),
    ("clean_correct is not pred == label", lambda rows: rows["clean_correct"] != _right(rows)),
)
ATTACKED = (
    ("status is that of no attack", lambda rows: np.isin(rows["status"], ("natural", "generated"))),
    (
        "status does not fit pred",
        lambda rows: (
            ~np.isin(rows["status"], ("natural", "generated", "nan"))
            & (np.isin(rows["status"], REACHED) != _reached(rows))
        ),
    ),
)
GENERATED = (
    ("status is not generated", lambda rows: ~np.isin(rows["status"], ("generated", "nan"))),
    ("a start that was moved", lambda rows: (rows["step"] == 0) & (rows["linf"] > 0)),
    ("a share of pixels outside [0, 1]", lambda rows: (rows["saturated"] < 0) | (rows["saturated"] > 1)),
)
Check = tuple[str, Callable[[Columns], np.ndarray]]
WITHOUT_LOGITS = (
    ("ce is not joint_energy - energy", _not_a_difference),
    ("logit_margin has the wrong sign for pred", _wrong_sign("logit_margin")),
    ("prob_margin has the wrong sign for pred", _wrong_sign("prob_margin")),
)


def own(rows: Columns, kind: tuple[Check, ...], logits: np.ndarray | None) -> Iterator[Wrong]:
    """What is wrong with rows by themselves.

    Args:
        rows: the columns of one file, or of a piece of it; numbers in float64, null as NaN.
        kind: NATURAL, ATTACKED or GENERATED.
        logits: [B, K] float32, where they are kept.
    """
    for what, check in (*ALWAYS, *kind, *(WITHOUT_LOGITS if logits is None else ())):
        yield what, check(rows)
    if logits is not None:
        yield from _against_logits(rows, logits)


def _against_logits(rows: Columns, logits: np.ndarray) -> Iterator[Wrong]:
    import torch  # here, for tables without logits need none

    from energylens import energy

    classes, label, target = logits.shape[1], rows["label"], rows["target"]
    strange = (label < 0) | (label >= classes) | (target < 0) | (target >= classes)
    yield f"a label or target that is none of the {classes} classes", strange
    f = torch.from_numpy(logits)
    y = torch.from_numpy(np.where(strange, 0, label).astype(np.int64))
    t = torch.from_numpy(np.where(strange | np.isnan(target), 0, target).astype(np.int64))
    exact = {
        "pred": energy.predict(f),
        "energy": energy.marginal(f.double()),
        "joint_energy": energy.joint(f.double(), y),
        "target_energy": energy.joint(f.double(), t),
        "ce": energy.cross_entropy(f.double(), y),
        "entropy": energy.entropy(f.double()),
        "prob_margin": energy.prob_margin(f.double(), y),
        "logit_margin": energy.logit_margin(f.double(), y),
    }
    largest = np.abs(np.nan_to_num(logits.astype(float), posinf=0, neginf=0)).max(1)
    for name in FROM_LOGITS:
        value = exact[name].double().numpy()
        if name == "target_energy":
            value = np.where(np.isnan(target), np.nan, value)
        tolerance = ROUNDING * np.abs(value) + EXACT * np.maximum(1, largest)
        yield f"{name} is not that of the logits", ~strange & _differ(rows[name], value, tolerance)


def outside(rows: Columns, eps: float | None, norm: str) -> Iterator[Wrong]:
    """Attacked rows against their ball. Of steps, only those that the attack told of itself, as those are checked."""
    from energylens.record import TOLERANCE  # here: it imports torch

    told = (rows["step"] > 0) & ~np.isnan(rows["loss"]) if "step" in rows else np.array(True)
    if eps is not None:
        yield f"{norm} is above eps", told & (rows[norm] > eps * (1 + SUMMED) + TOLERANCE)
    left = np.isin(rows["status"], LEFT) & (rows["linf"] > TOLERANCE)
    yield "status says that the image was left as it was, and linf that it was moved", left


@dataclass(frozen=True)
class Natural:
    """A model's natural images, to hold its attacked rows against; one row an image, in order of `sample`."""

    sample: np.ndarray
    label: np.ndarray
    right: np.ndarray
    near: np.ndarray
    """where right or wrong may be a matter of rounding"""
    energy: np.ndarray

    @classmethod
    def of(cls, pieces: list[Columns]) -> "Natural":
        """From the columns of natural rows."""
        rows = {name: np.concatenate([[], *(piece[name] for piece in pieces)]) for name in HELD}
        sample, first = np.unique(rows["sample"], return_index=True)
        near = np.abs(rows["logit_margin"]) < NEAR
        return cls(sample, rows["label"][first], _right(rows)[first], near[first], rows["energy"][first])

    def places(self, rows: Columns) -> tuple[np.ndarray, np.ndarray]:
        """[B] whether attacked rows have a natural one, [B] its place, where they have."""
        place = np.searchsorted(self.sample, rows["sample"]).clip(max=max(0, len(self.sample) - 1))
        return np.isin(rows["sample"], self.sample), place

    def differ(self, rows: Columns) -> Iterator[Wrong]:
        """What is wrong with attacked rows beside it."""
        there, place = self.places(rows)
        yield "no natural row beside them", ~there
        if there.any():
            yield "label is not that of the natural row", there & (rows["label"] != self.label[place])
            other = rows["clean_correct"] != self.right[place]
            yield "clean_correct is not that of the natural row", there & ~self.near[place] & other
