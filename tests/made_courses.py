"""Made energies of trainings, as the figures of trainings get them: rows of images, and means of epochs."""

import numpy as np
import pandas as pd

from energylens.epochs import MEANS


def images(objective: str, epoch: int, energy, energy_adv=None, **more) -> pd.DataFrame:
    """One run at one epoch: natural images and, beside them, those under an attack.

    Args:
        objective: of the run, which is called demo-OBJECTIVE-1.
        epoch: epochs of training behind it.
        energy: [N] E(x) of the natural images.
        energy_adv: [N] E(x*); as natural if None.
        more: `joint`, `joint_adv` ([N] E(x, y); E(x) if not given, which is a cross-entropy of 0), `right`,
            `right_adv` ([N] whether pred == label; all if not given), `labels`, `role`, `split`, and any other column,
            the same for all rows.
    """
    n = len(energy)
    energy_adv = energy if energy_adv is None else energy_adv
    given = {"joint": energy, "joint_adv": energy_adv, "right": np.ones(n, bool), "right_adv": np.ones(n, bool)}
    given |= {"labels": np.zeros(n, int), "role": "own", "split": "train"}
    given |= {name: more.pop(name) for name in list(more) if name in given}
    sides = [("natural", "natural", energy, given["joint"], given["right"])]
    sides += [(given["role"], f"pgd-{given['role']}", energy_adv, given["joint_adv"], given["right_adv"])]
    frames = []
    for role, attack, e, joint, right in sides:
        label = np.asarray(given["labels"])
        e, joint = np.asarray(e, float), np.asarray(joint, float)
        columns = {
            "model": f"demo-{objective}-1", "attack": attack, "role": role, "objective": objective, "train_seed": 1,
            "subset": None, "subset_mode": None, "model_sha": f"{objective}{epoch}", "data": "digits",
            "split": given["split"], "epoch": epoch, "eps": None if role == "natural" else 0.2,
            "sample": np.arange(n), "label": label, "pred": np.where(right, label, label + 1),
            "energy": e, "joint_energy": joint, "ce": joint - e, "entropy": 0.0, "prob_margin": 0.0,
            "logit_margin": 0.0, "kl_conditional": 0.0, "kl_marginal": np.asarray(energy, float) - e,
        }  # fmt: skip
        frames.append(pd.DataFrame(columns | more))
    return pd.concat(frames, ignore_index=True)


def means(objective: str, epochs, role: str = "own", split: str = "train", **columns) -> pd.DataFrame:
    """The course of one run: a row an epoch, 0 where a column is not given."""
    epochs = np.asarray(epochs)
    about = {"model": f"demo-{objective}-1", "split": split, "attack": f"pgd-{role}", "epoch": epochs, "n": 100}
    made = pd.DataFrame({name: 0.0 for name in MEANS} | about | columns)
    return made.assign(objective=objective, train_seed=1, role=role, subset=None, subset_mode=None, eps=0.2)
