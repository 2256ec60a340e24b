"""Robust accuracy of the networks that make images; feeds Figure 6, top."""

from energylens.attacks import PGD
from energylens.recipe import Recipe

DEMO = Recipe(
    models=(
        "SAT=demo:sat",
        "TRADES=demo:trades",
        "WEAT_ADV=demo:weat-adv",
        "WEAT_NAT=demo:weat-nat",
        "JEAT=demo:jeat",
        "SAT, half eps=demo:sat-half",
        "standard-6=demo:standard-6",
        "standard-10=demo:standard-10",
        "standard-14=demo:standard-14",
    ),
    data="digits:test",
    attacks=(PGD(eps=0.2),),
)
PAPER = Recipe(
    models=(
        "SAT=robustbench:cifar10/Linf/Engstrom2019Robustness",
        "TRADES=robustbench:cifar10/Linf/Zhang2019Theoretically",
        "MART=robustbench:cifar10/Linf/Wang2020Improving",
        "AWP=robustbench:cifar10/Linf/Wu2020Adversarial",
        "Better DM=robustbench:cifar10/Linf/Wang2023Better_WRN-28-10",
    ),
    data="cifar10:test",
    attacks=(PGD(eps=8 / 255),),
    samples=1000,
)
