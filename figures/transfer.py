"""Class-wise transfer: how robust classes are that were never attacked in training, against their energy.

SAT attacks a part of the classes alone, the others are trained on as they are. Each filled point is a class that was
not attacked: the share of its test images still right under PGD-20 (of several runs the mean; small points are the
runs), of those images that all runs have. The open point above or below is the same class in ordinary SAT. The
horizontal axis is the class's mean natural E(x) on training images, in ordinary SAT. Numbers on top are labels.

Losch et al. 2024 find that robustness transfers to images and classes that were not attacked, and better from hard
ones (of high entropy); the paper explains it by energy: hard images are those of high E(x). The reading here, which is
ours: high-energy classes are those that need the attack. Not attacked, they are the least robust (claim 1) and lose
the most (claim 2). That they give the others more where they are attacked is not asked: two halves of the classes are
one comparison, and two of these decide nothing. Where classes never attacked keep less than 5 % of their images under
PGD-20 in the mean, no claim is decided: what they lose is then what ordinary SAT has.
"""

from dataclasses import replace

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from energylens import courses, roles
from energylens.claims import CANNOT_TELL, CLASSES, Verdict, falls_with
from energylens.errors import UserError
from energylens.plots import methods
from energylens.schema import NATURAL

NEEDS = ("transfer",)
WIDTH = "half"
PAPER = {}  # not in the paper, which cites Losch et al. for it
KIND = "classes:"
MOST = 20
"""classes whose labels can be read"""
FLOOR = 0.05
"""where classes never attacked keep less than this under PGD-20, in the mean, there is no transfer to explain"""
BASELINE, NEVER = "#7b4fa3", "#d62728"


def _runs(transfer: pd.DataFrame) -> pd.DataFrame:
    """SAT's runs, or those of the first objective of the table where SAT has none, after their last epoch."""
    objectives = list(dict.fromkeys(transfer["objective"]))
    rows = transfer[transfer["objective"] == ("sat" if "sat" in objectives else objectives[0])]
    return courses.ended(rows)


def shares(transfer: pd.DataFrame) -> pd.DataFrame:
    """Shares of test images that are right under PGD-20: a row a run and class, `attacked` whether in training.

    Of the test images that all these runs have: one may have measured more of them than another.
    """
    rows = roles.of(_runs(transfer), roles.COMMON)
    classes = rows["subset"].astype(object).str.startswith(KIND, na=False) & (rows["subset_mode"] == "unperturbed")
    rows = _shared(rows[(rows["split"] == "test") & (rows["subset"].isna() | classes)])
    rows = rows.assign(model=rows["model"].astype(str), subset=rows["subset"].astype(object).fillna(""))
    right = rows.assign(accuracy=rows["pred"] == rows["label"])
    made = right.groupby(["model", "subset", "label"])["accuracy"].mean().reset_index()
    spared = [
        str(label) in subset.removeprefix(KIND).split(",")
        for subset, label in zip(made["subset"], made["label"], strict=True)
    ]
    return made.assign(attacked=[not one for one in spared])


def _shared(rows: pd.DataFrame) -> pd.DataFrame:
    runs = rows["model"].astype(str)
    return rows[runs.groupby(rows["sample"]).transform("nunique") == runs.nunique()]


def energies(transfer: pd.DataFrame) -> pd.Series:
    """Mean natural E(x) of each class on training images in the runs that attack all classes, nats; by label."""
    rows = _runs(transfer)
    rows = rows[(rows["role"] == NATURAL) & (rows["split"] == "train") & rows["subset"].isna()]
    return rows.groupby("label")["energy"].mean()


def classes(transfer: pd.DataFrame) -> pd.DataFrame:
    """One row a class that some run never attacked: `energy`, and as shares `never` and `baseline`, by label."""
    made = shares(transfer)
    never = made[~made["attacked"]].groupby("label")["accuracy"].mean()
    baseline = made[made["subset"] == ""].groupby("label")["accuracy"].mean()
    columns = {"energy": energies(transfer), "never": never, "baseline": baseline}
    return pd.DataFrame(columns).dropna(subset=["never"])


def missing(transfer: pd.DataFrame) -> str:
    """Which kind of run the table lacks; empty where it has both."""
    subsets = set(shares(transfer)["subset"])
    lacking = [] if "" in subsets else ["without --subset"]
    lacking += [] if subsets - {""} else ["with --subset classes:0,1,2 --subset-mode unperturbed"]
    return f"the table has no run {' and none '.join(lacking)}" if lacking else ""


