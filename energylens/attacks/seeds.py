"""Attacks and the seeds of their random choices."""

from dataclasses import fields, replace
from typing import Any

from energylens.attacks.attack import Attack


def seeded(attack: Attack, seed: int) -> Attack:
    """The same attack with another seed; itself if it makes no random choices."""
    change: dict[str, Any] = {"seed": seed}
    return replace(attack, **change) if any(field.name == "seed" for field in fields(attack)) else attack


def seedless(attack: Attack) -> Attack:
    """What attacks that differ in their seed alone have in common: the one with the usual seed."""
    return seeded(attack, 0)
