"""Test images when SAT has been trained with a subset left unperturbed, or removed; feeds the claims of figure 5a."""

from energylens.run_tables import Rows
from energylens.trainings import demo, paper

SUBSETS = (
    None,
    *((which, mode) for mode in ("unperturbed", "removed") for which in ("misclassified", "high", "low")),
)
DEMO = Rows((demo("sat", subsets=SUBSETS),), splits=("test",), last=True, apart=True)
PAPER = Rows((paper("sat", subsets=SUBSETS),), splits=("test",), last=True, apart=True)
