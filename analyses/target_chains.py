"""Energies of all classes while a robust network makes images of each; feeds Figure 5e.

The sampler is that of the paper's notebook: plain SGLD on the squared distance of E(x, y) to its mean over the class's
training images, 50 steps of 0.5. That code takes the mean over a batch, whose size it does not tell: 0.05 an image is
its step for batches of ten. Plain E(x, y) as the loss has no reason to stop at that mean, and does not. The network is
not named; WRN-28-10 of Wang et al. 2023 is that of Figure 6. At demo scale chains start from noise: a PCA start of the
digits is as low as real images are.
"""

import dataclasses

from energylens.generate import PCA, SAMPLERS, Generation, Method, Random

SAMPLER = dataclasses.replace(SAMPLERS["sgld"], loss="reference", step_size=0.05)
DEMO = Generation(
    models=("SAT=demo:sat",), data="digits:train", methods=(Method(Random(), SAMPLER),), images=50, every=1
)
PAPER = Generation(
    models=("Better DM=robustbench:cifar10/Linf/Wang2023Better_WRN-28-10",),
    data="cifar10:train",
    methods=(Method(PCA(retained=0.95), SAMPLER),),
    images=50,
    every=1,
)
