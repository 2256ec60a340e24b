"""Robust accuracy of the networks that make images; feeds Figure 6, top."""

import generators

from energylens.attacks import PGD
from energylens.recipe import Recipe

DEMO = Recipe(
    models=generators.DEMO.models,
    data="digits:test",
    attacks=(PGD(eps=0.2),),
)
PAPER = Recipe(
    models=generators.PAPER.models,
    data="cifar10:test",
    attacks=(PGD(eps=8 / 255),),
    samples=1000,
)