def undecidable(transfer: pd.DataFrame) -> str:
    """Why no claim can be decided: runs are missing, or next to no robustness reaches classes never attacked."""
    if lacking := missing(transfer):
        return lacking
    kept = classes(transfer)["never"].mean()
    return f"next to no robustness reaches classes never attacked: {kept:.3f} in the mean" if kept < FLOOR else ""


def _falls(claim: str, made: pd.DataFrame, effect: pd.Series, detail: str) -> Verdict:
    verdict = falls_with(claim, made["energy"], effect, CLASSES)
    return verdict if verdict.n == 0 else replace(verdict, detail=f"{verdict.detail}; {detail}")


def spared_classes_are_less_robust_at_high_energy(transfer: pd.DataFrame) -> Verdict:
    """Accuracy under PGD-20 of classes that were never attacked, against their mean E(x): expected to fall.

    Holds (fails) when the rank correlation over classes is below (above) 0 with permutation p < 0.05; it takes five
    classes.
    """
    claim = "of classes never attacked, those of high E(x) are the least robust"
    if reason := undecidable(transfer):
        return Verdict(claim, CANNOT_TELL, detail=reason)
    made = classes(transfer)
    usual = falls_with(claim, made["energy"], made["baseline"])
    return _falls(claim, made, made["never"], f"in ordinary SAT the same correlation is {usual.number:+.3f}")


def high_energy_classes_lose_the_most(transfer: pd.DataFrame) -> Verdict:
    """Accuracy under PGD-20 of a class never attacked minus its own in ordinary SAT, against its mean E(x).

    Expected to fall. Holds (fails) when the rank correlation over classes is below (above) 0 with permutation
    p < 0.05; it takes five classes. A class that has little robustness to lose cannot lose much: see claim 1.
    """
    claim = "classes of high E(x) lose the most when they are not attacked"
    if reason := undecidable(transfer):
        return Verdict(claim, CANNOT_TELL, detail=reason)
    made = classes(transfer)
    lost = (made["never"] - made["baseline"]).round(9)  # equal shares are ties, whatever their rounding
    return _falls(claim, made, lost, f"mean change {lost.mean():+.3f}")


CLAIMS = (spared_classes_are_less_robust_at_high_energy, high_energy_classes_lose_the_most)


def draw(transfer: pd.DataFrame) -> Figure:
    """One filled and one open point a class.

    Raises:
        UserError: the table has no run of all classes, or none of a part of them.
    """
    if lacking := missing(transfer):
        raise UserError(f"transfer cannot be drawn: {lacking}; give one")
    made, each = classes(transfer), shares(transfer)
    width, _ = plt.rcParams["figure.figsize"]
    figure, ax = plt.subplots(figsize=(width, width))
    ax.vlines(made["energy"], 100 * made["never"], 100 * made["baseline"], color="#bbbbbb", linewidth=0.6, zorder=0)
    usual = methods.label(str(_runs(transfer)["objective"].iloc[0]))
    ax.plot(
        made["energy"], 100 * made["baseline"], "o", ms=4, mfc="white", mec=BASELINE, label=f"attacked, as in {usual}"
    )
    runs = each[~each["attacked"]]
    if len(runs) > len(made):
        ax.plot(runs["label"].map(made["energy"]), 100 * runs["accuracy"], ".", ms=2, color=NEVER, alpha=0.5)
    ax.plot(made["energy"], 100 * made["never"], "o", ms=4, mew=0, color=NEVER, label="never attacked")
    order = made["energy"].sort_values()
    for rank, (label, energy) in enumerate(order.items() if len(order) <= MOST else ()):
        above = (0, 1 + 6 * (rank % 3))  # points: three heights keep classes of near energies apart
        top = ax.get_xaxis_transform()
        ax.annotate(str(label), (energy, 1), above, top, "offset points", ha="center", va="bottom", fontsize=5.5)
    ax.set(xlabel=r"mean natural $E_\theta(x)$ of the class [nats]", ylabel="accuracy, PGD-20, test [%]")
    figure.legend(loc="outside upper center", ncols=2, handletextpad=0.2, columnspacing=1.0)
    return figure
