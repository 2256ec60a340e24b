"""The course of SAT's and TRADES's energies and errors; feeds figure 3."""

from energylens.run_tables import Means
from energylens.trainings import demo, paper

DEMO = Means((demo("sat", "trades"),))
PAPER = Means((paper("sat", "trades"),))
