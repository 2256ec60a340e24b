"""Table 2a, a plot: WEAT keeps Delta E(x) = E(x) - E(x*) closer to zero than TRADES does.

Each line is the mean over training images under the training attack, natural minus adversarial, epoch by epoch;
robust overfitting is its fall at the end. "Lower Delta E" in the paper means closer to zero.
"""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from energylens import courses, roles
from energylens.claims import CANNOT_TELL, Claim, Verdict, above_zero
from energylens.plots import methods
from energylens.table import pairs

NEEDS = ("rivals", "rivals_end")
WIDTH = "half"
PAPER = {  # read off the published plot (CIFAR-100): at the start, the peak and its epoch, at epoch 100; nats
    "weat-nat": (0.005, 0.0125, 11, -0.022),
    "mail-trades": (0.005, 0.019, 6, -0.032),
    "trades": (0.005, 0.0155, 6, -0.044),
    "weat-adv": (0.0035, 0.0095, 11, -0.005),
}


def drifts(rivals_end: pd.DataFrame, role: str = roles.OWN) -> pd.DataFrame:
    """Delta E(x) of training images: one column an objective (mean over its runs), one row an image.

    NaN for an image that one of its runs lacks, or has NaN for.
    """
    both = roles.of(pairs(rivals_end), role)
    both = both[both["split"] == "train"]
    runs = both.pivot(index="sample", columns=["objective", "model"], values="delta_energy")
    return pd.DataFrame({name: runs[name].mean(axis=1, skipna=False) for name in both["objective"].unique()})


def _closer(near: str, far: str) -> Claim:
    names = methods.label(near), methods.label(far)
    text = f"{names[0]}'s |mean Delta E(x)| is under {names[1]}'s"

    def claim(rivals: pd.DataFrame, rivals_end: pd.DataFrame) -> Verdict:
        del rivals
        own = drifts(rivals_end)
        if lacking := [methods.label(name) for name in (near, far) if name not in own]:
            return Verdict(text, CANNOT_TELL, detail=f"the table has no {' and no '.join(lacking)} on training images")
        ends = [rivals_end.loc[rivals_end["objective"] == name, "epoch"].unique() for name in (near, far)]
        if len({*ends[0], *ends[1]}) > 1:
            told = zip(names, (", ".join(map(str, sorted(epochs))) for epochs in ends), strict=True)
            detail = f"measured after different epochs: {' and '.join(f'{name} at {epoch}' for name, epoch in told)}"
            return Verdict(text, CANNOT_TELL, detail=detail)
        both = own[[near, far]].dropna()
        a, b = both.to_numpy(float).T
        means = ", ".join(f"{name} {mean:+.4f}" for name, mean in zip(names, both.mean(), strict=True))
        runs = courses.trainings(rivals_end[rivals_end["objective"].isin([near, far])], ["objective"])
        detail = f"difference in nats, bootstrap over images, {runs}; {means}"
        detail += _common(drifts(rivals_end, roles.COMMON), near, far)
        return above_zero(text, lambda rows: abs(b[rows].mean()) - abs(a[rows].mean()), len(a), detail)

    claim.__doc__ = f"""|mean Delta E(x)| of {far} minus that of {near}: last epoch, the same training images.

    Each under its own training attack. It holds (fails) when the whole 95 % bootstrap interval lies above (below) 0;
    over images, so it says nothing about other seeds of training. Runs that end at different epochs cannot tell.
    """
    return claim


def _common(common: pd.DataFrame, near: str, far: str) -> str:
    if not {near, far} <= set(common):
        return ""
    a, b = common[[near, far]].dropna().mean()
    return f"; under PGD-20 the difference is {abs(b) - abs(a):+.4f}"


CLAIMS = (
    _closer("weat-adv", "trades"), _closer("weat-nat", "trades"), _closer("weat-adv", "mail-trades"),
    _closer("weat-nat", "mail-trades"),
)  # fmt: skip


def draw(rivals: pd.DataFrame, rivals_end: pd.DataFrame) -> Figure:
    """One line an objective, the paper's colours, and a line at zero."""
    del rivals_end
    width, _ = plt.rcParams["figure.figsize"]
    figure, ax = plt.subplots(figsize=(width, 0.95 * width))
    ax.axhline(0, color="grey", linestyle="--", linewidth=0.5)
    names = rivals["objective"].unique()
    for name in [*(name for name in PAPER if name in names), *(name for name in names if name not in PAPER)]:
        drift = courses.of(rivals, name, "delta_energy")
        ax.plot(drift.index, drift, color=methods.colour(name), label=methods.label(name))
    ax.set(xlabel="epoch", ylabel=r"mean $\Delta E_\theta(x)$, training images [nats]")
    shown = courses.shown(rivals[rivals["split"] == "train"])
    ax.set_title(f"{shown},\neach under its training attack".replace("$", r"\$"), fontsize=5)
    ax.legend()
    return figure
