"""Accuracies on Tiny-ImageNet, one run a method as in the paper; feeds Table 1b. At demo scale: five seeds."""

from energylens.accuracies import Accuracies
from energylens.trainings import demo, paper

METHODS = ("sat", "trades", "mail-trades", "weat-nat", "weat-adv")
SEEDS = (1, 2, 3, 4, 5)
DEMO = Accuracies(
    (demo(*METHODS, seeds=SEEDS), demo("mart", seeds=SEEDS, every=0)), attacks=(("pgd", None), ("autoattack", 200))
)
PAPER = Accuracies((paper(*METHODS, "mart", data="tiny-imagenet", every=0),))
