"""Would an attack on this model tell how robust it is? Signs that its gradients are masked, or its output misread.

Sources: Carlini et al. 2019, "On Evaluating Adversarial Robustness" (arXiv:1902.06705); Athalye et al. 2018,
"Obfuscated Gradients Give a False Sense of Security" (arXiv:1802.00420); the flags of AutoAttack (Croce and Hein 2020,
arXiv:2003.01690; pyautoattack/checks.py); Pintor et al. 2022, "Indicators of Attack Failure" (arXiv:2106.09947).
The thresholds are ours where no source is named.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from energylens import energy
from energylens.attacks import APGD, PGD, Square
from energylens.attacks.attack import Attack
from energylens.attacks.frozen import frozen
from energylens.attacks.library import own_random_numbers
from energylens.data import Data
from energylens.models import check
from energylens.reach import full_float32

IMAGES = 64
"""how many of the selected images are looked at, the first ones"""
SAME = 1e-4
"""logits that differ by no more than this share of the largest are called the same, as in AutoAttack"""
BETTER = 10.0
"""points of accuracy by which another input range must win before it is believed to be the right one"""
QUERIES = 1000
LUCK = 1
"""images that Square may break beyond the white-box attacks: AutoAttack allows 0.2 % of its images, but of 64 one
alone is 1.6 %, and sound networks have one in 4 of 50 groups of images (docs/check.md)"""
LARGE_EPS = 0.5
"""Linf radius that holds a uniformly grey picture for every image, which no classifier tells from another"""


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    name: str
    passed: bool
    text: str
    """its numbers"""

    def __str__(self) -> str:
        return f"{'pass' if self.passed else 'warn'}  {self.name:<20}{self.text}"


@dataclass(frozen=True)
class Patient:
    """What every check looks at."""

    net: nn.Module
    x: Tensor
    """[B, C, H, W] in [0, 1]"""
    y: Tensor
    """[B] int64"""
    index: Tensor
    """[B] places in the split"""
    eps: float
    classes: int
    """K"""
    labels: int
    """the number of classes that the data's labels need"""
    right: Tensor
    """[R] the rows that are classified right"""

    @torch.no_grad()
    def logits(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, K] in float32."""
        return self.net(x).float()

    def standing(self, attack: Attack, rows: Tensor) -> Tensor:
        """Those of the rows that are still classified right at the attack's points."""
        if not len(rows):
            return rows
        x_adv = attack(self.net, self.x[rows], self.y[rows], index=self.index[rows].cpu())
        return rows[energy.predict(self.logits(x_adv)) == self.y[rows]]


def white_box(eps: float, classes: int) -> dict[str, Attack]:
    """Attacks that see gradients; one of them climbs a margin and no cross-entropy.

    Without that one, Square would beat networks trained with TRADES, whose gradients are sound (docs/check.md).
    """
    margin = (
        {"APGD-T": APGD(eps=eps, steps=20, loss="targeted-dlr")}
        if classes >= 4
        else {"CW": PGD(eps=eps, loss="margin")}
    )
    return {"PGD-20": PGD(eps=eps), "APGD-CE": APGD(eps=eps, steps=50), **margin}


def output_kind(patient: Patient) -> Finding:
    """Logits, and not what a softmax makes of them (AutoAttack, check_range_output)."""
    kind = check.output_kind(patient.logits(patient.x))
    return Finding("output kind", kind == "logits", kind)


def class_count(patient: Patient) -> Finding:
    """As many classes as the labels need: the others would count in E(x), and attacks could win with them."""
    text = f"{patient.classes} classes, the labels need {patient.labels}"
    return Finding("class count", patient.classes == patient.labels, text)


def same_twice(patient: Patient) -> Finding:
    """Two passes give the same logits (Athalye et al. 2018, "stochastic gradients"; AutoAttack, check_randomized)."""
    first, second = patient.logits(patient.x), patient.logits(patient.x)
    difference = float((first - second).nan_to_num().abs().max())
    close = difference <= SAME * float(first.nan_to_num().abs().max())
    text = f"two passes differ by up to {difference:.3g}" if difference else "two passes give the same logits"
    return Finding("randomised outputs", close, text)


