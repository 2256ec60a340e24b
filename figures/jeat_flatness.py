r"""JEAT's thesis: adversarial training gives an energy that is flat and low around real data.

Each line is the mean over test images of E(x + r u) - E(x) against r, along one direction u: random signs, the sign of
the gradient of CE (FGSM), towards PGD-20's point. All three are as long in Linf. Bands are the middle half of the
images. Below, the same in spreads, standard deviations of the network's own E(x) over the images: logits of twice the
size have twice the energies and are no less flat, so flatness is compared by these alone. The level E(x) itself has no
zero; its mean and spread stand in the legend, and `low` means that E rises away from the images.

Thesis: Zhu et al. 2021 (arXiv:2108.09093), abstract; the three directions are our reading, and JEAT's networks our
reconstruction. The rules of the claims were written before their numbers were seen.
"""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from energylens import attacks, families
from energylens.attacks import ray
from energylens.claims import CANNOT_TELL, FAILS, HOLDS, LEVEL, Verdict
from energylens.effects import FEWEST
from energylens.errors import UserError
from energylens.plots import chains, curves, style
from energylens.table import pairs

NEEDS = ("flatness",)
WIDTH = "full"
PAPER = {}  # JEAT's own plot of energies was not at hand
TITLES = {"random": "random direction", "fgsm": "FGSM's direction", "pgd": "PGD's direction"}


def lines(flatness: pd.DataFrame) -> pd.DataFrame:
    """One row a network, direction, image and point: `r` in eps, `rise` = E(x + r u) - E(x) in nats and in `spreads`.

    Raises:
        UserError: the table has no rays of several steps.
    """
    both = pairs(flatness)
    rows = both[both["attack"].isin(attacks.of_kind(both["attack"].unique(), "ray"))]
    if "step" not in rows or rows.empty:
        raise UserError("the table has no rays, step by step; measure ray:times=2:steps=8 with --record steps")
    read = {name: ray.settings(str(name)) for name in rows["attack"].unique()}
    steps = rows.groupby("attack", observed=True)["step"].max()
    share = rows["step"] / rows["attack"].map(steps).astype(float)
    spread = _levels(rows)["std"]
    made = rows.assign(
        direction=[read[name][0] for name in rows["attack"]],
        r=share * [read[name][1] for name in rows["attack"]],
        rise=-rows["delta_energy"],
    )
    return made.assign(spreads=made["rise"] / made["model"].map(spread).astype(float))


def _levels(rows: pd.DataFrame) -> pd.DataFrame:
    """`mean` and `std` of each network's E(x) over the images, nats; the latter is its spread."""
    images = rows.drop_duplicates(["model", "sample"])
    return images.groupby("model", observed=True)["energy_natural"].agg(["mean", "std"])


Change = Callable[[np.ndarray], np.ndarray]


class AtEps:
    """E(x) and E(x + eps u) - E(x) along one direction, of the images that every network has a number for."""

    def __init__(self, flatness: pd.DataFrame, direction: str):
        made = lines(flatness)
        rows = made[(made["direction"] == direction) & np.isclose(made["r"], 1)]
        wide = rows.pivot(index="sample", columns="model", values=["energy_natural", "rise"]).dropna()
        self.names = [str(name) for name in rows["model"].unique()]
        natural, rise = (wide[column][self.names].to_numpy(float) for column in ("energy_natural", "rise"))
        usable = np.isfinite(natural + rise).all(1)
        self.natural, self.rise = natural[usable], rise[usable]
        references = dict(rows.reindex(columns=["model", "model_ref"]).astype(object).to_numpy())
        self.trainers = [families.trainer(name, references[name]) for name in self.names]
        self.kinds = [families.kind(name, references[name]) for name in self.names]
        self.strangers = families.strangers(rows)

    def of_trainer(self, wanted: str) -> list[int]:
        """Places of the robust networks of a trainer, such as `sat`."""
        return [place for place in self.of_kind(families.ROBUST) if self.trainers[place] == wanted]

    def of_kind(self, wanted: str) -> list[int]:
        """Places of the networks of a kind; the robust ones are adversarially trained."""
        return [place for place, kind in enumerate(self.kinds) if kind == wanted]

    def spreads(self, rows: np.ndarray, change: Change) -> np.ndarray:
        """Per network the mean of a change in the standard deviations of its own E(x), both of these images."""
        return change(self.rise[rows]).mean(0) / self.natural[rows].std(0, ddof=1)

    def told(self, change: Change) -> str:
        """Each network's number, and in brackets the same in nats; which networks are left out."""
        spreads, nats = self.spreads(np.arange(len(self.rise)), change), change(self.rise).mean(0)
        each = zip(self.names, spreads, nats, strict=True)
        numbers = ", ".join(f"{name} {one:.2f} ({other:.2f} nats)" for name, one, other in each)
        return "; ".join(filter(None, [numbers, self.strangers]))


