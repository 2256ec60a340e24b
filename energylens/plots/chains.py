"""What figures of chains share: the names of classes, the colours of networks, and what a frame was made with."""

from collections.abc import Iterable

import pandas as pd

from energylens.errors import UserError, many
from energylens.intensity import finished, lost, number, objective
from energylens.plots import methods

OTHERS = ("#7f7f7f", "#e377c2", "#bcbd22", "#393b79", "#8c6d31")
"""of networks whose names tell no trainer, in turn"""


def shown(name: str) -> str:
    """A network's name as the paper writes it, safe as text of a figure."""
    known = methods.label(objective(name))
    return (known if objective(name) in methods.LABELS else name).replace("$", r"\$")


def colours(models: Iterable[str]) -> dict[str, str]:
    """A colour for each network: its trainer's, or another one in turn."""
    found, others = {}, 0
    for name in models:
        key = objective(name)
        found[name] = methods.colour(key) if key in methods.COLOURS else OTHERS[others % len(OTHERS)]
        others += key not in methods.COLOURS
    return found


def about(chains: pd.DataFrame, lead: str = "") -> str:
    """Method, data and number of chains of a frame of one method; in a second line how many became NaN, if any."""
    first, drawn = chains.iloc[0], many(number(finished(chains)), "chain")
    parts = [f"{first['method']}, {first['data']}: {lead}{drawn}", lost(chains)]
    return "\n".join(part for part in parts if part).replace("$", r"\$")


def one_setting(chains: pd.DataFrame) -> pd.DataFrame:
    """The rows of the frame's first network and method, finished or not."""
    first = chains.iloc[0]
    return chains[(chains["model"] == first["model"]) & (chains["method"] == first["method"])]


def check_any(figure: str, chains: pd.DataFrame) -> None:
    """A figure takes one finished chain at least.

    Raises:
        UserError: there is none.
    """
    if finished(chains).empty:
        raise UserError(f"{figure} cannot be drawn: {lost(chains)}; a smaller step_size may help")
