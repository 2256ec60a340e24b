"""Sizes, fonts and colours of all figures. Apply with `matplotlib.rc_context(style.rc("full"))`."""

from typing import Any

TEXT_WIDTH_IN = 4.80
"""the text block of the paper's class (Springer LNCS: 12.2 cm)"""
WIDTHS_IN = {"full": TEXT_WIDTH_IN, "half": 2.35, "wide": 2 * TEXT_WIDTH_IN}
HEIGHT_PER_WIDTH = 0.5
_POINTS = 7

MARGINAL, JOINT = "#4c9f50", "#c5d86d"
"""Figure 4: E(x) in green, E(x, y) in yellow-green"""


def rc(width: str) -> dict[Any, Any]:
    """Matplotlib settings for a figure of this width: `half`, `full` or `wide`."""
    inches = WIDTHS_IN[width]
    return {
        "figure.figsize": (inches, inches * HEIGHT_PER_WIDTH),
        "figure.constrained_layout.use": True,
        "font.size": _POINTS,
        "axes.labelsize": _POINTS,
        "axes.titlesize": _POINTS,
        "axes.linewidth": 0.6,
        "axes.unicode_minus": True,
        "xtick.labelsize": _POINTS - 1,
        "ytick.labelsize": _POINTS - 1,
        "legend.fontsize": _POINTS - 1,
        "legend.frameon": False,
        "lines.linewidth": 0.8,
        "savefig.dpi": 300,
        "pdf.fonttype": 42,  # TrueType, embedded: text stays text
        "ps.fonttype": 42,
    }


def radius(eps: float) -> str:
    """A radius as people write it: `8/255`, `0.2`."""
    in_255 = eps * 255
    return f"{round(in_255)}/255" if abs(in_255 - round(in_255)) < 1e-6 and in_255 < 20 else f"{eps:g}"
