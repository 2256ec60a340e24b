"""Frames of chains, made by hand: what `Generation.frame` returns, every number chosen by the test."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

SHAPE = (1, 4, 4)


def chain(
    model: str,
    method: str,
    sample: int,
    label: int,
    logits: Callable[[int], Sequence[float]],
    steps: Sequence[int] = range(11),
    saturated: Callable[[int], float] = lambda step: 0.0,
    **columns,
) -> pd.DataFrame:
    """The recorded states of one chain; its energies follow from the logits at each step.

    Args:
        model: display name.
        method: such as `eq7-pca`.
        sample: the chain's number.
        label: class wanted.
        logits: step -> K numbers.
        steps: those that are recorded.
        saturated: step -> share of pixels that are 0 or 1.
        columns: constants of the chain, such as `reference=-9.0`.
    """
    f = np.array([list(logits(step)) for step in steps], float)
    others = np.delete(f, label, axis=1)
    log_z = np.log(np.exp(f).sum(1))
    p = np.exp(f - log_z[:, None])
    made = {
        "model": model,
        "method": method,
        "sample": sample,
        "label": label,
        "status": "generated",
        "step": list(steps),
        "pred": f.argmax(1),
        "energy": -log_z,
        "joint_energy": -f[:, label],
        "ce": log_z - f[:, label],
        "entropy": -(p * np.log(p)).sum(1),
        "prob_margin": p[:, label] - np.delete(p, label, axis=1).max(1),
        "logit_margin": f[:, label] - others.max(1),
        "loss": -f[:, label],
        "linf": 0.0,
        "l2": 0.0,
        "saturated": [saturated(step) for step in steps],
        "reference": -9.0,
        "reference_spread": 1.0,
        "reference_saturated": 0.1,
        "logits": list(f),
        "image": [None] * (len(f) - 1) + [np.full(SHAPE, 10 * label, np.uint8)],
        "data": "digits",
        "precision": "fp32",
        "seed": 0,
    }
    return pd.DataFrame(made | columns)


def frame(*chains: pd.DataFrame) -> pd.DataFrame:
    """Chains one below the other, models and methods in the order in which they come."""
    rows = pd.concat(chains, ignore_index=True)
    for name in ("model", "method"):
        rows[name] = pd.Categorical(rows[name], categories=list(dict.fromkeys(rows[name])))
    return rows
