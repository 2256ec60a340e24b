"""The animation of drift: one frame an epoch, arrows where the table has them, a GIF that can be opened."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from made_courses import images
from matplotlib import rc_context
from matplotlib.animation import PillowWriter
from matplotlib.quiver import Quiver
from PIL import Image

from energylens import paths
from energylens.plots import style

film = paths.load("figures", "drift")
ENERGY = np.linspace(-9, -3, 30)


def course(objective, epochs, bend):
    frames = [
        images(objective, epoch, ENERGY + epoch, ENERGY + epoch + bend * epoch, joint=ENERGY + epoch + 1)
        for epoch in epochs
    ]
    return pd.concat(frames, ignore_index=True)


@pytest.fixture
def made():
    return pd.concat([course("sat", (0, 1, 2), 2.0), course("trades", (0, 1, 2), -0.5)])


def animation(made):
    with rc_context(style.rc(film.WIDTH)):
        return film.draw(drifts=made)


def save(moving, path):
    with rc_context(style.rc(film.WIDTH)):
        moving.save(path, writer=PillowWriter(fps=4), dpi=60)
    return path


def arrows_of(ax) -> Quiver:
    (found,) = [artist for artist in ax.collections if isinstance(artist, Quiver)]
    return found


def test_a_gif_has_one_frame_an_epoch(made, tmp_path):
    with Image.open(save(animation(made), tmp_path / "drift.gif")) as gif:
        assert gif.n_frames == 3
        assert gif.size == (288, 144)  # 4.8 inches wide
        shown = []
        for frame in range(3):
            gif.seek(frame)
            shown.append(np.asarray(gif.convert("L"), int))
    assert all((abs(one - other) > 50).any() for one, other in pairwise(shown))


def test_each_frame_has_its_epochs_arrows_and_says_which_on_axes_that_stay(made, tmp_path):
    moving = animation(made)
    figure, axes = moving._fig, moving._fig.axes[:2]
    assert [ax.get_title() for ax in axes] == [
        f"{name} under PGD-20\n30 images of digits:train" for name in ("SAT", "TRADES")
    ]
    limits = [(ax.get_xlim(), ax.get_ylim(), ax.get_position().bounds) for ax in axes]
    colours = arrows_of_frame(moving, 0)[0].norm
    for epoch in (2, 0, 1):  # in any order
        for found, bend in zip(arrows_of_frame(moving, epoch), (2.0, -0.5), strict=True):
            order = np.argsort(found.X)
            natural = ENERGY + epoch
            assert found.X[order] == pytest.approx(natural)
            assert found.Y[order] == pytest.approx(natural + 1)
            assert found.U[order] == pytest.approx(bend * epoch)
            assert found.V[order] == pytest.approx(bend * epoch - 1)
            assert found.norm is colours
        assert figure.get_suptitle() == f"epoch {epoch}"
        assert [(ax.get_xlim(), ax.get_ylim(), ax.get_position().bounds) for ax in axes] == limits
    (left, right), (bottom, top), _ = limits[0]
    assert left < -9 < -3 + 2 + 4 < right
    assert bottom < -9 < -3 + 2 + 4 < top
    save(moving, tmp_path / "drift.gif")


def arrows_of_frame(moving, epoch) -> list[Quiver]:
    moving._func(epoch)
    return [arrows_of(ax) for ax in moving._fig.axes[:2]]


def test_a_run_shows_its_latest_epoch_where_it_has_none(made, tmp_path):
    late = pd.concat([course("sat", (0, 1, 2, 3), 2.0), course("trades", (1, 3), -0.5)])
    moving = animation(late)
    counts = [len(arrows_of_frame(moving, epoch)[1].X) for epoch in (0, 1, 2, 3)]
    assert counts == [0, 30, 30, 30]
    assert arrows_of_frame(moving, 2)[1].X.max() == pytest.approx(-3 + 1)
    with Image.open(save(moving, tmp_path / "drift.gif")) as gif:
        assert gif.n_frames == 4


def test_other_methods_have_a_panel_each_and_a_panel_at_most_300_arrows(tmp_path):
    energy = np.linspace(-9, -3, 400)
    made = pd.concat([images(name, 1, energy, energy + 1) for name in ("sat", "weat-adv", "mine")])
    moving = animation(made)
    titles = [ax.get_title().partition(" under")[0] for ax in moving._fig.axes[:3]]
    assert titles == ["SAT", "WEAT_ADV", "mine"]
    save(moving, tmp_path / "drift.gif")
    assert [len(arrows_of(ax).X) for ax in moving._fig.axes[:3]] == [300, 300, 300]


def test_one_run_alone_is_one_panel(tmp_path):
    moving = animation(course("trades", (0, 1), 1.0))
    assert len(moving._fig.axes) == 2  # and the colours
    save(moving, tmp_path / "drift.gif")
