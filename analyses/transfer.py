"""SAT with adversarial images of half of the classes alone; feeds the figure `transfer` (Losch et al. 2024).

Two ways to halve the ten classes, each half in its turn: every class is left out of the attack twice.
"""

from energylens.run_tables import Rows
from energylens.trainings import demo, paper

HALVES = tuple((f"classes:{half}", "unperturbed") for half in ("0,1,2,3,4", "5,6,7,8,9", "0,2,4,6,8", "1,3,5,7,9"))
SPLITS = ("train", "test")
DEMO = Rows(
    (demo("sat"), demo("sat", subsets=HALVES, every=16, energies_samples=None)), splits=SPLITS, last=True, apart=True
)
PAPER = Rows((paper("sat"), paper("sat", subsets=HALVES, every=100)), splits=SPLITS, last=True, apart=True)
