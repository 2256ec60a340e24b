"""What the name of a generation method tells: `eq7-steps200-pca-sigma0.01` is eq. (7) from a PCA start. No torch."""

import math
import re
from dataclasses import dataclass

from energylens.generate.sampler import SAMPLERS
from energylens.generate.starts import PCA

_NAME = re.compile(
    r"(?P<sampler>.+?)-(?P<start>random|gaussian|informative-pca|local-pca|pca)(?P<settings>(?:-[a-z_]+[\d._e/-]+)*)"
)
_NUMBER = r"\d[\d._]*(?:e[-+]?\d+)?"
_SETTING = re.compile(rf"-([a-z_]+?)({_NUMBER})")
_STRIDE = re.compile(rf"-(?:momentum|step_?size){_NUMBER}")


@dataclass(frozen=True)
class Parts:
    """A method's name, taken apart."""

    sampler: str
    """with its settings: `eq7-steps200`"""
    start: str
    """its kind: `random`, `gaussian`, `pca`, ..."""
    settings: dict[str, float]
    """those of the start that are not usual, and the seed"""

    @property
    def preset(self) -> str:
        """The sampler without its settings."""
        return self.sampler.partition("-")[0]

    @property
    def sigma(self) -> float:
        """Spread of a PCA start."""
        return self.settings.get("sigma", PCA.sigma)

    @property
    def retained(self) -> float:
        """Share of a class's variance that a PCA start keeps."""
        return self.settings.get("retained", PCA.retained)


@dataclass(frozen=True)
class Setting:
    """How far a method's sampler goes, as its name says, or else its preset."""

    momentum: float
    """NaN if neither says, and for a sampler without steps"""
    step_size: float
    rest: str
    """the name without both"""


def parts(method: str) -> Parts | None:
    """A method's sampler, start and settings; None for a name that is not made of these."""
    found = _NAME.fullmatch(method)
    return Parts(found["sampler"], found["start"], _settings(found["settings"])) if found else None


def setting(method: str) -> Setting:
    """Momentum and step size of a method, such as `eq7-momentum0-stepsize0.125-pca`, whatever else its name holds."""
    usual, named = SAMPLERS.get(method.partition("-")[0]), _settings(method)
    if usual is None or not usual.steps:
        momentum = step_size = math.nan
    else:
        momentum, step_size = usual.momentum, usual.step_size
    step_size = named.get("stepsize", named.get("step_size", step_size))
    return Setting(named.get("momentum", momentum), step_size, _STRIDE.sub("", method))


def _settings(text: str) -> dict[str, float]:
    return {name: number(value) for name, value in _SETTING.findall(text)}


def number(text: str) -> float:
    """A setting as file names hold it: `0.01`, and `4_255` for 4/255."""
    over, _, under = text.partition("_")
    return float(over) / float(under or 1)
