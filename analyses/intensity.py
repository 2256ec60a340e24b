"""How intense images become while they are made, with momentum and without; feeds the figure `intensity`.

The figure shows eq. 7 from the PCA. Momentum is compared with plain SGLD from noise, where the way to the class is
long: at the same step size, and at the step that momentum amounts to in the long run, step / (1 - momentum).
"""

import dataclasses

from energylens.generate import EQ7, PCA, Generation, Method, Random, demo

SAME_STEP = dataclasses.replace(EQ7, momentum=0.0)
SAME_REACH = dataclasses.replace(EQ7, momentum=0.0, step_size=0.125)
DEMO = Generation(
    models=("SAT=demo:sat", "TRADES=demo:trades", "WEAT_ADV=demo:weat-adv", "standard-10=demo:standard-10"),
    data="digits:train",
    methods=(
        Method(PCA(), demo.EQ7),
        *(Method(Random(), sampler) for sampler in (demo.EQ7, demo.SAME_STEP, demo.SAME_REACH)),
    ),
    images=100,
    every=5,
)
PAPER = Generation(
    models=(
        "SAT=robustbench:cifar10/Linf/Engstrom2019Robustness",
        "TRADES=robustbench:cifar10/Linf/Zhang2019Theoretically",
        "MART=robustbench:cifar10/Linf/Wang2020Improving",
        "Better DM=robustbench:cifar10/Linf/Wang2023Better_WRN-28-10",
        "standard=robustbench:cifar10/Linf/Standard",
    ),
    data="cifar10:train",
    methods=(Method(PCA(), EQ7), *(Method(Random(), sampler) for sampler in (EQ7, SAME_STEP, SAME_REACH))),
    images=100,
    every=10,
)
