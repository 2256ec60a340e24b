"""Energies of one non-robust network under every attack; feeds figure 2.

The attacks are those of the paper's notebook, in the semantics of the software that it used: APGD and
Square give an image back as it was where they fail, CW has one constant. The notebook leaves the
number of steps open; these are the usual ones. FAB-T, PGD-T and the adaptive HE-PGD are ours.
PAPER_SHORT is for machines without a GPU: FAB, which takes a backward pass for every class, has 20 steps.
"""

from dataclasses import replace

from energylens.attacks import APGD, CW, FAB, HEPGD, PGD, Attack, Square
from energylens.recipe import Recipe


def attacks(eps: float, fab_steps: int = 100) -> tuple[Attack, ...]:
    """Figure 2's panels, in their order."""
    return (
        PGD(eps=eps),
        PGD(eps=eps, loss="kl", start="tiny"),
        APGD(eps=eps, semantics="paper"),
        APGD(eps=eps, semantics="paper", loss="dlr"),
        PGD(eps=eps, loss="targeted-ce"),
        APGD(eps=eps, semantics="paper", loss="targeted-dlr"),
        FAB(eps=eps, steps=fab_steps),
        FAB(eps=eps, steps=fab_steps, classes=9),
        Square(eps=eps, semantics="paper", queries=1000),
        CW(semantics="paper"),
        CW(semantics="paper", target="random"),
        HEPGD(eps=eps, steps=20, gamma="search"),
    )


DEMO = Recipe(models=("standard=demo:standard-10",), data="digits:test", attacks=attacks(0.2), logits=True)

PAPER = Recipe(
    models=("Standard=robustbench:cifar10/Linf/Standard",),
    data="cifar10:test",
    attacks=attacks(8 / 255),
    logits=True,
)

PAPER_SHORT = replace(PAPER, attacks=attacks(8 / 255, fab_steps=20))
