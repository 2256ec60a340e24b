"""Images of our own trainers' networks, JEAT among them, scored; feeds Table 2c.

preJEAT is an ordinary robust classifier, sampled as JEAT is: E(x, y) descended from noise, here in as many steps as
eq. 7 takes; how many JEAT's take is not known.
"""

import dataclasses

from energylens.generate import EQ7, PCA, SAMPLERS, Generation, Method, Random, Scored, demo

SEEDS = (0, 1, 2)
SPACES = ("demo:standard-14", "demo:standard-10")


def _jeat(steps: int, seed: int = 0) -> Method:
    return Method(Random(), dataclasses.replace(SAMPLERS["jeat"], steps=steps), seed)


DEMO = Scored(
    (
        Generation(
            models=("SAT=demo:sat", "TRADES=demo:trades", "WEAT_ADV=demo:weat-adv"),
            data="digits:train",
            methods=tuple(Method(PCA(), demo.EQ7, seed) for seed in SEEDS),
            images=300,
        ),
        Generation(
            models=("JEAT=demo:jeat", "preJEAT=demo:sat"),
            data="digits:train",
            methods=tuple(_jeat(200, seed) for seed in SEEDS),
            images=300,
        ),
    ),
    SPACES,
)
PAPER = Scored(
    (
        Generation(
            models=(
                "SAT=runs/sat-cifar10-resnet18-1/last.safetensors",
                "TRADES=runs/trades-cifar10-resnet18-1/last.safetensors",
                "WEAT_ADV=runs/weat-adv-cifar10-resnet18-1/last.safetensors",
                "Ours SAT=robustbench:cifar10/L2/Engstrom2019Robustness",
                "Ours Better DM=robustbench:cifar10/L2/Wang2023Better_WRN-28-10",
            ),
            data="cifar10:train",
            methods=(Method(PCA(), EQ7),),
            images=50_000,
        ),
        Generation(
            models=(
                "JEAT=runs/jeat-cifar10-resnet18-1/last.safetensors",
                "preJEAT=runs/sat-cifar10-resnet18-1/last.safetensors",
            ),
            data="cifar10:train",
            methods=(_jeat(500),),
            images=50_000,
        ),
    ),
)
