"""The film of chains: a frame a recorded step, the images and curves of that step, a GIF that can be opened."""

import numpy as np
import pytest
from made_chains import chain, frame
from matplotlib import rc_context
from matplotlib.animation import PillowWriter
from PIL import Image

from energylens import paths
from energylens.errors import UserError
from energylens.plots import style

film = paths.load("figures", "chain")
STEPS = (0, 5, 10)


def one(sample, label=0, channels=1, steps=STEPS, model="SAT", classes=2, **columns):
    """E(x, label) falls by 1 nat a step from -5, all other energies are 0; an image is as grey as its step."""
    rows = chain(
        model, "eq7-pca", sample, label, lambda step: [5.0 + step if k == label else 0 for k in range(classes)], steps
    )
    rows["image"] = [np.full((channels, 4, 4), 20 * step + sample, np.uint8) for step in steps]
    return rows.assign(**columns)


def animation(*made):
    with rc_context(style.rc(film.WIDTH)):
        return film.draw(chain_film=frame(*made))


def save(moving, path):
    with rc_context(style.rc(film.WIDTH)):
        moving.save(path, writer=PillowWriter(fps=4), dpi=60)
    return path


def panels(moving, count):
    """The axes of the images and those of the curves."""
    return moving._fig.axes[:count], moving._fig.axes[count:]


def test_a_gif_has_one_frame_a_recorded_step(tmp_path):
    path = save(animation(one(0), one(1, label=1)), tmp_path / "chain.gif")
    with Image.open(path) as gif:
        assert (gif.n_frames, gif.size[0]) == (3, 288)  # 4.8 inches wide


def test_each_frame_has_the_images_and_the_curves_so_far_on_axes_that_stay(tmp_path):
    moving = animation(one(3, label=1), one(8, reference=-7.0))
    images, plots = panels(moving, 2)
    limits = [(ax.get_xlim(), ax.get_ylim(), ax.get_position().bounds) for ax in plots]
    for step in (10, 0, 5):  # in any order
        moving._func(step)
        past = np.array([then for then in STEPS if then <= step])
        for ax, plot, sample, label, level in zip(images, plots, (3, 8), (1, 0), (-9, -7), strict=True):
            assert (ax.images[0].get_array() == 20 * step + sample).all()
            assert ax.get_title() == f"{label}\np {1 / (1 + np.exp(-5 - step)):.2f}"
            reference, marginal, joint = plot.lines
            assert reference.get_ydata() == pytest.approx([level, level])
            assert joint.get_xdata() == pytest.approx(past)
            assert joint.get_ydata() == pytest.approx(-5.0 - past)
            assert marginal.get_ydata() == pytest.approx(-np.log(1 + np.exp(5.0 + past)))
        assert moving._fig.get_suptitle() == f"SAT, eq7-pca, digits: 2 chains\nstep {step} of 10"
        assert [(ax.get_xlim(), ax.get_ylim(), ax.get_position().bounds) for ax in plots] == limits
    (left, right), (bottom, top), _ = limits[0]
    assert (left, right) == (0, 10)
    assert bottom < -15 < -5 < top
    save(moving, tmp_path / "chain.gif")


def test_the_first_finished_chains_of_the_first_network_are_shown(tmp_path):
    made = [one(i, label=i % 2) for i in range(13)]
    made[2]["status"] = "nan"
    moving = animation(*made, one(0, model="TRADES"))
    images, _ = panels(moving, 10)
    assert [int(ax.images[0].get_array()[0, 0]) - 200 for ax in images] == [0, 1, 3, 4, 5, 6, 7, 8, 9, 10]
    title = moving._fig.get_suptitle()
    assert title.startswith("SAT, eq7-pca, digits: 10 of 12 chains\n1 of 13 chains became NaN\n")
    save(moving, tmp_path / "chain.gif")


def test_one_chain_of_twenty_classes_in_colour(tmp_path):
    moving = animation(one(0, label=17, channels=3, classes=20, data="cifar100", steps=(0,)))
    images, plots = panels(moving, 1)
    assert images[0].images[0].get_array().shape == (4, 4, 3)
    assert images[0].get_title().startswith("17\n")
    assert len(plots) == 1
    with Image.open(save(moving, tmp_path / "chain.gif")) as gif:
        assert gif.n_frames == 1


def test_a_long_name_stays_on_the_page(tmp_path):
    moving = animation(one(0, model="a-network-with-a-name-longer-than-the-page-is-wide_" * 3))
    title = moving._fig._suptitle.get_window_extent()
    assert moving._fig.bbox.x0 <= title.x0 < title.x1 <= moving._fig.bbox.x1
    save(moving, tmp_path / "chain.gif")


def test_without_images_of_all_steps_or_finished_chains_it_says_why():
    last = one(0)
    last["image"] = [None, None, last["image"].iloc[-1]]
    with pytest.raises(UserError, match="only the last images were kept; record them all"):
        animation(last)
    with pytest.raises(UserError, match="chain cannot be drawn: 1 of 1 chains became NaN"):
        animation(one(0, status="nan"))
