"""Accuracies of SAT, TRADES, MAIL-TRADES and WEAT over five seeds; feeds Table 1a.

The paper does not name its seeds; 1 to 5 are our choice. AutoAttack at demo scale sees the first 200 test images.
"""

from energylens.accuracies import Accuracies
from energylens.trainings import demo, paper

METHODS = ("sat", "trades", "mail-trades", "weat-nat", "weat-adv")
SEEDS = (1, 2, 3, 4, 5)
DEMO = Accuracies((demo(*METHODS, seeds=SEEDS),), attacks=(("pgd", None), ("autoattack", 200)))
PAPER = Accuracies(
    (
        paper(*METHODS, seeds=SEEDS),
        paper(*METHODS, data="cifar100", seeds=SEEDS),
        paper(*METHODS, data="svhn", seeds=SEEDS, every=0),  # no figure reads its energies
    )
)
