"""Energies of SAT's training images, epoch by epoch; feeds figures 1b, 1c and 1d.

The paper trains with PGD-5 and does not say how; eps 8/255 and steps of 2/255 are our choice. The demo's SAT is the
one of all other figures.
"""

from dataclasses import replace

from energylens.run_tables import Rows
from energylens.trainings import demo, paper

DEMO = Rows((demo("sat"),))
PAPER = Rows((replace(paper("sat", every=1, energies_samples=1000), changes={"attack_steps": 5}, title="pgd5"),))
