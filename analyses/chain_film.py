"""One chain of each class, its image at every fifth step; feeds the animation `chain`."""

from energylens.generate import EQ7, PCA, Generation, Method, demo

DEMO = Generation(
    models=("SAT=demo:sat",), data="digits:train", methods=(Method(PCA(), demo.EQ7),), images=10, every=5, frames=True
)
PAPER = Generation(
    models=("Better DM=robustbench:cifar10/Linf/Wang2023Better_WRN-28-10",),
    data="cifar10:train",
    methods=(Method(PCA(), EQ7),),
    images=10,
    every=10,
    frames=True,
)
