"""Energies of training images when WEAT and its rivals have been trained; feeds the claims of Table 2a."""

from energylens.run_tables import Rows
from energylens.trainings import demo, paper

RIVALS = ("weat-nat", "mail-trades", "trades", "weat-adv")
DEMO = Rows((demo(*RIVALS),), last=True)
PAPER = Rows((paper(*RIVALS, data="cifar100"),), last=True)
