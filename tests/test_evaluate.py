"""Accuracies against answers in closed form, over seeds, after an interruption, and with NaN."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evaluating import rows, spread, typed

from energylens import work
from energylens.attacks import APGD, FAB, Square


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def counted(monkeypatch):
    """Attack's kind -> how many images each of its searches was given."""
    seen: dict[str, list[int]] = {}
    for kind in (APGD, FAB, Square):
        search = kind._search

        def counting(self, model, x, *others, search=search):
            seen.setdefault(self.kind, []).append(len(x))
            return search(self, model, x, *others)

        monkeypatch.setattr(kind, "_search", counting)
    return seen


def test_autoattack_reaches_the_closed_form_and_its_parts_see_only_images_that_are_right(counted, capsys):
    """A linear classifier is robust where the distance to its nearest boundary is above eps; two labels are wrong."""
    x, y, distance = spread()
    np.savez("made.npz", images=x.numpy(), labels=y.numpy())
    ordered = distance.sort().values
    eps = math.sqrt(ordered[7] * ordered[8])
    assert typed("linear:Linear", "--data", "made.npz", "--attack", "autoattack", "--eps", eps) == 0
    found = rows().set_index("attack")
    natural, attacked = found.iloc[0], found.iloc[1]
    assert (natural.correct, natural.n) == (10, 12)
    assert (attacked.correct, attacked.n) == (4, 12)
    assert attacked.accuracy == attacked.after_square == pytest.approx(4 / 12)
    assert (attacked.eps, attacked.norm, attacked.seed, attacked.images) == (eps, "linf", 0, 12)
    assert counted["apgd-ce"] == [10]  # the two that are wrong are never attacked
    for kind, column, before in (
        ("apgd-t", "after_apgd_t", attacked.after_apgd_ce),
        ("fab-t", "after_fab_t", attacked.after_apgd_t),
        ("square", "after_square", attacked.after_fab_t),
    ):
        assert counted[kind] == [round(12 * before)]
        assert attacked[column] <= before
    assert "  33.33" in capsys.readouterr().out


def test_several_seeds_are_rows_of_their_own_with_mean_and_standard_deviation(capsys):
    given = ("demo:sat", "--samples", "20", "--attack", "pgd:steps=2", "--attack", "fgsm", "--seed", "1", "--seed", "5")
    assert typed(*given) == 0
    found = rows()
    assert found["attack"].tolist() == ["natural", "pgd-eps0.2-steps2", "pgd-eps0.2-steps2", "fgsm-eps0.2"]
    assert found["seed"].fillna(-1).tolist() == [-1, 1, 5, -1]  # FGSM draws nothing: measured once
    assert found["key"].nunique() == 4
    a, b = found["accuracy"][1:3]
    line = next(line for line in capsys.readouterr().out.splitlines() if "2 seeds" in line)
    mean, deviation = 50 * (a + b), 100 * abs(a - b) / math.sqrt(2)
    assert line.split() == ["2", "seeds", f"{mean:.2f}", "std", f"{deviation:.2f}"]


def test_a_run_that_was_interrupted_measures_only_what_is_missing(monkeypatch):
    given = ("demo:sat", "--samples", "20", "--shard", "10", "--attack", "fgsm", "--attack", "pgd:steps=2")
    attempt, seen = work.Worker.attempt, []

    def dying(self, task, advance):
        if len(seen) == 4:
            raise KeyboardInterrupt
        seen.append(str(task))
        return attempt(self, task, advance)

    monkeypatch.setattr(work.Worker, "attempt", dying)
    assert typed(*given) == 130
    assert not Path("out").exists()
    before = set(seen)
    monkeypatch.setattr(
        work.Worker, "attempt", lambda self, task, say: seen.append(str(task)) or attempt(self, task, say)
    )
    seen.clear()
    assert typed(*given) == 0
    assert len(before) == 4
    assert len(seen) == 2
    assert not before & set(seen)
    once = rows()
    seen.clear()
    assert typed(*given) == 0
    assert seen == []
    pd.testing.assert_frame_equal(rows(), once)


def test_images_that_give_nan_are_wrong_and_told(toy_net, capsys):
    """Class 0 wins above a mean of 0.3, so all grey images (0.39) can be moved over; two white ones give NaN."""
    body = (
        "logits = (x.mean((1, 2, 3))[:, None] - 0.3) * torch.tensor([20.0, 1, 1, 1, 1]); "
        "return torch.where(x.flatten(1)[:, :1] == 1, torch.nan, logits)"
    )
    pixels = np.full((8, 1, 4, 4), 100, np.uint8)
    pixels[:2] = 255
    np.savez("made.npz", images=pixels, labels=np.array([0, 1, 0, 0, 0, 0, 1, 1]))
    assert (
        typed(f"{toy_net(body)}:toy", "--data", "made.npz", "--attack", "fgsm", "--attack", "autoattack:eps=0.2") == 0
    )
    found = rows()
    assert found["correct"].tolist() == [4, 4, 0]
    assert found["nan"].tolist() == [2, 2, 2]
    assert found["after_apgd_ce"][2] == 0
    told = capsys.readouterr().out.splitlines()
    assert "warning: 2 of 8 images of toy under natural gave NaN; they count as wrong" in told


def test_a_real_network_without_robustness_has_none(real_data, real_zoo):
    """On 300 images an independent measurement found 76.1 % and, under PGD-20 at 8/255, 0 %."""
    given = (f"{real_zoo}/nets.py:wide_sgd", "--data", "cifar10:test", "--data-dir", real_data, "--samples", "24")
    assert typed(*given, "--attack", "pgd") == 0
    found = rows()
    assert found["correct"][0] >= 14
    assert found["correct"][1] == 0
    assert found["low"][1] == 0
    assert found["high"][1] == pytest.approx(0.1380, abs=1e-4)  # z^2 / (n + z^2), by hand
