"""Figure 2: the energies of one non-robust network's images before and after every attack.

(a) E(x), (b) E(x, y) with the true class y; natural in light blue, attacked in red, the same bins for
both. Where an attack gave images back as they were, the black line shows the attacked ones without them.
Under each name: accuracy under the attack, and AUROC of low E(x) as a detector of it. The last panel is
the adaptive attack that keeps E(x*) at E(x): what such a detector is worth against somebody who knows it.
"""

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from energylens import attacks
from energylens.claims import CANNOT_TELL, Verdict, above_zero
from energylens.effects import auroc, blind, ks, overlap, share, shift, two_modes
from energylens.plots import histograms
from energylens.table import NATURAL, pairs

NEEDS = ("attack_energies",)
WIDTH = "wide"
ONE_NETWORK = True
PAPER = {  # read off the published figure, WRN-28-10 "Standard", nats: peaks of E(x*) and E(x*, y)
    "natural": (-14, -14), "pgd": (-28, 7), "pgd-kl": (-29, (-28, 7)), "apgd-ce": (-28, 8), "apgd-t": (-7, 6),
    "apgd-dlr": (-9, 5), "fab": (-9, -8), "square": (-8, -8), "cw": (-9, -7),
}  # fmt: skip
ADAPTIVE = "gammasearch"
"""in the name of the attack that keeps E(x)"""
UNMOVED = ("not_attacked", "clean_fallback")


def under(attack_energies: pd.DataFrame, kind: str) -> pd.DataFrame:
    """An attack's rows beside their natural images; empty if the table has no such attack."""
    names = attacks.of_kind(attack_energies["attack"].unique(), kind)
    return pairs(attack_energies[attack_energies["attack"].isin([NATURAL, *names])])


def _moves(kind: str, what: str, up: bool):
    column, shown = {"x": ("energy", "E(x)"), "xy": ("joint_energy", "E(x, y)")}[what]

    def claim(attack_energies: pd.DataFrame) -> Verdict:
        rows = under(attack_energies, kind)
        text = f"{attacks.label(kind)} {'raises' if up else 'lowers'} {shown}"
        return shift(text, rows[f"{column}_natural"].to_numpy(float), rows[column].to_numpy(float), up)

    claim.__doc__ = f"Where {kind} takes {shown}: the sign of the mean difference, by bootstrap over images."
    return claim


def _overlaps(kind: str):
    def claim(attack_energies: pd.DataFrame) -> Verdict:
        rows = under(attack_energies, kind)
        text = f"{attacks.label(kind)}'s E(x*) overlaps the natural E(x)"
        return overlap(text, rows["energy_natural"].to_numpy(float), rows["energy"].to_numpy(float))

    claim.__doc__ = f"KS distance of {kind}'s E(x*) to the natural E(x)."
    return claim


def kl_has_two_modes(attack_energies: pd.DataFrame) -> Verdict:
    """PGD-KL knows no label: it may sharpen the true class or leave it."""
    rows = under(attack_energies, "pgd-kl")
    lowered = (rows["joint_energy"] < rows["joint_energy_natural"]).to_numpy()
    detail = "share of images with E(x*, y) < E(x, y)"
    return two_modes("PGD-KL's E(x*, y) has two modes", rows["joint_energy"].to_numpy(float), lowered, detail)


def kl_leaves_thirty_percent(attack_energies: pd.DataFrame) -> Verdict:
    """Near: within ten points."""
    rows = under(attack_energies, "pgd-kl")
    right, detail = int((rows["pred"] == rows["label"]).sum()), "accuracy, near is 20 to 40 %"
    return share("PGD-KL leaves an accuracy near 30 %", right, len(rows), 0.2, 0.4, detail)


def apgd_t_lowers_its_target(attack_energies: pd.DataFrame) -> Verdict:
    """y_t is the wrong class that it reached."""
    rows = under(attack_energies, "apgd-t")
    rows = rows[rows["status"] == "success"]
    natural = attack_energies[attack_energies["attack"] == NATURAL].set_index("sample")["logits"]
    before = [-float(natural[sample][pred]) for sample, pred in zip(rows["sample"], rows["pred"], strict=True)]
    after = [-float(logits[pred]) for logits, pred in zip(rows["logits"], rows["pred"], strict=True)]
    return shift("APGD-T lowers E(x, y_t), y_t the class it reached", np.array(before), np.array(after), up=False)


def fab_is_like_a_targeted_attack(attack_energies: pd.DataFrame) -> Verdict:
    """KS distance of E(x*) to PGD's less that to APGD-T's, on the same images."""
    text = "FAB's E(x*) is nearer to APGD-T's than to PGD's"
    rows = {kind: under(attack_energies, kind).set_index("sample")["energy"] for kind in ("fab", "apgd-t", "pgd")}
    both = pd.concat(rows, axis=1).dropna()
    fab, targeted, plain = (both[kind].to_numpy(float) for kind in rows)

    def nearer(at: np.ndarray) -> float:
        return ks(fab[at], plain[at]) - ks(fab[at], targeted[at])

    return above_zero(text, nearer, len(both), "KS distance to PGD minus KS distance to APGD-T, bootstrap over images")


def cw_t_has_two_modes(attack_energies: pd.DataFrame) -> Verdict:
    """Those that it could move to their class, and those that it gave back."""
    rows = under(attack_energies, "cw-t")
    moved, detail = (rows["status"] == "success").to_numpy(), "share of images moved to their class"
    return two_modes("CW-T's E(x*, y) has two modes", rows["joint_energy"].to_numpy(float), moved, detail)


