"""The course of Delta E(x) while WEAT and its rivals train; feeds Table 2a, which is a plot, on CIFAR-100."""

from energylens.run_tables import Means
from energylens.trainings import demo, paper

RIVALS = ("weat-nat", "mail-trades", "trades", "weat-adv")
DEMO = Means((demo(*RIVALS),))
PAPER = Means((paper(*RIVALS, data="cifar100"),))
