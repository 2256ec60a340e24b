"""Attacks by name. Each is a frozen dataclass of settings that can be called; torch loads with the call.

`attack(model, x, y, *, index=None, target=None, observe=None) -> x_adv`, images and eps in pixel units.
"""

import dataclasses
import re
from collections.abc import Iterable

from energylens import spec
from energylens.attacks.apgd import APGD as APGD
from energylens.attacks.attack import Attack as Attack
from energylens.attacks.autoattack import AutoAttack as AutoAttack
from energylens.attacks.cw import CW as CW
from energylens.attacks.fab import FAB as FAB
from energylens.attacks.fgsm import FGSM as FGSM
from energylens.attacks.hepgd import HEPGD as HEPGD
from energylens.attacks.own import Own as Own
from energylens.attacks.own import load
from energylens.attacks.pgd import PGD as PGD
from energylens.attacks.ray import Ray as Ray
from energylens.attacks.square import Square as Square
from energylens.errors import UserError, unknown

CLASSES: tuple[type[Attack], ...] = (PGD, FGSM, APGD, FAB, Square, CW, HEPGD, AutoAttack, Ray)
ATTACKS: dict[str, Attack] = {name: kind(**settings) for kind in CLASSES for name, settings in kind.KINDS.items()}

REMEDIES = {
    "eps": "CW keeps its distance small without a bound; leave it out, or take cw-linf:eps=8/255",
    "target": "given-class attacks are pgd-t, cw-t and square-t: pgd-t:target=3",
}


def parse(text: str) -> Attack:
    """The attack of a reference such as `pgd`, `pgd:steps=50:norm=l2` or `mine.py:attack:eps=8/255`.

    Raises:
        UserError: unknown attack or setting, or a value that the attack refuses.
    """
    own = re.fullmatch(r"(.+?\.py:\w+|[A-Za-z_][\w.]*:\w+)((:.*)?)", text)
    if own and text.partition(":")[0] not in ATTACKS:
        return load(own[1], spec.parse(f"attack{own[2]}")[1])
    name, settings = spec.parse(text)
    if name not in ATTACKS:
        raise unknown("attack", name, ATTACKS)
    fields = [field.name for field in dataclasses.fields(ATTACKS[name])]
    for key, remedy in REMEDIES.items():
        if key in settings and key not in fields:
            raise UserError(f"attack {name} has no {key}; {remedy}")
    spec.check(settings, fields, f"attack {name}")
    if "eps" in fields and str(settings.get("norm", "linf")).lower() == "l2" and "eps" not in settings:
        raise UserError(f"'{text}' leaves eps at 8/255, which is next to nothing in L2; write {text}:eps=0.5, say")
    attack = dataclasses.replace(ATTACKS[name], **settings)
    if attack.kind != name:
        raise UserError(f"'{text}' is {attack.kind} and not {name}; write {attack.kind}")
    return attack


def check_said_once(text: str, **of_all: float | None) -> None:
    """Whether an attack's reference leaves to all attacks what is said of all, such as `eps`.

    Raises:
        UserError: it says that too.
    """
    for name, value in of_all.items():
        if value is not None and f":{name}=" in text:
            raise UserError(f"attack {text} says {name}, and {name} {value:g} is said of all attacks; leave one out")


def kind(name: str) -> str:
    """Which of ATTACKS a name in a table belongs to: `pgd-t-steps50` is `pgd-t`; the name itself if none."""
    return max((known for known in ATTACKS if re.match(rf"{known}(-|$)", name)), key=len, default=name)


def of_kind(names: Iterable, wanted: str) -> list:
    """Those of a table's attack names that belong to one of ATTACKS."""
    return [name for name in names if kind(str(name)) == wanted]


def title(name: str) -> str:
    """How a figure names an attack: `pgd-eps0.2` is `PGD-20`, its number of steps beside it."""
    base = kind(name)
    if base not in ATTACKS:
        return name
    steps = re.search(r"-(?:steps|queries)(\d+)", name)
    usual = getattr(ATTACKS[base], "steps", getattr(ATTACKS[base], "queries", None))
    number = steps.group(1) if steps else usual
    return label(base) if number is None else f"{label(base)}-{number}"


def label(base: str) -> str:
    """One of ATTACKS as it is written in text: `apgd-ce` is `APGD-CE`, `square-t` is `Square-T`."""
    return base.upper().replace("SQUARE", "Square").replace("AUTOATTACK", "AutoAttack").replace("RAY", "Ray")
