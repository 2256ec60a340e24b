"""Figure 5d: error rate, entropy and energy of each class, side by side.

Means over training images of a class, classes in the order of their error rate 1 - p(y|x). One column a network:
SAT's, and a standard one for comparison.
"""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from energylens import class_names, classes
from energylens.claims import CANNOT_TELL, Claim, Verdict, spearman
from energylens.correlations import rises_over_classes

NEEDS = ("class_energies",)
WIDTH = "full"
PAPER = {}  # the paper prints no numbers for this figure
SHOWN = {"error": r"error $1 - p(y|x)$", "entropy": "entropy [nats]", "energy": r"$E_\theta(x)$ [nats]"}
MOST_NUMBERS = 20
"""of classes, whose numbers fit under a panel"""


def networks(class_energies: pd.DataFrame) -> list[str]:
    """Their names, in the table's order."""
    return [str(name) for name in class_energies["model"].unique()]


def _rises(measure: str, shown: str, place: int) -> Claim:
    def claim(class_energies: pd.DataFrame) -> Verdict:
        there = networks(class_energies)
        text = f"classes of higher error have higher {shown}"
        if place >= len(there):
            return Verdict(text, CANNOT_TELL, detail=f"the table has {len(there)} of the 2 networks")
        natural, attacked = (classes.means(class_energies, there[place], side) for side in (True, False))
        detail = f"; Spearman under the attack {_with_error(attacked, measure):+.2f}" if len(attacked) else ""
        return rises_over_classes(f"{text} ({there[place]})", natural["error"], natural[measure], detail)

    which = ("first", "second")[place]
    claim.__doc__ = f"""Rank correlation of error and {measure} over classes, natural images of the {which} network.

    Holds (fails) when it is positive (negative) and its two-sided permutation p is below 5 %.
    """
    return claim


def _with_error(of_classes: pd.DataFrame, measure: str) -> float:
    return spearman(of_classes["error"].to_numpy(), of_classes[measure].to_numpy())


CLAIMS = tuple(
    _rises(measure, shown, place) for place in (0, 1) for measure, shown in (("entropy", "entropy"), ("energy", "E(x)"))
)


def draw(class_energies: pd.DataFrame) -> Figure:
    """Three rows of panels, one column a network."""
    there = networks(class_energies)
    width, _ = plt.rcParams["figure.figsize"]
    figure, axes = plt.subplots(3, len(there), figsize=(width, 0.8 * width), sharex="col", squeeze=False)
    for column, model in zip(axes.T, there, strict=True):
        _network(column, class_energies[class_energies["model"] == model], model)
    for ax, label in zip(axes[:, 0], SHOWN.values(), strict=True):
        ax.set_ylabel(label)
    figure.align_ylabels(axes[:, 0])
    first, images = class_energies.iloc[0], class_energies["sample"].nunique()
    title = f"means over {images:,} natural images of {first['data']}:{first['split']}"
    figure.suptitle(title.replace("$", r"\$"), fontsize="medium")
    return figure


def _network(column: np.ndarray, rows: pd.DataFrame, model: str) -> None:
    found = classes.means(rows, model).sort_values("error")
    for ax, measure in zip(column, SHOWN, strict=True):
        ax.plot(range(len(found)), found[measure], "o-", markersize=2.5)
        ax.margins(y=0.15)
    for ax, measure in zip(column[1:], ("entropy", "energy"), strict=True):
        ax.set_title(f"rank correlation with the error {_with_error(found, measure):+.2f}".replace("-", "−"))
    column[0].set_title(model.replace("$", r"\$"), fontweight="bold")
    _name_classes(column[-1], str(rows["data"].iloc[0]), list(found.index))


def _name_classes(ax, data: str, labels: list[int]) -> None:
    """Their names where they are known, their numbers where there is room for them."""
    if data in class_names.NAMES:
        ax.set_xticks(range(len(labels)), [class_names.name(data, label) for label in labels], rotation=45, ha="right")
    elif len(labels) <= MOST_NUMBERS:
        ax.set_xticks(range(len(labels)), [str(label) for label in labels])
    else:
        ax.set_xticks([])
    ax.set_xlabel("classes, by error")
