"""What tests of generation share: a recipe of well under a second, and where it lies."""

from dataclasses import replace

import numpy as np

from energylens import command
from energylens import need as needs
from energylens.generate import EQ7, PCA, Generation, Method
from energylens.generate.command import app
from energylens.options import Place

SHORT = replace(EQ7, steps=6)
RECIPE = Generation(("demo:sat",), "digits:train", (Method(PCA(), SHORT),), images=25)
NAMES = ("sat", "eq7-steps6-pca")


def where(tmp_path, **settings):
    return needs.Where(Place(tables=tmp_path / "tables", device="cpu", **settings), out=tmp_path / "out")


def typed(tmp_path, *more):
    places = ["--tables", str(tmp_path / "tables"), "--out", str(tmp_path / "out"), "--device", "cpu"]
    return command.run(app, "test", [*places, "--sampler", "eq7:steps=6", *more])


def made(recipe, tmp_path, **settings):
    recipe.measure("t", where(tmp_path, **settings))
    return recipe.made("t", where(tmp_path), measured=True)


def all_images(found):
    return np.concatenate(list(found.ended()))


def home(tmp_path):
    """Where the files of the recipe's images lie."""
    return tmp_path / "tables" / "t" / "chains" / "model=sat" / "attack=eq7-steps6-pca"
