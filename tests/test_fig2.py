"""Figure 2 from a made table: panels, numbers, unmoved images apart, and claims with known answers."""

import numpy as np
import pandas as pd
import pytest
from made_tables import rows
from matplotlib import rc_context
from matplotlib.patches import Polygon

from energylens import command, figure, paths
from energylens.claims import CANNOT_TELL, FAILS, HOLDS
from energylens.plots import style

fig2 = paths.load("figures", "fig2")
N = 100
NAMES = [attack.name for attack in paths.load("analyses", "attack_energies").PAPER.attacks]
KIND = dict(zip(
    ("pgd", "pgd-kl", "apgd-ce", "apgd-dlr", "pgd-t", "apgd-t", "fab", "fab-t", "square", "cw", "cw-t", "he-pgd"),
    NAMES, strict=True,
))  # fmt: skip
RNG = np.random.default_rng(0)
NATURAL = RNG.normal(-14, 1, N)
AT = {  # E(x*) as in the published figure
    "pgd": -28, "pgd-kl": -29, "apgd-ce": -28, "apgd-dlr": -9, "pgd-t": -26, "apgd-t": -9, "fab": -9, "fab-t": -8,
    "square": -9, "cw": -14, "cw-t": -14,
}  # fmt: skip


def logits(energy: np.ndarray) -> list:
    """Three classes; class 0 holds nearly all of the natural energy, class 1 is 10 nats above."""
    return [np.array([-value, -value - 10, -100]) for value in energy]


@pytest.fixture
def made() -> pd.DataFrame:
    right = np.zeros(N, int)
    frames = [rows("m", "natural", "ref", NATURAL, right, right, logits=logits(NATURAL), target=None)]
    for kind, name in KIND.items():
        # like the paper: HE-PGD keeps every image's energy
        at = NATURAL.copy() if kind == "he-pgd" else AT[kind] + RNG.normal(0, 0.3, N)
        pred, joint, status = np.ones(N, int), 7 + RNG.normal(0, 0.3, N), np.full(N, "success", object)
        if kind == "pgd-kl":  # 30 images sharpened in their own class
            joint, pred = (
                np.where(np.arange(N) < 30, NATURAL - 14, 7.0) + RNG.normal(0, 0.3, N),
                (np.arange(N) >= 30) * 1,
            )
        if kind == "cw-t":
            joint = np.where(np.arange(N) < 40, NATURAL, -1.0)
            status[:40] = "clean_fallback"
        if kind == "apgd-ce":  # five images were wrong before and are left alone
            at[:5], status[:5] = NATURAL[:5], "not_attacked"
        reached = [np.array([8.0, -value, -100]) for value in np.full(N, -25.0)]
        frames.append(rows("m", name, "ref", at, right, pred, joint=joint, status=status, logits=reached, target=None))
    made = pd.concat(frames, ignore_index=True)
    made["attack"] = pd.Categorical(made["attack"], ["natural", *NAMES])
    return made


OUTCOMES = {
    "PGD lowers E(x)": HOLDS, "PGD raises E(x, y)": HOLDS, "APGD-CE lowers E(x)": HOLDS,
    "APGD-CE raises E(x, y)": HOLDS, "PGD-KL lowers E(x)": HOLDS, "PGD-KL's E(x*, y) has two modes": HOLDS,
    "APGD-T raises E(x)": HOLDS, "APGD-T lowers E(x, y_t), y_t the class it reached": HOLDS, "FAB raises E(x)": HOLDS,
    "FAB's E(x*) is nearer to APGD-T's than to PGD's": HOLDS, "Square's E(x*) overlaps the natural E(x)": FAILS,
    "APGD-DLR's E(x*) overlaps the natural E(x)": FAILS, "CW-T's E(x*, y) has two modes": HOLDS,
    "an attack that keeps E(x) blinds the detector by E(x)": HOLDS, "PGD-KL leaves an accuracy near 30 %": HOLDS,
    "CW's E(x*) overlaps the natural E(x)": FAILS,
}  # fmt: skip


def test_claims_of_a_table_like_the_published_figure(made):
    verdicts = {verdict.claim: verdict for verdict in (claim(attack_energies=made) for claim in fig2.CLAIMS)}
    assert {claim: verdicts[claim].outcome for claim in OUTCOMES} == OUTCOMES
    kl = verdicts["PGD-KL leaves an accuracy near 30 %"]
    assert kl.number == 0.3
    bump = verdicts["APGD's bump at natural energies is the images it did not attack"]
    assert (bump.number, bump.n) == (1, 5 - int((NATURAL[:5] < np.quantile(NATURAL, 0.05)).sum()))
    adaptive = verdicts["an attack that keeps E(x) blinds the detector by E(x)"]
    assert adaptive.number == pytest.approx(0.5)
    assert "which leaves 0.0 % right; 1.000 under PGD" in adaptive.detail
    reached = verdicts["APGD-T lowers E(x, y_t), y_t the class it reached"]
    assert reached.number == pytest.approx((-25 - (NATURAL + 10)).mean())


def test_a_table_without_an_attack_cannot_tell(made):
    few = made[made["attack"].isin(["natural", "pgd"])]
    outcomes = [claim(attack_energies=few).outcome for claim in fig2.CLAIMS]
    assert outcomes.count(CANNOT_TELL) == len(fig2.CLAIMS) - 2


def test_one_panel_an_attack_in_two_blocks_with_the_numbers_above(made):
    with rc_context(style.rc(fig2.WIDTH)):
        figure = fig2.draw(made)
        figure.draw_without_rendering()
    titles = [ax.get_title() for ax in figure.axes]
    assert len(titles) == 24
    assert titles[0] == "PGD-20\nacc 0.0 %, AUROC 1.00"
    assert titles[1] == "PGD-KL-20\nacc 30.0 %, AUROC 1.00"
    assert titles[11] == "HE-PGD-20, keeps E(x)\nacc 0.0 %, AUROC 0.50"
    assert titles[12] == "PGD-20\nacc 0.0 %"
    bars = figure.axes[0].patches
    assert sum(bar.get_height() for bar in bars) == 2 * N
    outlined = [any(isinstance(patch, Polygon) for patch in ax.patches) for ax in figure.axes[:12]]
    assert outlined == [kind in ("apgd-ce", "cw-t") for kind in KIND]


def test_two_networks_are_one_too_many_and_said_before_any_work(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.run(figure.app, "test", ["fig2", "--models", "demo:sat", "--models", "demo:trades"]) == 2
    assert capsys.readouterr().err == "error: fig2 shows one network; give one --models\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("energies", "right", "outcome"),
    [(NATURAL - 5, False, FAILS), (NATURAL, True, CANNOT_TELL), (NATURAL, False, HOLDS)],
)
def test_a_detector_is_blind_only_where_the_attack_works_and_keeps_the_energy(made, energies, right, outcome):
    adaptive = made["attack"] == KIND["he-pgd"]
    made.loc[adaptive, "energy"] = energies
    made.loc[adaptive, "pred"] = 0 if right else 1
    assert fig2.an_adaptive_attack_blinds_the_detector(attack_energies=made).outcome == outcome
