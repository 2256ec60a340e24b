"""Images of two classes from PCA starts of several widths; feeds the supplement's figure, `sigma`.

Columns are sigma, rows the variance that the components retain; the supplement does not tell its rows.
"""

import itertools

from energylens.generate import EQ7, PCA, Generation, Method, demo

STARTS = tuple(PCA(sigma, retained) for retained, sigma in itertools.product((0.8, 0.95, 0.99), (0.005, 0.01, 0.02)))
DEMO = Generation(
    models=("SAT=demo:sat",),
    data="digits:train",
    methods=tuple(Method(start, demo.EQ7) for start in STARTS),
    images=40,
    classes=(1, 7),
)
PAPER = Generation(
    models=("Better DM=robustbench:cifar10/Linf/Wang2023Better_WRN-28-10",),
    data="cifar10:train",
    methods=tuple(Method(start, EQ7) for start in STARTS),
    images=40,
    classes=(1, 7),
)
