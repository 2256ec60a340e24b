"""Accuracies of the rows between MART and WEAT; feeds Table 1c, on CIFAR-100.

Rows 1, 5 and 7 are MART, TRADES and WEAT_NAT, and row 8 is WEAT_ADV with beta 6, which on CIFAR-100 takes 7 elsewhere.
The paper has five seeds of rows 5, 7 and 8, and one of the others.
"""

from energylens.accuracies import Accuracies
from energylens.trainings import demo, paper

ROWS = ("tab1c-2", "tab1c-3", "tab1c-4", "tab1c-6")
FIVE = (1, 2, 3, 4, 5)
DEMO = Accuracies(
    (demo("mart", *ROWS, seeds=FIVE, every=0), demo("trades", "weat-nat", "weat-adv", seeds=FIVE)),
    attacks=(("pgd", None), ("autoattack", 200)),
)
PAPER = Accuracies(
    (
        paper("mart", *ROWS, data="cifar100", every=0),
        paper("trades", "weat-nat", data="cifar100", seeds=FIVE),
        paper("tab1c-8", data="cifar100", seeds=FIVE, every=0),
    )
)
