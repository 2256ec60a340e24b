"""Energies and margins of a SAT network on its training images under PGD-20; feeds figures 5b and 5c.

The paper names neither network, images nor attack; those of SAT, 5,000 training images and PGD-20 are our choice.
"""

from energylens.attacks import PGD
from energylens.recipe import Recipe

DEMO = Recipe(models=("SAT=demo:sat",), data="digits:train", attacks=(PGD(eps=0.2),))

PAPER = Recipe(
    models=("SAT=runs/sat-cifar10-resnet18-1/last.safetensors",),
    data="cifar10:train",
    attacks=(PGD(eps=8 / 255),),
    samples=5000,
)
