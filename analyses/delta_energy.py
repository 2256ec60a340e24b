"""Energies of natural and PGD-20 images for one network after another; feeds figure 4.

The paper does not name Figure 4's attack; PGD-20 on CE with step eps/4 is our choice. DEMO takes the
demo zoo without JEAT; PAPER takes the paper's eight models in the paper's order.
"""

from energylens.attacks import PGD
from energylens.recipe import Recipe

DEMO = Recipe(
    models=(
        "std-6=demo:standard-6",
        "std-10=demo:standard-10",
        "std-14=demo:standard-14",
        "half SAT=demo:sat-half",
        "SAT=demo:sat",
        "TRADES=demo:trades",
        "WEAT-NAT=demo:weat-nat",
        "WEAT-ADV=demo:weat-adv",
    ),
    data="digits:test",
    attacks=(PGD(eps=0.2),),
)

PAPER = Recipe(
    models=(
        "SAT=robustbench:cifar10/Linf/Engstrom2019Robustness",
        "GAIR-RST=robustbench:cifar10/Linf/Zhang2020Geometry",
        "TRADES=robustbench:cifar10/Linf/Zhang2019Theoretically",
        "MART=robustbench:cifar10/Linf/Wang2020Improving",
        "AWP=robustbench:cifar10/Linf/Wu2020Adversarial",
        "IKL=robustbench:cifar10/Linf/Cui2023Decoupled_WRN-34-10",
        "IKL+=robustbench:cifar10/Linf/Cui2023Decoupled_WRN-28-10",
        "Better DM=robustbench:cifar10/Linf/Wang2023Better_WRN-70-16",
    ),
    data="cifar10:test",
    attacks=(PGD(eps=8 / 255),),
)
