"""Energies of all classes while a robust network makes images of each; feeds Figure 5e.

The paper does not name the network; WRN-28-10 of Wang et al. 2023 is that of its Figure 6. Five chains a class.
"""

from energylens.generate import EQ7, PCA, Generation, Method, demo

DEMO = Generation(models=("SAT=demo:sat",), data="digits:train", methods=(Method(PCA(), demo.EQ7),), images=50, every=1)
PAPER = Generation(
    models=("Better DM=robustbench:cifar10/Linf/Wang2023Better_WRN-28-10",),
    data="cifar10:train",
    methods=(Method(PCA(), EQ7),),
    images=50,
    every=5,
)