def _lacking(found: AtEps, *groups: Iterable[int]) -> str:
    """Why a claim cannot be decided; empty where it can."""
    if not all(groups):
        named = f"the table has {', '.join(found.names) or 'no point at r = eps'} alone"
        return "; ".join(filter(None, [named, found.strangers]))
    return "" if len(found.rise) >= FEWEST else f"{len(found.rise)} images; {FEWEST} are the fewest"


def all_above_zero(claim: str, statistics: Callable[[np.ndarray], np.ndarray], n: int, detail: str) -> Verdict:
    """Is each of several statistics of the same images above zero? By the bootstrap over images (2,000 draws).

    Holds when the 95 % interval of each lies above zero. Fails when that of one lies below zero, widened for their
    number (Bonferroni), so that chance alone makes it fail in 1 of 40 tables at most, however many networks there are.
    The number is the least of them, with the interval that decided.

    Args:
        claim: in one sentence.
        statistics: rows of the images [n] -> [K].
        n: images.
        detail: what the numbers are.
    """
    rng = np.random.default_rng(0)
    draws = np.array([statistics(rng.integers(n, size=n)) for _ in range(2000)])
    made = statistics(np.arange(n))
    (low, high), (widest_low, widest_high) = (
        np.quantile(draws, [level / 2, 1 - level / 2], axis=0) for level in (LEVEL, LEVEL / len(made))
    )
    least = int(made.argmin())
    if (low > 0).all():
        return Verdict(claim, HOLDS, float(made[least]), (float(low[least]), float(high[least])), n, detail)
    outcome = FAILS if (widest_high < 0).any() else CANNOT_TELL
    return Verdict(claim, outcome, float(made[least]), (float(widest_low[least]), float(widest_high[least])), n, detail)


def _flatter(claim: str, found: AtEps, steep: list[int], flat: list[int]) -> Verdict:
    """Is each of `steep` less flat than each of `flat`?"""
    if reason := _lacking(found, steep, flat):
        return Verdict(claim, CANNOT_TELL, detail=reason)

    def differences(rows: np.ndarray) -> np.ndarray:
        moved = found.spreads(rows, np.abs)
        return np.subtract.outer(moved[steep], moved[flat]).ravel()

    detail = f"least difference of mean |E(x + eps u) - E(x)| in spreads of E(x); {found.told(np.abs)}"
    return all_above_zero(claim, differences, len(found.rise), detail)


def flatter_than_standard(direction: str) -> Callable[[pd.DataFrame], Verdict]:
    """The claim of one direction."""

    def claim(flatness: pd.DataFrame) -> Verdict:
        """Mean |E(x + eps u) - E(x)| in spreads: the standard network's minus that of each adversarially trained one.

        A spread is the standard deviation of the network's own E(x) over the same images; which networks are standard
        and which robust is told by `families`. Holds when every difference's 95 % interval (paired bootstrap over
        images, means and spreads drawn anew) lies above 0, fails when one's lies below 0, widened for their number; it
        takes 20 images.
        """
        found = AtEps(flatness, direction)
        words = (
            f"adversarially trained networks are flatter than the standard one around real data, {TITLES[direction]}"
        )
        return _flatter(words, found, found.of_kind(families.STANDARD), found.of_kind(families.ROBUST))

    return claim


