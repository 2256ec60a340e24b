"""Measuring from Python: networks, attacks and options as objects."""

import os
import sys
import traceback
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd
import typer
from torch import nn
from typer.exceptions import TyperException

from energylens import measure, models, options, paths, progress, spec, summary, table
from energylens.attacks import Attack, Own, check_said_once, parse
from energylens.errors import Note, UserError, option
from energylens.recipe import Recipe
from energylens.references import named

WHAT = ("eps", "seed", "precision", "shuffle_seed")
"""options that decide numbers, beside `record`"""
FLAGS = ("trust_checkpoint", "keep_logits", "keep_images")
KNOWN = (*WHAT, "record", *(field.name for group in (options.Place, options.Keep) for field in fields(group)))
PACKAGE = f"{paths.PACKAGE}{os.sep}"
INFORMATION = ("images: ", "brought back: ")
"""how lines begin that nobody needs to be warned of"""

Options = tuple[options.Choice, options.Place, options.Keep]
app = typer.Typer(add_completion=False)


def energies(nets: Any, data: str, attacks: Any, samples: int | None, name: str, given: dict[str, Any]) -> pd.DataFrame:
    """What `energylens.energies` does."""
    choice, place, keep = _options(given | {"samples": samples})
    chosen = _several(attacks)
    for attack in chosen:
        if isinstance(attack, str):
            check_said_once(attack, eps=choice.eps, seed=choice.seed)
    wanted = tuple(reference for net in _several(nets) for reference in _references(net))
    _check_models(wanted, place)
    recipe = Recipe(wanted, data, tuple(map(_attack, chosen))).override(**vars(choice))
    if given.get("record") is not None:
        recipe = replace(recipe, record=given["record"])
    measure.run(recipe, name, place, keep, show=progress.shown, say=_warn)
    points = place.tables / name / recipe.folder
    for line in summary.warnings(summary.of(points, *recipe.names, recipe.samples)):
        _warn(line)
    return table.open(points, *recipe.names, recipe.samples)


def _check_models(wanted: tuple[str, ...], place: options.Place) -> None:
    if not wanted:
        raise UserError("energylens.energies wants a network or a model reference, such as demo:sat")
    if any(named(reference)[1].startswith("given:") for reference in wanted):
        elsewhere = place.engine if place.engine != "local" else "several GPUs" if len(place.devices) > 1 else None
        if elsewhere:
            raise UserError(
                f"networks in memory are known to this process alone, and {elsewhere} would need other processes; "
                "give FILE.py:FUNCTION, or take engine='local' and one device"
            )


def _options(given: dict[str, Any]) -> Options:
    """Options as the command reads and checks them; None is one that is not given.

    Raises:
        UserError: there is none of that name, or a value is refused.
    """
    spec.check(given, [*KNOWN, "samples"], "energylens.energies")
    said = {name: value for name, value in given.items() if value is not None and name != "record"}
    for flag in said.keys() & set(FLAGS):
        if not isinstance(said[flag], bool | np.bool_):
            raise UserError(f"energylens.energies: {flag}={said[flag]!r}; write True or False")
    said = {name: value for name, value in said.items() if name not in FLAGS or value}
    typed = [_typed(name, value) for name, value in said.items()]
    try:
        return typer.main.get_command(app).main(typed, "energylens.energies", standalone_mode=False)
    except TyperException as error:
        raise UserError(f"energylens.energies: {error.format_message()}") from error


def _typed(name: str, value: Any) -> str:
    return option(name) if name in FLAGS else f"{option(name)}={value}"


@app.command()
@options.expand
def _read(choice: options.Choice, place: options.Place, keep: options.Keep) -> Options:
    return choice, place, keep


def _warn(line: str) -> None:
    """A remark of the command as a warning where its caller stands; what only informs is left out."""
    if line.startswith(INFORMATION):
        return
    frames = [frame.f_code.co_filename for frame, _ in traceback.walk_stack(sys._getframe())]
    ours = max(place for place, file in enumerate(frames) if file.startswith(PACKAGE))
    warnings.warn(line.removeprefix("warning: "), Note, stacklevel=ours + 2)


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
