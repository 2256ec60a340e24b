"""Made tables, whose numbers are known."""

import numpy as np
import pandas as pd

from energylens import table


def rows(model: str, attack: str, reference: str, energy, label, pred, joint=None, **more) -> pd.DataFrame:
    count = len(energy)
    natural = attack == table.NATURAL
    return pd.DataFrame(
        {
            "model": model, "attack": attack, "model_ref": reference, "model_sha": model, "data": "cifar10",
            "split": "test", "eps": None if natural else 8 / 255, "norm": None if natural else "linf",
            "sample": np.arange(count), "label": label, "pred": pred, "energy": energy,
            "joint_energy": energy if joint is None else joint, "ce": 0.0, "entropy": 0.0, "prob_margin": 0.0,
            "logit_margin": 0.0, "status": "natural" if natural else "success",
        }
        | more
    )  # fmt: skip
