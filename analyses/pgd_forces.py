"""Where PGD's updates point: with +grad E(x, y), and with -grad E(x); feeds the figure `forces`."""

from energylens.attacks import PGD
from energylens.recipe import Recipe

DEMO = Recipe(
    models=("standard=demo:standard-10", "SAT=demo:sat", "TRADES=demo:trades"),
    data="digits:test",
    attacks=(PGD(eps=0.2),),
    record="forces",
)

PAPER = Recipe(
    models=(
        "Standard=robustbench:cifar10/Linf/Standard",
        "SAT=robustbench:cifar10/Linf/Engstrom2019Robustness",
        "TRADES=robustbench:cifar10/Linf/Zhang2019Theoretically",
    ),
    data="cifar10:test",
    attacks=(PGD(eps=8 / 255),),
    samples=1000,
    record="forces",
)
