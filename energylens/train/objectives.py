"""What a trainer minimises: a sum of scale x mean(weight x loss), and the attack that makes the images for it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor, nn

from energylens.attacks import PGD
from energylens.errors import UserError, unknown
from energylens.train.negatives import Negatives
from energylens.train.settings import NORMALIZE
from energylens.train.terms import PerImage, boosted_ce, ce_adv, ce_clean, der, joint_adv, kl
from energylens.train.weights import mail, ones, unsure, weat

Mean = Callable[[Tensor], Tensor]
"""[B] -> a scalar; of several processes, the mean over all their images"""


@dataclass(frozen=True)
class Inner:
    """The attack inside a training step."""

    loss: str
    """what it climbs, of attacks.losses.LOSSES: `ce`, `kl`, `joint`"""
    start: str
    """of attacks.starts.STARTS: `tiny`, `uniform`, `clean`"""
    steps: int | None = None
    """None: as many as the recipe says"""
    step: float | None = None
    """size of a step, as a share of eps; None: the recipe's"""

    def __post_init__(self):
        self.attack(0.1, 1, None, 0)  # refuses here what it would refuse there

    def attack(self, eps: float, steps: int, step_size: float | None, seed: int) -> PGD:
        """The attack at a radius.

        Args:
            eps: radius in Linf, in pixel units.
            steps: how many, unless the objective says.
            step_size: of a step, in pixel units, unless the objective says; None: eps / 4.
            seed: of the start noise.

        Returns:
            PGD. As in the public code, x + 0.001 N(0, 1) is not clamped to [0, 1], other starts are.

        Raises:
            UserError: a setting that PGD refuses.
        """
        steps = steps if self.steps is None else self.steps
        step_size = step_size if self.step is None else self.step * eps
        clamp = self.start != "tiny"
        return PGD(eps, step_size, steps, loss=self.loss, start=self.start, clamp_start=clamp, seed=seed)


@dataclass(frozen=True)
class Term:
    """One summand: scale x mean(weight x loss)."""

    loss: PerImage
    scale: float = 1
    weight: PerImage = ones

    @property
    def name(self) -> str:
        """The name of its loss."""
        return self.loss.__name__


@dataclass(frozen=True)
class Objective:
    """An inner attack and the terms it feeds."""

    inner: Inner | None
    """None: the network sees natural images alone"""
    terms: tuple[Term, ...]
    clean: bool = True
    """whether natural images pass through the network too; BatchNorm's statistics count them then"""
    burn_in: float = 0.0
    """share of the epochs, from the first on, in which all weights are 1"""
    negatives: Negatives | None = None
    """JEAT's sampler, whose images the network sees beside the adversarial ones"""

    def __post_init__(self):
        if not 0 <= self.burn_in <= 1:
            raise UserError(f"Objective(burn_in={self.burn_in!r}): burn_in is a share of the epochs, from 0 to 1")

    @property
    def weighted(self) -> bool:
        """Whether images have weights, so that normalising them, or a burn-in, changes anything."""
        return any(term.weight is not ones for term in self.terms)

    @property
    def has_kl(self) -> bool:
        """Whether there is a KL term, whose factor is beta."""
        return any(term.loss is kl for term in self.terms)

    @property
    def plain(self) -> "Objective":
        """The same with all weights 1, as in the burn-in."""
        return replace(self, terms=tuple(replace(term, weight=ones) for term in self.terms), burn_in=0.0)

    def logits(self, net: nn.Module, x: Tensor, x_adv: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, K] at natural and adversarial images, from one pass each, natural images first.

        Two passes and not one of both: BatchNorm sees them apart, as in the public code. Where the objective
        needs one kind of images alone, one pass gives both.
        """
        if self.inner is None or not self.clean:
            only = net(x if self.inner is None else x_adv)
            return only, only
        return net(x), net(x_adv)

    def parts(
        self,
        clean: Tensor,
        adv: Tensor,
        y: Tensor,
        mean: Mean = Tensor.mean,
        normalize: str = "none",
        negative: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Each term's share of the loss.

        Args:
            clean: [B, K] logits at the natural images.
            adv: [B, K] logits at the adversarial images.
            y: [B] classes, int64.
            mean: over images; another one where the batch is spread over processes.
            normalize: of NORMALIZE.
            negative: [N, K] logits at the negatives, for an objective that has them.

        Returns:
            name of a term -> scale x mean(weight x loss), scalars; terms of one name are added. After them, the
            parts of the negatives.

        Raises:
            UserError: an unknown `normalize`.
            ValueError: negatives are missing, or the objective has none.
        """
        if (negative is None) != (self.negatives is None):
            raise ValueError("logits at negatives are for objectives that have them, and needed there")
        if normalize not in NORMALIZE:
            raise unknown("normalize", str(normalize), NORMALIZE)
        parts: dict[str, Tensor] = {}
        for term in self.terms:
            weight = term.weight(clean, adv, y)
            if normalize == "mean1":
                weight = weight / mean(weight.detach())
            part = term.scale * mean(weight * term.loss(clean, adv, y))
            parts[term.name] = parts[term.name] + part if term.name in parts else part
        if self.negatives and negative is not None:
            parts |= self.negatives.parts(adv, negative, mean)
        return parts

    def loss(
        self,
        clean: Tensor,
        adv: Tensor,
        y: Tensor,
        mean: Mean = Tensor.mean,
        normalize: str = "none",
        negative: Tensor | None = None,
    ) -> Tensor:
        """The number to minimise: the sum of `parts`."""
        first, *others = self.parts(clean, adv, y, mean, normalize, negative).values()
        return sum(others, start=first)