def bump_is_what_was_not_attacked(attack_energies: pd.DataFrame) -> Verdict:
    """APGD's points above the natural 5 % quantile of E(x) are mostly images that it gave back.

    Where more than 20 % of the images that it did move lie there too, there is no bump apart to explain.
    """
    text = "APGD's bump at natural energies is the images it did not attack"
    rows = under(attack_energies, "apgd-ce")
    bump = rows[rows["energy"] >= rows["energy_natural"].quantile(0.05)]
    left = int(bump["status"].isin(UNMOVED).sum())
    moved = (len(bump) - left) / max(1, int((~rows["status"].isin(UNMOVED)).sum()))
    if moved > 0.2:
        return Verdict(
            text, CANNOT_TELL, detail=f"no bump apart: {100 * moved:.0f} % of the moved images lie there too"
        )
    detail = "share of APGD's points above the natural 5 % quantile of E(x) that were left as they were"
    return share(text, left, len(bump), 0.5, 1.01, detail)


def an_adaptive_attack_blinds_the_detector(attack_energies: pd.DataFrame) -> Verdict:
    """AUROC of low E(x) under HE-PGD with gamma searched for each image; that under PGD beside it.

    Blind is an AUROC whose whole 95 % bootstrap interval lies within 0.4 to 0.6, under an attack that
    leaves fewer than half of the images right.
    """
    text = "an attack that keeps E(x) blinds the detector by E(x)"
    plain, adaptive = under(attack_energies, "pgd"), under(attack_energies, "he-pgd")
    adaptive = adaptive[adaptive["attack"].astype(str).str.contains(ADAPTIVE)]
    columns = {"natural": plain["energy_natural"], "pgd": plain["energy"], "kept": adaptive["energy"]}
    samples = (plain["sample"], plain["sample"], adaptive["sample"])
    series = [values.set_axis(at) for values, at in zip(columns.values(), samples, strict=True)]
    both = pd.concat(series, axis=1, keys=columns).dropna()
    right = (adaptive["pred"] == adaptive["label"]).mean()
    if len(both) < 2 or right > 0.5:
        return Verdict(text, CANNOT_TELL, detail="the table has no adaptive attack that breaks most of its images")
    seen = auroc(both["natural"].to_numpy(), both["pgd"].to_numpy())
    detail = f"AUROC under HE-PGD with gamma searched, which leaves {100 * right:.1f} % right; {seen:.3f} under PGD"
    return blind(text, both["natural"].to_numpy(), both["kept"].to_numpy(), detail)


CLAIMS = (
    _moves("pgd", "x", False), _moves("pgd", "xy", True), _moves("apgd-ce", "x", False), _moves("apgd-ce", "xy", True),
    _moves("pgd-kl", "x", False), kl_has_two_modes, kl_leaves_thirty_percent,
    _moves("apgd-t", "x", True), apgd_t_lowers_its_target, _moves("fab", "x", True), fab_is_like_a_targeted_attack,
    _overlaps("square"), _overlaps("cw"), _overlaps("apgd-dlr"), cw_t_has_two_modes,
    bump_is_what_was_not_attacked, an_adaptive_attack_blinds_the_detector,
)  # fmt: skip


def draw(attack_energies: pd.DataFrame) -> Figure:
    """Two blocks of panels, (a) E(x) and (b) E(x, y), one panel an attack."""
    names = [name for name in attack_energies["attack"].cat.categories if name != NATURAL]
    columns = -(-len(names) // 2)
    figure = plt.figure(figsize=(plt.rcParams["figure.figsize"][0], 8))
    blocks = figure.subfigures(2, 1, hspace=0.03)
    shown = {"energy": r"(a)  $E_\theta(x)$ [nats]", "joint_energy": r"(b)  $E_\theta(x, y)$ [nats]"}
    for block, (column, label) in zip(blocks, shown.items(), strict=True):
        axes = block.subplots(2, columns, sharex=True, sharey=True)
        block.supxlabel(label, fontsize=8)
        block.supylabel("# samples", fontsize=7)
        edges = histograms.edges(attack_energies[column], attack_energies["sample"].nunique())
        for ax, name in zip(axes.flat, names, strict=False):
            _panel(ax, under(attack_energies, attacks.kind(str(name))), column, edges, str(name))
        for ax in axes.flat[len(names) :]:
            ax.set_axis_off()
    first = attack_energies.iloc[0]
    images = f"{first['model']}, {attack_energies['sample'].nunique()} images of {first['data']}:{first['split']}"
    title = f"{images}; acc: images still right; AUROC: of low E(x) as a detector".replace("$", r"\$")
    figure.legend(handles=histograms.legend(), loc="outside upper center", ncols=3, title=title, title_fontsize=7)
    return figure


def _panel(ax, rows: pd.DataFrame, column: str, edges: np.ndarray, name: str) -> None:
    moved = rows[~rows["status"].isin(UNMOVED)]
    histograms.pair(ax, rows[f"{column}_natural"], rows[column], moved[column], edges)
    right = 100 * (rows["pred"] == rows["label"]).mean()
    known = rows.dropna(subset=["energy", "energy_natural"])
    detector = auroc(known["energy_natural"].to_numpy(float), known["energy"].to_numpy(float))
    adaptive = ", keeps E(x)" if ADAPTIVE in name else ""
    numbers = f"acc {right:.1f} %" + (f", AUROC {detector:.2f}" if column == "energy" else "")
    ax.set_title(f"{attacks.title(name)}{adaptive}\n{numbers}", fontsize=7.5)
