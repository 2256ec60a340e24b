"""Energies of SAT's and of TRADES's training images, epoch by epoch; feeds the animation `drift`."""

from energylens.run_tables import Rows
from energylens.trainings import demo, paper

DEMO = Rows((demo("sat", "trades"),))
PAPER = Rows((paper("sat", "trades"),), samples=5000)
