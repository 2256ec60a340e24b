"""Where chains start: noise, or a draw from what the training images of a class have in common.

Chain i's start depends on (seed, i), its class and the training images alone: neither on its batch nor on a device.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from energylens import keyed, spec
from energylens.attacks.settings import check_numbers, short
from energylens.errors import UserError, many, unknown
from energylens.generate.statistics import Statistics, check_retained, leading, principal

if TYPE_CHECKING:
    from torch import Tensor

PUBLISHED = 5000
"""images of a class of CIFAR-10; a PCA's sigma is meant for so many"""


@dataclass(frozen=True)
class Start:
    """Settings that can be called. A kind's own class adds its fields and `_draw`."""

    version: ClassVar[int] = 1
    """Grows when the same settings give other images; part of a table's key."""
    kind: ClassVar[str]

    @property
    def fewest(self) -> int:
        """How many training images of a class it needs."""
        return 2

    @property
    def name(self) -> str:
        """Short name that carries every setting that is not the default: `pca`, `pca-retained0.95-sigma0.01`."""
        changed = [
            f"{field.name}{short(getattr(self, field.name))}"
            for field in sorted(fields(self), key=lambda field: field.name)
            if getattr(self, field.name) != field.default
        ]
        return "-".join([self.kind, *changed])

    @property
    def facts(self) -> dict[str, Any]:
        """All that decides its images; part of a table's key."""
        settings = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"kind": self.kind, "version": self.version, **settings}

    def __call__(self, statistics: Statistics, y: Tensor, *, index: list[int], seed: int) -> Tensor:
        """The first images of chains.

        Args:
            statistics: of the training images.
            y: [B] classes, on any device.
            index: the chains' numbers, which key their random choices together with the seed.
            seed: of all random choices.

        Returns:
            [B, C, H, W] float32 in [0, 1], on the CPU.

        Raises:
            UserError: a class that the data lacks, or of which there are too few images.
        """
        import torch  # here, so that a recipe can be read without it

        chains = sorted(zip(y.tolist(), index, range(len(y)), strict=True))  # each class's images are read once
        made = np.empty((len(y), int(np.prod(statistics.shape))), np.float32)
        for k, chain, row in chains:
            statistics.count(k)  # refuses a class that is none
            made[row] = self._draw(statistics, k, keyed.rng(seed, keyed.START, chain)).clip(0, 1)
        return torch.from_numpy(made).view(-1, *statistics.shape)

    def _draw(self, statistics: Statistics, k: int, rng: np.random.Generator) -> np.ndarray:
        """[P] pixels, not yet clipped."""
        raise NotImplementedError


@dataclass(frozen=True)
class Random(Start):
    """Every pixel uniform in [0, 1] (JEM, JEAT)."""

    kind = "random"

    @property
    def fewest(self) -> int:
        """None: it knows nothing of the class."""
        return 0

    def _draw(self, statistics, k, rng):
        return rng.random(int(np.prod(statistics.shape)), np.float32)


@dataclass(frozen=True)
class Gaussian(Start):
    """N(mean, covariance + ridge I) of the class's images, the covariance over n (Santurkar et al. 2019, JEM++)."""

    kind = "gaussian"
    ridge: float = 1e-4
    """in squared pixel units"""

    def __post_init__(self):
        check_numbers(self, ridge=0.0)

    def _draw(self, statistics, k, rng):
        # The centred images X times z / sqrt(n) have their covariance X^T X / n: nothing is factorised.
        images = statistics.images(k)
        z = rng.standard_normal(len(images))
        z -= z.mean()  # as good as centring the images
        spread = (z / np.sqrt(len(images))).astype(np.float32) @ images
        return statistics.mean(k) + spread + np.sqrt(self.ridge) * rng.standard_normal(len(spread))


@dataclass(frozen=True)
class PCA(Start):
    """The class's mean and a random step along each of its principal components (arXiv:2407.06315, section 4).

    x = mean + sum_i sigma sqrt(5000 / n) s_i N(0, 1) u_i with directions u_i and singular values s_i of the class's
    n images. The square root is ours: with it sigma means the same for classes of any size, and changes nothing for
    CIFAR-10. There sigma = 0.005 is 0.354 of the natural spread along each component; 0.0141 is all of it.
    """

    kind = "pca"
    sigma: float = 0.005
    retained: float = 0.99
    """share of the variance; the component that crosses it is left out"""

    def __post_init__(self):
        check_numbers(self, sigma=0.0, retained=1e-12)
        check_retained(type(self).__name__, self.retained)

    def _draw(self, statistics, k, rng):
        directions, singular = statistics.components(k, self.retained)
        return statistics.mean(k) + _along(directions, singular, self.sigma, statistics.count(k), rng)


@dataclass(frozen=True)
class InformativePCA(PCA):
    """Of each chain, at random: `gaussian` or `pca`, half of them either way (as in the paper's released code)."""

    kind = "informative-pca"
    ridge: float = 1e-4
    """of the Gaussian, in squared pixel units"""

    def __post_init__(self):
        super().__post_init__()
        check_numbers(self, ridge=0.0)

    def _draw(self, statistics, k, rng):
        start = Gaussian(self.ridge) if rng.random() < 0.5 else PCA(self.sigma, self.retained)
        return start._draw(statistics, k, rng)


@dataclass(frozen=True)
class LocalPCA(PCA):
    """`pca` of the images around one: our reading of a start that arXiv:2505.22486 names and does not describe.

    A training image of the class is drawn, and the images of its class nearest to it in pixel L2, itself among them,
    take the place of the class: their mean, their components, their number.
    """

    kind = "local-pca"
    neighbours: int = 50

    def __post_init__(self):
        super().__post_init__()
        check_numbers(self, neighbours=2)

    @property
    def fewest(self) -> int:
        """Its neighbours."""
        return self.neighbours

    def _draw(self, statistics, k, rng):
        images = statistics.images(k)
        if len(images) < self.neighbours:
            wanted = f"local-pca takes {self.neighbours} neighbours, class {k} has {many(len(images), 'image')}"
            raise UserError(f"{wanted}; write local-pca:neighbours={len(images)} or less")
        offsets = images - images[rng.integers(len(images))]
        near = images[np.argsort(np.einsum("np,np->n", offsets, offsets), kind="stable")[: self.neighbours]]
        found = principal(near)
        found = found[: leading(found["share"], self.retained)]
        return near.mean(0) + _along(found["direction"], found["singular"], self.sigma, len(near), rng)


def _along(directions: np.ndarray, singular: np.ndarray, sigma: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """[P] a random step along the components of n images."""
    steps = sigma * np.sqrt(PUBLISHED / n) * singular * rng.standard_normal(len(singular))
    return steps.astype(np.float32) @ directions


STARTS: dict[str, Start] = {start.kind: start for start in (Random(), Gaussian(), PCA(), InformativePCA(), LocalPCA())}


def parse(text: str) -> Start:
    """The start of a reference such as `pca` or `pca:sigma=0.01:retained=0.95`.

    Raises:
        UserError: unknown start or setting, or a value that it refuses.
    """
    name, settings = spec.parse(text)
    if name not in STARTS:
        raise unknown("start", name, STARTS)
    known = [field.name for field in fields(STARTS[name])]
    if settings and not known:
        raise UserError(f"start {name} has no settings; leave out :{text.partition(':')[2]}")
    return replace(STARTS[name], **spec.check(settings, known, f"start {name}"))