def jeat_flatter_than_sat(direction: str) -> Callable[[pd.DataFrame], Verdict]:
    """The claim of one direction."""

    def claim(flatness: pd.DataFrame) -> Verdict:
        """Mean |E(x + eps u) - E(x)| in spreads: SAT's minus JEAT's, decided as for the standard network."""
        found = AtEps(flatness, direction)
        words = f"JEAT is flatter than SAT around real data, {TITLES[direction]}"
        return _flatter(words, found, found.of_trainer("sat"), found.of_trainer("jeat"))

    return claim


def real_data_lie_low(flatness: pd.DataFrame) -> Verdict:
    """Mean E(x + eps u) - E(x) along random signs, in spreads, of each adversarially trained network.

    Holds when every network's 95 % interval (bootstrap over images) lies above 0: E rises around real data. Fails when
    one's lies below 0, widened for their number. It takes 20 images.
    """
    claim = "real data lie low: E rises away from them along random directions in every adversarially trained network"
    found = AtEps(flatness, "random")
    trained = found.of_kind(families.ROBUST)
    if reason := _lacking(found, trained):
        return Verdict(claim, CANNOT_TELL, detail=reason)

    def change(rise: np.ndarray) -> np.ndarray:
        return rise

    detail = f"least mean E(x + eps u) - E(x) in spreads of E(x); {found.told(change)}"
    return all_above_zero(claim, lambda rows: found.spreads(rows, change)[trained], len(found.rise), detail)


CLAIMS = (
    *map(flatter_than_standard, TITLES),
    *map(jeat_flatter_than_sat, TITLES),
    real_data_lie_low,
)


def draw(flatness: pd.DataFrame) -> Figure:
    """A column a direction, nats above and spreads below; one line a network.

    Raises:
        UserError: the table has no rays of several steps.
    """
    made = lines(flatness)
    directions = [name for name in TITLES if name in set(made["direction"])]
    width, _ = plt.rcParams["figure.figsize"]
    figure, axes = plt.subplots(
        2, len(directions), sharex=True, sharey="row", squeeze=False, figsize=(width, 0.75 * width)
    )
    for column, direction in enumerate(directions):
        for ax, values in zip(axes[:, column], ("rise", "spreads"), strict=True):
            _panel(ax, made[made["direction"] == direction], values)
        axes[0, column].set_title(TITLES[direction])
        axes[1, column].set_xlabel(f"$r$ / eps (eps = {style.radius(float(made['eps'].iloc[0]))})")
    axes[0, 0].set_ylabel(r"$E_\theta(x + r u) - E_\theta(x)$ [nats]")
    axes[1, 0].set_ylabel("the same [spreads]")
    _legend(figure, axes[0, 0], made)
    return figure


def _panel(ax, rows: pd.DataFrame, values: str) -> None:
    colours = chains.colours(map(str, rows["model"].unique()))
    for model, own in rows.groupby("model", observed=True):
        curves.mean_and_band(ax, own, "r", values, str(model), colours[str(model)])
    ax.axhline(0, color="grey", linewidth=0.5, zorder=0)
    ax.axvline(1, color="grey", linestyle="--", linewidth=0.5, zorder=0)
    ax.margins(x=0)


def _legend(figure: Figure, ax, made: pd.DataFrame) -> None:
    """Networks with the mean and spread of their E(x), and over how many images."""
    handles, names = ax.get_legend_handles_labels()
    told = [
        f"{name}: {mean:.2f} ± {std:.2f}".replace("-", "−")
        for name, (mean, std) in zip(names, _levels(made).to_numpy(), strict=True)
    ]
    first = made.iloc[0]
    images = f"{made['sample'].nunique():,} images of {first['data']}:{first['split']}".replace("$", r"\$")
    title = rf"mean $E_\theta(x)$ ± its spread over {images} [nats]"
    figure.legend(handles, told, title=title, title_fontsize=6, loc="outside upper center", ncols=min(3, len(told)))
