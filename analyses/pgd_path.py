"""Energy along PGD for standard networks of several depths; feeds figure 1a.

The paper gives neither depths nor steps; CIFAR ResNets of 20 to 110 layers and 100 steps are our choice.
RobustBench has no such networks, so the paper's scale reads networks of our own trainer.
"""

from energylens.attacks import PGD
from energylens.recipe import Recipe

DEMO = Recipe(
    models=("std-6=demo:standard-6", "std-10=demo:standard-10", "std-14=demo:standard-14"),
    data="digits:test",
    attacks=(PGD(eps=0.2, step_size=0.05, steps=50),),
    record="steps",
)


def trained(data: str) -> Recipe:
    """Networks trained by `python -m energylens.train standard --data DATA --arch resnet20 --seed 1` and so on."""
    depths = (20, 32, 44, 56, 110)
    return Recipe(
        models=tuple(f"ResNet-{depth}=runs/standard-{data}-resnet{depth}-1/last.safetensors" for depth in depths),
        data=f"{data}:test",
        attacks=(PGD(eps=8 / 255, step_size=2 / 255, steps=100),),
        record="steps",
    )


PAPER = trained("cifar10")
PAPER_CIFAR100 = trained("cifar100")
