"""Measuring from Python: networks, attacks and options as objects."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from energylens import measure, models, progress, spec, table
from energylens.attacks import Attack, Own, parse
from energylens.options import Place
from energylens.recipe import Recipe

PATHS = ("tables", "data_dir", "model_dir")


def energies(nets: Any, data: str, attacks: Any, samples: int | None, name: str, place: dict[str, Any]) -> pd.DataFrame:
    """What `energylens.energies` does."""
    spec.check(place, [field.name for field in fields(Place)], "energylens.energies")
    paths = {key: Path(value) for key, value in place.items() if key in PATHS and value}
    where = replace(Place(), **place | paths)
    wanted = tuple(reference for net in _several(nets) for reference in _references(net))
    recipe = Recipe(wanted, data, tuple(_attack(attack) for attack in _several(attacks)), samples)
    measure.run(recipe, name, where, show=progress.shown, say=lambda line: None)
    return table.open(where.tables / name / recipe.folder, *recipe.names, samples)


def _several(things: Any) -> list:
    one = isinstance(things, str | nn.Module | Mapping | Attack) or not isinstance(things, Iterable)
    return [things] if one else list(things)


def _references(net: Any) -> list[str]:
    if isinstance(net, Mapping):
        return [models.give(name, module) for name, module in net.items()]
    return [models.give(type(net).__name__, net)] if isinstance(net, nn.Module) else [net]


def _attack(attack: Any) -> Attack:
    if isinstance(attack, Attack):
        return attack
    return parse(attack) if isinstance(attack, str) else Own(attack)
