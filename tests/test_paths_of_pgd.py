"""Figure 1a and the forces from made tables of steps."""

import numpy as np
import pandas as pd
import pytest
from made_tables import rows

from energylens import paths
from energylens.claims import CANNOT_TELL, FAILS, HOLDS

fig1a, forces = paths.load("figures", "fig1a"), paths.load("figures", "forces")
N = 40
RNG = np.random.default_rng(0)


def steps(drops: dict[str, float], **columns) -> pd.DataFrame:
    """Natural energy -10; after step k of 4 it has fallen by k/4 of the network's drop, with noise."""
    right, frames = np.zeros(N, int), []
    for model, drop in drops.items():
        frames.append(rows(model, "natural", "ref", np.full(N, -10.0), right, right, step=0))
        for step in range(5):
            energy = -10 - drop * step / 4 + RNG.normal(0, 0.1, N)
            more = {name: value[model] + RNG.normal(0, 0.01, N) for name, value in columns.items()}
            frames.append(rows(model, "pgd", "ref", energy, right, right, step=step, **more))
    made = pd.concat(frames, ignore_index=True)
    made["model"] = pd.Categorical(made["model"], list(drops))
    return made


@pytest.mark.parametrize(
    ("drops", "outcomes"),
    [
        ({"net-20": 40, "net-32": 30, "net-56": 20}, [HOLDS, HOLDS]),
        ({"net-56": 20, "net-20": 40, "net-32": 30}, [HOLDS, HOLDS]),
        ({"net-20": 20, "net-32": 30}, [HOLDS, FAILS]),
        ({"net-20": 20, "net-32": -5}, [FAILS, HOLDS]),
        ({"net-20": 20}, [HOLDS, CANNOT_TELL]),
        ({"small": 20, "large": 10}, [HOLDS, CANNOT_TELL]),
    ],
)
def test_claims_of_figure_1a(drops, outcomes):
    made = steps(drops)
    assert [claim(pgd_path=made).outcome for claim in fig1a.CLAIMS] == outcomes


def test_figure_1a_has_a_line_a_network_through_the_mean_at_every_step():
    made = steps({"net-20": 40, "net-32": 30})
    (ax,) = fig1a.draw(made).axes
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["net-20", "net-32"]
    for line, drop in zip(ax.lines, (40, 30), strict=True):
        assert line.get_xdata().tolist() == [0, 1, 2, 3, 4]
        np.testing.assert_allclose(line.get_ydata(), [-10 - drop * k / 4 for k in range(5)], atol=0.1)


def test_forces_claims_and_panels():
    cosines = {"cos_joint": {"std": 0.5, "sat": 0.3}, "cos_marginal": {"std": 0.4, "sat": -0.1}}
    made = steps({"std": 40, "sat": 1}, **cosines)
    follows, less = (claim(pgd_forces=made) for claim in forces.CLAIMS)
    assert (follows.outcome, less.outcome) == (HOLDS, HOLDS)
    assert follows.number == pytest.approx(0.4, abs=0.01)
    assert less.number == pytest.approx(0.5, abs=0.01)
    left, right = forces.draw(made).axes
    np.testing.assert_allclose(left.lines[0].get_ydata(), 0.5, atol=0.01)
    np.testing.assert_allclose(right.lines[1].get_ydata(), -0.1, atol=0.01)
    alone = forces.CLAIMS[1](pgd_forces=steps({"std": 40}, cos_marginal={"std": 0.1}))
    assert alone.outcome == CANNOT_TELL
