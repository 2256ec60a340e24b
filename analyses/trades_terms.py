"""The course of the terms of TRADES (eqs. 5 and 6); feeds the figure `terms`."""

from energylens.run_tables import Means
from energylens.trainings import demo, paper

DEMO = Means((demo("trades"),))
PAPER = Means((paper("trades"),))
