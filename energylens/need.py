"""What a figure is drawn from: something that can be measured, foreseen, and read as one DataFrame."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from energylens.options import Place


@dataclass(frozen=True)
class Where:
    """Where everything of a figure lies, and what measures it."""

    place: Place
    runs: Path = Path("runs")
    """folder of the training runs"""
    out: Path = Path("out")
    """folder of the pictures and of the table of accuracies"""


class Need(ABC):
    """One table of a figure, named by its analysis."""

    UNUSED: ClassVar[frozenset[str]] = frozenset({"features"})
    """choices that mean nothing to it: other tables of the same figure may take them"""

    @abstractmethod
    def override(self, *args: Any, **given: Any) -> Need:
        """The same with a user's choices of `options.Choice`; None keeps what it says.

        Raises:
            UserError: a choice that it has no use for, or that is refused.
        """

    @abstractmethod
    def measure(self, analysis: str, where: Where) -> None:
        """Measure what is missing.

        Raises:
            UserError: something is not usable, or has to be brought by the user.
        """

    @abstractmethod
    def foresee(self, analysis: str, where: Where) -> None:
        """Print what is there, what is missing, and how long it would take; measure nothing."""

    @abstractmethod
    def frame(self, analysis: str, where: Where, measured: bool) -> pd.DataFrame:
        """The table.

        Args:
            analysis: its name.
            where: the folders.
            measured: whether `measure` has just run.

        Raises:
            UserError: something is missing, or of another setting.
        """

    @abstractmethod
    def about(self, frame: pd.DataFrame) -> dict[str, Any]:
        """Where the numbers of a frame come from, for the metadata of a picture."""

    def remarks(self, where: Where, measured: bool) -> list[str]:
        """Lines to be printed below the verdicts, such as what is still missing; timed only after `measure`."""
        return []