def _standardised(x: Tensor) -> Tensor:
    std, mean = torch.std_mean(x, (0, 2, 3), keepdim=True)
    return (x - mean) / std.clamp_min(1e-6)


RANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "[0, 1]": lambda x: x,
    "[0, 255]": lambda x: 255 * x,
    "standardised": _standardised,
}


def input_range(patient: Patient) -> Finding:
    """[0, 1] serves the model best; a range that it fails on is left out."""
    accuracy = {}
    for name, change in RANGES.items():
        try:
            right = energy.predict(patient.logits(change(patient.x))) == patient.y
        except Exception:  # the network is the user's code, and may refuse what is not in [0, 1]
            continue
        accuracy[name] = 100 * float(right.float().mean())
    best = max(accuracy, key=accuracy.__getitem__)
    passed = accuracy[best] - accuracy["[0, 1]"] <= BETTER
    text = "accuracy " + ", ".join(f"{value:.1f} % on {name}" for name, value in accuracy.items())
    return Finding("input range", passed, text if passed else f"{text}: put the normalisation inside the model")


def zero_gradients(patient: Patient) -> Finding:
    """No right image has a CE gradient that is zero, or NaN, in every pixel (AutoAttack, check_zero_gradients)."""
    rows = patient.right
    with torch.enable_grad():
        x = patient.x[rows].requires_grad_()
        (gradient,) = torch.autograd.grad(energy.cross_entropy(patient.net(x).float(), patient.y[rows]).sum(), x)
    dead = int((gradient.nan_to_num(0, 0, 0) == 0).flatten(1).all(1).sum())
    return Finding("zero gradients", dead == 0, f"{dead} of {len(rows)} right images")


def square_wins(patient: Patient) -> Finding:
    """Square breaks nothing that the white box leaves (Athalye et al. 2018; AutoAttack, check_square_sr).

    Each attack runs on what the ones before it left.
    """
    left, trail = patient.right, [f"{len(patient.right)} right images"]
    for name, attack in white_box(patient.eps, patient.classes).items():
        left = patient.standing(attack, left)
        trail.append(f"{len(left)} after {name}")
    broken = len(left) - len(patient.standing(Square(eps=patient.eps, queries=QUERIES), left))
    return Finding("black-box attack", broken <= LUCK, f"{', '.join(trail)}; Square breaks {broken} of those")


def large_eps(patient: Patient) -> Finding:
    """With room enough, PGD breaks everything (Carlini et al. 2019; Athalye et al. 2018)."""
    pgd = PGD(eps=LARGE_EPS, steps=50)
    left = len(patient.standing(pgd, patient.right))
    text = f"{left} of {len(patient.right)} right images stand PGD-{pgd.steps} at eps {LARGE_EPS:g}"
    return Finding("large eps", left == 0, text)


OF_OUTPUTS = (output_kind, class_count, same_twice, input_range)
OF_GRADIENTS = (zero_gradients, square_wins, large_eps)


def check_up(net: nn.Module, images: Data, eps: float = 8 / 255) -> list[Finding]:
    """What every check finds on the first IMAGES images; network and random numbers are left as they were.

    Args:
        net: images in [0, 1] -> logits [B, K], where its parameters are; looked at in eval mode.
        images: the selected ones.
        eps: Linf radius of PGD, APGD and Square, in pixel units of [0, 1].

    Raises:
        UserError: eps is no radius in Linf.
    """
    PGD(eps=eps)  # a wrong eps is told before any work
    x, y, index = (part.to(check.device_of(net)) for part in images.batch(0, min(IMAGES, len(images))))
    with frozen(net), own_random_numbers(0), full_float32():
        with torch.no_grad():
            logits = net(x).float()
        right = (energy.predict(logits) == y).nonzero()[:, 0]
        patient = Patient(net, x, y, index, eps, logits.shape[1], int(images.labels.max()) + 1, right)
        found = [look(patient) for look in OF_OUTPUTS]
        if not len(right):
            return [*found, Finding("gradients", False, f"none of {len(x)} images is classified right to attack it")]
        return found + [look(patient) for look in OF_GRADIENTS]
