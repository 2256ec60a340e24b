"""Energies on straight lines through test images, up to twice the training radius; feeds `jeat-flatness`.

Lines in a random direction, FGSM's and PGD's; eight points each. JEAT's networks are our reconstruction of it.
"""

from energylens.attacks import Ray
from energylens.attacks.ray import DIRECTIONS
from energylens.recipe import Recipe


def rays(eps: float) -> tuple[Ray, ...]:
    """One a direction: E(x + r u) at r = 0, 0.25 eps, ... 2 eps."""
    return tuple(Ray(eps=eps, direction=direction, times=2, steps=8) for direction in DIRECTIONS)


DEMO = Recipe(
    models=(
        "SAT=demo:sat",
        "TRADES=demo:trades",
        "WEAT_ADV=demo:weat-adv",
        "JEAT=demo:jeat",
        "standard=demo:standard-10",
    ),
    data="digits:test",
    attacks=rays(0.2),
    record="steps",
)

TRAINED = {"SAT": "sat", "TRADES": "trades", "WEAT_ADV": "weat-adv", "JEAT": "jeat", "standard": "standard"}
PAPER = Recipe(
    models=tuple(f"{name}=runs/{run}-cifar10-resnet18-1/last.safetensors" for name, run in TRAINED.items()),
    data="cifar10:test",
    attacks=rays(8 / 255),
    record="steps",
)
