"""Training images under the first network, SAT, from which the subsets of figure 5a are taken."""

from energylens.run_tables import Rows
from energylens.trainings import demo, paper

DEMO = Rows((demo("sat"),), last=True, apart=True)
PAPER = Rows((paper("sat"),), last=True, apart=True)
