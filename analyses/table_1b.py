"""Accuracies on Tiny-ImageNet, one run a method as in the paper; feeds Table 1b. At demo scale: five seeds."""

from energylens.accuracies import Accuracies
from energylens.trainings import demo, paper

METHODS = ("sat", "trades", "mart", "mail-trades", "weat-nat", "weat-adv")
DEMO = Accuracies((demo(*METHODS, seeds=(1, 2, 3, 4, 5)),), attacks=(("pgd", None), ("autoattack", 200)))
PAPER = Accuracies((paper(*METHODS, data="tiny-imagenet"),))
