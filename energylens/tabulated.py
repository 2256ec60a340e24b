"""A table of numbers and how it is read: as text, CSV, Markdown and LaTeX. No torch."""

import itertools
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from energylens.atomic import whole
from energylens.errors import unknown

WIDTH = 120
"""columns of a terminal"""
IN_LATEX = {
    "±": r"$\pm$",
    "–": "--",
    "β": r"$\beta$",
    "·": r"$\cdot$",
    "†": r"\textdagger{}",
    ">": r"$>$",
    "<": r"$<$",
    "|": r"$|$",
    r"\_NAT": r"\textsubscript{NAT}",
    r"\_ADV": r"\textsubscript{ADV}",
    "[": "{[}",  # behind \\ it would be an argument
    "]": "{]}",
}
"""as it stands in a cell, its special characters escaped -> as LaTeX sets it"""
SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
    character: f"\\{character}" for character in "&%$#_{}"
}


@dataclass(frozen=True)
class Tabulated:
    """A table: its numbers for machines, its cells and notes for readers."""

    caption: str
    numbers: pd.DataFrame
    """long: one row a method, data set and measure"""
    shown: pd.DataFrame
    """strings, one row a method; columns (block, heading), those that all blocks share under the block ''"""
    notes: tuple[str, ...] = ()


def blocks(made: Tabulated) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each block of columns with its title, the shared columns in front."""
    for title in dict.fromkeys(made.shown.columns.get_level_values(0)):
        if title:
            yield title, pd.concat([made.shown[""], made.shown[title]], axis=1)


def text(made: Tabulated) -> str:
    """For the terminal, in at most 120 columns."""
    parts = [made.caption]
    parts += [f"{title}\n{_aligned(block)}" for title, block in blocks(made)]
    return "\n\n".join([*parts, "\n".join(map(_wrapped, made.notes))]).rstrip() + "\n"


def _aligned(block: pd.DataFrame) -> str:
    """Columns side by side, a heading's words above each other; those that are too many go on below the rest."""
    columns = [_column(str(heading), list(block[heading])) for heading in block.columns]
    fitting = _fitting(list(map(str, block.columns)), [len(column[0]) for column in columns])
    lines = "\n".join("  ".join(row).rstrip() for row in zip(*_level(columns[:fitting]), strict=True))
    if fitting == len(columns):
        return lines
    rest = block[[block.columns[0], *block.columns[fitting:]]]
    return f"{lines}\n\n{_aligned(rest)}"


def _fitting(headings: list[str], wide: list[int]) -> int:
    """How many columns a line takes; headings that begin with one word stay together."""
    fitting = max(2, sum(end <= WIDTH + 2 for end in itertools.accumulate(width + 2 for width in wide)))
    if fitting >= len(headings):
        return len(headings)
    first = [heading.split()[0] for heading in headings]
    kept = fitting
    while kept > 1 and first[kept] == first[kept - 1]:
        kept -= 1
    return kept if kept > 1 else fitting


def _column(heading: str, cells: list[str]) -> list[str]:
    words = heading.split()
    wide = max(map(len, [*words, *cells]))
    return [line.ljust(wide) for line in [*words, "-" * wide, *cells]]


def _level(columns: list[list[str]]) -> list[list[str]]:
    """Columns of one height, filled from above."""
    height = max(map(len, columns))
    return [[" " * len(column[0])] * (height - len(column)) + column for column in columns]


def _wrapped(note: str) -> str:
    return textwrap.fill(note, WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)


def csv(made: Tabulated) -> str:
    """The numbers alone, one row a method, data set and measure; empty where there is none."""
    return made.numbers.to_csv(index=False, float_format="%.10g")


def markdown(made: Tabulated) -> str:
    """A pipe table a block, the notes as a list."""
    parts = [_markdown_text(made.caption)]
    parts += [f"**{_markdown_text(title)}**\n\n{_pipes(block)}" for title, block in blocks(made)]
    notes = "\n".join(f"- {_markdown_text(note)}" for note in made.notes)
    return "\n\n".join([*parts, notes]).rstrip() + "\n"


def _pipes(block: pd.DataFrame) -> str:
    """By hand: pandas' own writer takes another package (tabulate)."""
    rows = [list(block.columns), ["---"] * block.shape[1], *block.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(_markdown_text(str(cell)) for cell in row)} |" for row in rows)


def _markdown_text(line: str) -> str:
    return re.sub(r"([\\|*_<>\[\]])", r"\\\1", line)


def latex(made: Tabulated) -> str:
    """A floating table of one tabular a block, for booktabs; the notes stand below it."""
    tabulars = [f"{{\\bfseries {_latex_text(title)}}}\\\\[2pt]\n{_tabular(block)}" for title, block in blocks(made)]
    body = "\n\\\\[6pt]\n".join(tabulars)
    notes = "\n".join(f"\\par {_latex_text(note)}" for note in made.notes)
    return (
        "% needs \\usepackage{booktabs}\n\\begin{table}\n"
        f"\\caption{{{_latex_text(made.caption)}}}\n"
        f"\\centering\\footnotesize\\setlength{{\\tabcolsep}}{{3pt}}\n{body}\n"
        f"\\par\\medskip\\raggedright\n{notes}\n\\end{{table}}\n"
    )


def _tabular(block: pd.DataFrame) -> str:
    written = block.map(_latex_text).rename(columns=_latex_heading)
    return written.to_latex(index=False, escape=False, column_format="l" * block.shape[1]).rstrip()


def _latex_heading(heading: str) -> str:
    """Its words above each other."""
    words = [_latex_text(word) for word in heading.split()]
    return words[0] if len(words) == 1 else r"\shortstack[l]{" + r"\\".join(words) + "}"


def _latex_text(line: str) -> str:
    escaped = "".join(SPECIAL.get(character, character) for character in line)
    for plain, written in IN_LATEX.items():
        escaped = escaped.replace(plain, written)
    return re.sub(r"(?<=\s)-(?=\s|\.|$)", "$-$", escaped)  # a minus, not a hyphen


WRITERS: dict[str, Callable[[Tabulated], str]] = {".txt": text, ".csv": csv, ".md": markdown, ".tex": latex}


def save(made: Tabulated, path: Path) -> Path:
    """Write a table in the form that its suffix names: .txt, .csv (numbers alone), .md or .tex; whole or not at all.

    Raises:
        UserError: another suffix, or a folder that cannot be written.
    """
    if path.suffix not in WRITERS:
        raise unknown("format", path.suffix.removeprefix("."), [suffix[1:] for suffix in WRITERS])
    with whole(path, "--out") as hidden:
        hidden.write_text(WRITERS[path.suffix](made), encoding="utf-8")
    return path
