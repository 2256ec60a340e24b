"""Grids of images: their exact pixels, alone and on a page."""

import io

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib import rc_context
from matplotlib.colors import to_rgb
from PIL import Image

from energylens.errors import UserError
from energylens.plots import blocks, images, style, wrapping

GREY = np.arange(1, 13, dtype=np.uint8).reshape(3, 1, 2, 2)
"""three grey images of 2x2 pixels"""
RNG = np.random.default_rng(0)


def test_a_montage_has_these_pixels():
    made = images.montage(GREY, columns=2)
    assert made.dtype == np.uint8
    assert made[:, :, 0].tolist() == [
        [1, 2, 255, 5, 6],
        [3, 4, 255, 7, 8],
        [255, 255, 255, 255, 255],
        [9, 10, 255, 255, 255],
        [11, 12, 255, 255, 255],
    ]
    assert made.shape == (5, 5, 1)


def test_a_montage_of_colours_keeps_them_and_takes_any_gap():
    red, blue = np.zeros((2, 3, 1, 1), np.uint8)
    red[0], blue[2] = 200, 100
    both = np.stack([red, blue])
    assert images.montage(both, columns=2, gap=0).tolist() == [[[200, 0, 0], [0, 0, 100]]]
    assert images.montage(both, columns=1, gap=2).shape == (4, 1, 3)
    assert images.montage(both, columns=5, gap=1).shape == (1, 9, 3)


def test_what_is_no_picture_is_refused():
    with pytest.raises(UserError, match=r"^images of 4 channels are neither grey nor RGB; give 1 or 3$"):
        images.montage(np.zeros((2, 4, 2, 2), np.uint8), columns=2)
    with pytest.raises(UserError, match=r"^a grid needs at least one image$"):
        images.montage(np.zeros((0, 1, 2, 2), np.uint8), columns=2)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_file_holds_just_these_pixels(tmp_path, channels):
    array = RNG.integers(0, 256, (6, 4, channels), dtype=np.uint8)
    path = images.save(array, tmp_path / "new" / "grid.png")
    with Image.open(path) as picture:
        assert (picture.format, picture.mode) == ("PNG", "L" if channels == 1 else "RGB")
        np.testing.assert_array_equal(np.asarray(picture).reshape(array.shape), array)
    assert [file.name for file in path.parent.iterdir()] == ["grid.png"]


def test_a_file_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"^cannot write .*grid.png .*; choose another folder with --out$"):
        images.save(np.zeros((1, 1, 1), np.uint8), tmp_path / "file" / "grid.png")


def test_a_block_has_its_images_crosses_and_empty_cells():
    _, ax = plt.subplots()
    first, second, third = GREY
    blocks.show(ax, [[first, None, second, third], [third]], 3, (1, 2, 2))
    white = np.full((2, 2), 255)
    rows = [[first[0], white, second[0]], [third[0], white, white]]
    shown = ax.images[0].get_array()
    for i, row in enumerate(rows):
        for j, expected in enumerate(row):
            for colour in range(3):
                np.testing.assert_array_equal(shown[3 * i : 3 * i + 2, 3 * j : 3 * j + 2, colour], expected)
    assert shown.shape == (5, 8, 3)
    (cross,) = ax.lines
    assert (np.nanmin(cross.get_xdata()), np.nanmax(cross.get_xdata())) == (2.5, 4.5)  # around pixels 3 and 4
    assert (np.nanmin(cross.get_ydata()), np.nanmax(cross.get_ydata())) == (-0.5, 1.5)


def page(count: int, size: int, channels: int = 3, rows: int = 2, **more):
    pictures = RNG.integers(0, 256, (count, rows, 5, channels, size, size), dtype=np.uint8)
    made = [blocks.Block(f"network {k}\nPGD-20 55 % (n = 1,000)", list(map(list, of))) for k, of in enumerate(pictures)]
    with rc_context(style.rc("full")):
        return pictures, blocks.page(made, [f"row {row}" for row in range(rows)], "a note", **more)


def dots(figure) -> np.ndarray:
    file = io.BytesIO()
    with rc_context(style.rc("full")):
        figure.savefig(file, format="png")
    with Image.open(file) as picture:
        return np.asarray(picture)[:, :, :3]


