"""A way to make images: where chains start, how they go on, and the seed of their random numbers."""

from dataclasses import dataclass
from typing import Any

from energylens.attacks.settings import check_numbers
from energylens.generate.sampler import Sampler
from energylens.generate.starts import Start


@dataclass(frozen=True)
class Method:
    """Its name stands in tables where an attack's stands: `eq7-pca`, `eq7-steps200-pca-sigma0.01`, `eq7-pca-seed2`."""

    start: Start
    sampler: Sampler
    seed: int = 0

    def __post_init__(self):
        check_numbers(self, seed=0)

    @property
    def name(self) -> str:
        """Sampler, start, and a seed other than 0."""
        return f"{self.sampler.name}-{self.start.name}" + (f"-seed{self.seed}" if self.seed else "")

    @property
    def facts(self) -> dict[str, Any]:
        """All that decides its images, beside the network and the training images."""
        return {"start": self.start.facts, "sampler": self.sampler.facts, "seed": self.seed}
