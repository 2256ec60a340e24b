"""What the name of a generation method tells: `eq7-steps200-pca-sigma0.01` is eq. (7) from a PCA start."""

import re
from dataclasses import dataclass

SIGMA, RETAINED = 0.005, 0.99
"""settings of a PCA start that its name leaves out"""
_NAME = re.compile(
    r"(?P<sampler>.+?)-(?P<start>random|gaussian|informative-pca|local-pca|pca)(?P<settings>(?:-[a-z_]+[\d._e/-]+)*)"
)
_SETTING = re.compile(r"-([a-z_]+?)(\d[\d._]*(?:e-?\d+)?)")


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
        return self.settings.get("sigma", SIGMA)

    @property
    def retained(self) -> float:
        """Share of a class's variance that a PCA start keeps."""
        return self.settings.get("retained", RETAINED)


def parts(method: str) -> Parts | None:
    """A method's sampler, start and settings; None for a name that is not made of these."""
    found = _NAME.fullmatch(method)
    if not found:
        return None
    settings = {name: number(value) for name, value in _SETTING.findall(found["settings"])}
    return Parts(found["sampler"], found["start"], settings)


def number(text: str) -> float:
    """A setting as file names hold it: `0.01`, and `4_255` for 4/255."""
    over, _, under = text.partition("_")
    return float(over) / float(under or 1)
