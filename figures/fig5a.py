"""Figure 5a: which training images an attack is worth most on: those of high energy as much as the misclassified ones.

Robust error on test images after each epoch, of SAT and of SAT with a part of its training images left unperturbed
(the paper's caption) or removed (as its text may be read): those that a first SAT network gets wrong, and as many that
it gets right, of highest and of lowest E(x). In brackets how many these are. Of several seeds the line is the mean,
the band goes from the lowest to the highest. Where images are removed, epochs have fewer steps.

The intervals of the claims are over images of the same trainings, mostly one each: what another seed of training would
change is not in them, and a harm that holds is one of these networks.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from energylens import courses, roles
from energylens.claims import CANNOT_TELL, FAILS, HOLDS, Verdict, above_zero, bootstrap
from energylens.effects import FEWEST, auroc, decided
from energylens.plots import methods
from energylens.schema import NATURAL

NEEDS = ("subsets", "subsets_end", "subsets_start")
WIDTH = "full"
PAPER = {}  # the paper prints no numbers for this figure; the sizes of its subsets stand in a supplement
SHOWN = {
    "misclassified": ("misclassified", "#d62728"),
    "high": (r"highest $E_\theta(x)$", "#ff7f0e"),
    "low": (r"lowest $E_\theta(x)$", "#1f77b4"),
}
"""subset -> its name in the legend, its colour"""
MODES = {"unperturbed": "left unperturbed", "removed": "removed"}
MARGIN = 0.05
"""two harms are alike when they differ by less than this, as a share of the test images"""
FEW = 5
"""misclassified images that an AUROC takes"""


def of(frame: pd.DataFrame, subset: str | None, mode: str | None = None) -> pd.DataFrame:
    """The rows of SAT with this subset; without any for None."""
    frame = frame[frame["objective"] == "sat"]
    if subset is None:
        return frame[frame["subset"].isna()]
    return frame[(frame["subset"] == subset) & (frame["subset_mode"] == mode)]


def errors(subsets_end: pd.DataFrame, subset: str | None, mode: str | None = None) -> pd.Series:
    """Of each test image, the share of the runs that are wrong under PGD-20 after their last epoch; by sample."""
    rows = _last(subsets_end, subset, mode)
    return (rows["pred"] != rows["label"]).groupby(rows["sample"]).mean()


def _last(subsets_end: pd.DataFrame, subset: str | None, mode: str | None) -> pd.DataFrame:
    rows = courses.ended(of(roles.of(subsets_end, roles.COMMON), subset, mode))
    return rows[rows["split"] == "test"]


def _over(subsets_end: pd.DataFrame, wanted: list[tuple[str | None, str | None]]) -> str:
    """What an interval is over, such as `bootstrap over images, one training each`."""
    used = pd.concat([_last(subsets_end, *one) for one in wanted])
    return f"bootstrap over images, {courses.trainings(used, ['subset', 'subset_mode'])}"


def misclassified_have_higher_energy(
    subsets: pd.DataFrame, subsets_end: pd.DataFrame, subsets_start: pd.DataFrame
) -> Verdict:
    """AUROC of E(x) for "misclassified", natural training images of SAT's last epoch; of several seeds their mean.

    Holds (fails) when the whole 95 % bootstrap interval over images lies above (below) 0.5. It takes 20 images, 5 of
    them misclassified and 5 right, in every run.
    """
    claim = "misclassified training images have higher E(x) than the others"
    rows = of(subsets_start, None)
    rows = rows[(rows["role"] == NATURAL) & (rows["split"] == "train") & rows["energy"].notna()]
    rows = courses.ended(rows)
    rows = rows.assign(model=rows["model"].astype(str), wrong=(rows["pred"] != rows["label"]).astype(float))
    both = rows.pivot(index="sample", columns="model", values=["energy", "wrong"]).dropna()
    counts = both["wrong"].sum() if len(both) else pd.Series([0])
    if len(both) < FEWEST or counts.min() < FEW or (len(both) - counts).min() < FEW:
        detail = f"{len(both)} images, {int(counts.min())} misclassified; {FEWEST} and {FEW} are the fewest"
        return Verdict(claim, CANNOT_TELL, detail=detail)
    energy, wrong = both["energy"].to_numpy(float).T, both["wrong"].to_numpy(bool).T

    def statistic(at: np.ndarray) -> float:
        return float(np.mean([_higher(e[at], w[at]) for e, w in zip(energy, wrong, strict=True)]))

    low, high = bootstrap(statistic, len(both))
    outcome = HOLDS if low > 0.5 else FAILS if high < 0.5 else CANNOT_TELL
    runs = f"means of {len(counts)} trainings" if len(counts) > 1 else "one training"
    detail = f"AUROC of E(x), bootstrap over images; {counts.mean():.0f} of them misclassified, {runs}"
    return Verdict(claim, outcome, statistic(np.arange(len(both))), (low, high), len(both), detail)


def _higher(energy: np.ndarray, wrong: np.ndarray) -> float:
    """Chance that a misclassified image has a higher energy than another one; 0.5 where there are none of a kind."""
    if wrong.all() or not wrong.any():
        return 0.5
    return auroc(energy[wrong], energy[~wrong])


def _compared(claim: str, subsets_end: pd.DataFrame, wanted: list[tuple[str | None, str | None]]):
    """Errors of several groups of runs on the images that all have; a Verdict where one is missing."""
    found = {one: errors(subsets_end, *one) for one in wanted}
    missing = [f"SAT with subset {one[0]}, {one[1]}" if one[0] else "SAT" for one in wanted if found[one].empty]
    if missing:
        return Verdict(claim, CANNOT_TELL, detail=f"the table has no {' and no '.join(missing)}")
    both = pd.concat(list(found.values()), axis=1, keys=range(len(wanted))).dropna()
    return [both[place].to_numpy(float) for place in range(len(wanted))]


def _above(text: str, subsets_end: pd.DataFrame, wanted: list[tuple[str | None, str | None]], whose: str) -> Verdict:
    """Is the error of the first group of runs above that of the second? Same test images, by the bootstrap."""
    made = _compared(text, subsets_end, wanted)
    if isinstance(made, Verdict):
        return made
    one, other = made
    detail = (
        f"test error under PGD-20 of {one.mean():.3f} minus {whose}{other.mean():.3f}, {_over(subsets_end, wanted)}"
    )
    return above_zero(text, lambda at: float((one - other)[at].mean()), len(other), detail)


def _harms(subset: str, mode: str) -> Callable[..., Verdict]:
    def claim(subsets: pd.DataFrame, subsets_end: pd.DataFrame, subsets_start: pd.DataFrame) -> Verdict:
        which = "high-energy" if subset == "high" else subset
        text = f"robustness suffers from {which} images {MODES[mode]}"
        return _above(text, subsets_end, [(subset, mode), (None, None)], "SAT's ")

    claim.__doc__ = (
        f"Error under PGD-20 with {subset} images {MODES[mode]} minus SAT's, after the last epoch, same test images: "
        "holds (fails) when the whole 95 % bootstrap interval lies above (below) 0."
    )
    return claim


def _high_harms_like_misclassified(mode: str) -> Callable[..., Verdict]:
    def claim(subsets: pd.DataFrame, subsets_end: pd.DataFrame, subsets_start: pd.DataFrame) -> Verdict:
        text = f"high-energy images {MODES[mode]} harm as much as misclassified ones"
        wanted = [("high", mode), ("misclassified", mode), (None, None)]
        made = _compared(text, subsets_end, wanted)
        if isinstance(made, Verdict):
            return made
        high, wrong, usual = made
        if len(usual) < FEWEST:
            return Verdict(text, CANNOT_TELL, detail=f"{len(usual)} images; {FEWEST} are the fewest")
        over = _over(subsets_end, wanted)
        harms = f"harms {(high - usual).mean():+.3f} and {(wrong - usual).mean():+.3f}"
        if bootstrap(lambda at: float((wrong - usual)[at].mean()), len(usual))[0] <= 0:
            return Verdict(text, CANNOT_TELL, detail=f"the misclassified ones are not seen to harm; {harms}, {over}")
        interval = bootstrap(lambda at: float((high - wrong)[at].mean()), len(usual))
        outcome = decided(*interval, -MARGIN, MARGIN)
        detail = f"difference of the two, alike within {MARGIN}; {harms}, {over}"
        return Verdict(text, outcome, float((high - wrong).mean()), interval, len(usual), detail)

    claim.__doc__ = (
        f"Error under PGD-20 with high-energy images {MODES[mode]} minus that with misclassified ones {MODES[mode]}: "
        f"holds (fails) when the whole 95 % bootstrap interval lies within (outside) -{MARGIN} to {MARGIN}. "
        "Cannot tell where the misclassified ones themselves are not seen to harm (interval of their harm above 0)."
    )
    return claim


def _high_harms_more_than_low(mode: str) -> Callable[..., Verdict]:
    def claim(subsets: pd.DataFrame, subsets_end: pd.DataFrame, subsets_start: pd.DataFrame) -> Verdict:
        text = f"high-energy images {MODES[mode]} harm more than low-energy ones"
        return _above(text, subsets_end, [("high", mode), ("low", mode)], "")

    claim.__doc__ = (
        f"Error under PGD-20 with high-energy images {MODES[mode]} minus that with low-energy ones {MODES[mode]}: "
        "holds (fails) when the whole 95 % bootstrap interval lies above (below) 0."
    )
    return claim


CLAIMS = (
    misclassified_have_higher_energy,
    *(_harms(subset, mode) for mode in MODES for subset in ("misclassified", "high")),
    *(_high_harms_like_misclassified(mode) for mode in MODES),
    *(_high_harms_more_than_low(mode) for mode in MODES),
)


def draw(subsets: pd.DataFrame, subsets_end: pd.DataFrame, subsets_start: pd.DataFrame) -> Figure:
    """A panel for each mode that the table has; SAT without a subset in all of them."""
    rows = roles.of(subsets, roles.COMMON)
    rows = rows[rows["split"] == "test"]
    modes = [mode for mode in MODES if (rows["subset_mode"] == mode).any()] or [""]
    figure, axes = plt.subplots(1, len(modes), sharex=True, sharey=True, squeeze=False)
    for ax, mode in zip(axes.flat, modes, strict=True):
        for subset in [None, *dict.fromkeys([*SHOWN, *rows["subset"].dropna()])]:
            _line(ax, rows, subset, mode)
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        ax.set(xlabel="epoch", title=f"subset {MODES[mode]}" if mode else "")
    axes[0, 0].set_ylabel("robust error, PGD-20, test [%]")
    handles = {text: line for ax in axes.flat for line, text in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4)
    return figure


def _line(ax: Axes, rows: pd.DataFrame, subset: str | None, mode: str) -> None:
    """One curve for each objective of the table."""
    chosen = rows["subset"].isna() if subset is None else (rows["subset"] == subset) & (rows["subset_mode"] == mode)
    several = rows["objective"].nunique() > 1
    for objective, runs in rows[chosen].groupby("objective", observed=True):
        trainer = methods.label(str(objective))
        text, colour = SHOWN.get(str(subset), (str(subset).replace(":", " "), "#7f7f7f"))
        if subset is None:
            text, colour = trainer, methods.colour(str(objective))
        elif several:
            text = f"{trainer}, {text}"
        error = 100 * (1 - runs["accuracy"]).groupby(runs["epoch"]).agg(["mean", "min", "max"])
        ax.fill_between(error.index, error["min"], error["max"], color=colour, alpha=0.2, linewidth=0)
        dashed = several and objective != "sat"
        ax.plot(error.index, error["mean"], "--" if dashed else "-", color=colour, label=text + _size(runs))


def _size(runs: pd.DataFrame) -> str:
    """How many images a subset holds, such as ` (31)`; nothing where the table does not say."""
    sizes = runs["subset_size"].dropna() if "subset_size" in runs else pd.Series(dtype=float)
    if sizes.empty:
        return ""
    low, high = int(sizes.min()), int(sizes.max())
    return f" ({low:,})" if low == high else f" ({low:,} to {high:,})"