@pytest.mark.parametrize(("count", "size", "channels", "across"), [(4, 16, 1, 4), (5, 32, 3, 3), (2, 64, 3, 2)])
def test_each_pixel_is_a_square_of_whole_dots(count, size, channels, across):
    """What is printed, thinned out to one dot a pixel, is the montage; and every dot of a square is the same."""
    pictures, figure = page(count, size, channels)
    printed = dots(figure)
    assert printed.shape[1] == 1440  # the text's width at 300 dots an inch
    assert len({round(ax.get_position().x0, 6) for ax in figure.axes}) == across
    for ax, of in zip(figure.axes, pictures, strict=True):
        wanted = images.montage(of.reshape(-1, channels, size, size), columns=5)
        wanted = np.repeat(wanted, 3 // channels, axis=2)
        box = ax.get_position()
        left, top = round(box.x0 * 1440), round((1 - box.y1) * printed.shape[0])
        scale = round(box.width * 1440) // wanted.shape[1]
        assert scale * size >= 48  # 4 mm
        large = wanted.repeat(scale, axis=0).repeat(scale, axis=1)
        np.testing.assert_array_equal(printed[top : top + large.shape[0], left : left + large.shape[1]], large)


@pytest.mark.parametrize(("count", "size"), [(1, 32), (7, 16), (8, 32), (9, 8)])
def test_nothing_lies_on_anything_else(count, size):
    _, figure = page(count, size)
    figure.draw_without_rendering()
    texts = [text for ax in figure.axes for text in ax.texts] + figure.texts
    boxes = [text.get_window_extent() for text in texts] + [ax.patch.get_window_extent() for ax in figure.axes]
    for place, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[place + 1 :])
        assert figure.bbox.x0 - 1 < box.x0 < box.x1 < figure.bbox.x1 + 1
        assert figure.bbox.y0 - 1 < box.y0 < box.y1 < figure.bbox.y1 + 1


def test_images_wider_than_the_page_are_shrunk_to_it():
    _, figure = page(2, 400, channels=1, rows=1)
    assert len({round(ax.get_position().x0, 6) for ax in figure.axes}) == 1
    assert all(0 <= ax.get_position().x0 < ax.get_position().x1 <= 1 for ax in figure.axes)


def test_a_long_name_is_broken_at_its_hyphens():
    block = blocks.Block("eq7-step_size0.05-steps200-momentum0.9-gaussian", [[GREY[0].repeat(8, 1).repeat(8, 2)]])
    with rc_context(style.rc("full")):
        figure = blocks.page([block] * 4, ["row"], "a note")
    title = figure.axes[0].get_label()
    assert title.count("\n") >= 1
    assert title.replace("\n", "") == block.title


def test_a_long_name_is_broken_before_its_start_if_that_will_do():
    assert wrapping.wrapped("eq7-steps200-stepsize0.05-random", 1.2, 6) == "eq7-steps200-stepsize0.05\n-random"
    assert wrapping.wrapped("sgld-steps200-local-pca", 0.8, 6) == "sgld-steps200\n-local-pca"
    assert wrapping.wrapped("of a network, eq7-pca", 0.7, 6) == "of a network,\neq7-pca"
    lines = wrapping.wrapped("x" * 50, 1, 6).split("\n")
    assert "".join(lines) == "x" * 50
    assert all(wrapping.width(line, 6) <= 1 for line in lines)


def test_titles_stand_level_and_blocks_of_few_chains_are_narrow():
    picture = GREY[0].repeat(8, 1).repeat(8, 2)
    made = [blocks.Block(title, [[picture]]) for title in ("WEAT_ADV\np", "SAT\n(n = 500)")]
    with rc_context(style.rc("full")):
        figure = blocks.page(made, ["row"], "a note")
    heights = [text.get_position()[1] for text in figure.texts[:4]]
    assert heights[:2] == heights[2:]
    assert figure.axes[0].images[0].get_array().shape[:2] == (16, 16)


def test_a_page_without_an_image_has_crosses():
    with rc_context(style.rc("full")):
        figure = blocks.page([blocks.Block("one", [[None, None]])], ["row"], "")
    assert len(figure.axes[0].lines) == 2
    assert {to_rgb(line.get_color()) for line in figure.axes[0].lines} == {to_rgb(blocks.FAILED[1])}
