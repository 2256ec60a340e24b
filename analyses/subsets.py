"""SAT with a subset of its images left unperturbed, or removed, epoch by epoch; feeds figure 5a.

The caption says unperturbed, the text "without these subsets". The size of the subsets is our choice: the number of
images that the first network, SAT of the same seed, gets wrong.
"""

from energylens.run_tables import Means
from energylens.trainings import demo, paper

SUBSETS = (
    None,
    *((which, mode) for mode in ("unperturbed", "removed") for which in ("misclassified", "high", "low")),
)
DEMO = Means((demo("sat", subsets=SUBSETS),), apart=True)
PAPER = Means((paper("sat", subsets=SUBSETS),), apart=True)
