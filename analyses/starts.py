"""Images of one robust network from several starts; feeds Figure 6, bottom.

Plain SGLD from noise, from a Gaussian and from the PCA of each class, and eq. 7 from the PCA.
"""

from energylens.generate import EQ7, PCA, SGLD, Gaussian, Generation, Method, Random, demo

DEMO = Generation(
    models=("SAT=demo:sat",),
    data="digits:train",
    methods=(
        Method(Random(), demo.SGLD),
        Method(Gaussian(), demo.SGLD),
        Method(PCA(), demo.SGLD),
        Method(PCA(), demo.EQ7),
    ),
    images=50,
)
PAPER = Generation(
    models=("Better DM=robustbench:cifar10/Linf/Wang2023Better_WRN-28-10",),
    data="cifar10:train",
    methods=(
        Method(Random(), SGLD),
        Method(Gaussian(), SGLD),
        Method(PCA(), SGLD),
        Method(PCA(), EQ7),
    ),
    images=50,
)
