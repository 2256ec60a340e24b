"""How a network was trained, as far as its display name and its reference tell: claims choose networks by this.

Standard: its trainer is `standard`, its reference has the word `Standard` (RobustBench's), or its name the part `std`.
Robust: any other trainer, JEAT's too, or another network of RobustBench's norms Linf and L2. Of all other networks
nothing is known: claims about robust networks leave them out and name them. No torch.
"""

import re

import pandas as pd

from energylens.intensity import objective
from energylens.plots import methods

STANDARD, ROBUST, UNKNOWN = "standard classifier", "robust classifier", "classifier"


def trainer(model: str, reference: object = None) -> str:
    """The key of `methods.LABELS` that a name begins with, as a whole word, else one that its reference does; or "".

    `SAT`, `SAT, half eps`, `Ours SAT` and `mine` of `runs/sat-cifar10-resnet18-1/last.safetensors` are `sat`;
    `preJEAT` is what its reference says.

    Args:
        model: display name.
        reference: as `references.public` writes it; None or NaN for images from elsewhere.
    """
    for told in (model, reference):
        name = objective(told).removeprefix("ours ") if isinstance(told, str) else ""
        for key in methods.LABELS:
            if re.match(rf"{key}(?![a-z0-9])", name):
                return key
    return ""


def kind(model: str, reference: object = None) -> str:
    """`STANDARD`, `ROBUST` or `UNKNOWN`."""
    text = reference if isinstance(reference, str) else ""
    made_by = trainer(model, reference)
    if made_by == "standard" or "Standard" in text or "std" in re.split(r"[^a-z]+", model.lower()):
        return STANDARD
    return ROBUST if made_by or re.match(r"robustbench:.*/(Linf|L2)/", text) else UNKNOWN


def kinds(frame: pd.DataFrame) -> dict[str, str]:
    """Display name -> kind, of each network of a table with `model` and, where there is one, `model_ref`."""
    told = frame.reindex(columns=["model", "model_ref"]).drop_duplicates("model")
    return {str(model): kind(str(model), reference) for model, reference in told.to_numpy()}


def strangers(frame: pd.DataFrame) -> str:
    """`left out, nothing tells how they were trained: a, b`; empty where all networks are known."""
    unknown = [model for model, one in kinds(frame).items() if one == UNKNOWN]
    return f"left out, nothing tells how they were trained: {', '.join(unknown)}" if unknown else ""
