"""Energies and entropies of a SAT and of a standard network on all training images; feeds figure 5d.

The paper does not say which network it shows; SAT's is our choice, and the standard one stands beside it.
"""

from energylens.attacks import PGD
from energylens.recipe import Recipe

DEMO = Recipe(
    models=("SAT=demo:sat", "standard=demo:standard-10"),
    data="digits:train",
    attacks=(PGD(eps=0.2),),
)

PAPER = Recipe(
    models=(
        "SAT=runs/sat-cifar10-resnet18-1/last.safetensors",
        "standard=runs/standard-cifar10-resnet18-1/last.safetensors",
    ),
    data="cifar10:train",
    attacks=(PGD(eps=8 / 255),),
)