CE, CE_TINY, KL = Inner("ce", "uniform"), Inner("ce", "tiny"), Inner("kl", "tiny")
MART = Objective(CE_TINY, (Term(boosted_ce), Term(kl, 5, unsure)))
TRADES = Objective(KL, (Term(ce_clean), Term(kl, 6)))
WEAT_NAT = Objective(KL, (Term(ce_clean, 1, weat), Term(kl, 6, weat)))
WEAT_ADV = Objective(KL, (Term(ce_adv, 1, weat), Term(kl, 6, weat)))

OBJECTIVES = {
    "standard": Objective(None, (Term(ce_clean),)),
    "fgsm-at": Objective(Inner("ce", "clean", steps=1, step=1.0), (Term(ce_adv),), clean=False),
    "sat": Objective(CE, (Term(ce_adv),), clean=False),
    "trades": TRADES,
    "mart": MART,
    "mail-at": Objective(CE_TINY, (Term(ce_adv, 1, mail),), clean=False, burn_in=0.75),
    "mail-trades": Objective(KL, (Term(ce_clean), Term(kl, 5, mail)), burn_in=0.75),
    "weat-nat": WEAT_NAT,
    "weat-adv": WEAT_ADV,
    # Reconstructed: no code of JEAT is public; docs/jeat.md tells what is known of it and what is our reading.
    "jeat": Objective(Inner("joint", "uniform"), (Term(joint_adv),), clean=False, negatives=Negatives()),
    # Table 1c: from MART (1) to TRADES (5), and from there to WEAT (7, 8)
    "tab1c-1": MART,
    "tab1c-2": Objective(CE_TINY, (Term(ce_adv), Term(kl, 5, unsure))),
    "tab1c-3": Objective(CE_TINY, (Term(ce_adv), Term(kl, 6))),
    "tab1c-4": Objective(KL, (Term(ce_adv), Term(kl, 6))),
    "tab1c-5": TRADES,
    "tab1c-6": Objective(KL, (Term(ce_clean, 1, mail), Term(kl, 5, mail)), burn_in=0.75),
    "tab1c-7": WEAT_NAT,
    "tab1c-8": WEAT_ADV,
}


def objective(name: str, beta: float | None = None, der: float = 0.0) -> Objective:
    """A row of OBJECTIVES, with a user's changes.

    Args:
        name: of the row.
        beta: factor of its KL terms; the row's own if None.
        der: lambda of the added term lambda mean((E(x) - E(x*))^2), with gradients through both sides; natural
            images pass through the network then, whatever the row. Our reading of DER (Mirza et al. 2025,
            arXiv:2505.22486): the paper's exact formula was not available.

    Returns:
        The objective.

    Raises:
        UserError: an unknown name; beta for a row without KL, der for one without an attack; a value that is
            negative or not finite.
    """
    if name not in OBJECTIVES:
        raise unknown("objective", name, OBJECTIVES)
    row = OBJECTIVES[name]
    if beta is not None:
        row = _with_beta(name, row, _factor("beta", beta))
    if _factor("der", der):
        row = _with_der(name, row, der)
    return row


def _factor(option: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise UserError(f"{option}={value!r}: {option} must be a finite number, at least 0")
    return value


def _with_beta(name: str, row: Objective, beta: float) -> Objective:
    if not row.has_kl:
        having = ", ".join(known for known, other in OBJECTIVES.items() if other.has_kl)
        raise UserError(f"objective {name} has no KL term for beta={beta:g}; leave beta out, or take one of {having}")
    return replace(row, terms=tuple(replace(term, scale=beta) if term.loss is kl else term for term in row.terms))


def _with_der(name: str, row: Objective, factor: float) -> Objective:
    if row.inner is None:
        raise UserError(f"objective {name} has no attack for der={factor:g}; leave der out, or take sat")
    return replace(row, terms=(*row.terms, Term(der, factor)), clean=True)
