"""A table that prints its rows as they are done, and once more as Markdown."""

import re


class Table:
    """Columns with a format each: `Table({"attack": "<12", "median s": ">10.3f"})`."""

    def __init__(self, columns: dict[str, str]):
        self.columns = columns
        self.done: list[list[str]] = []

    def header(self) -> None:
        """Print the columns' names."""
        print("".join(f"{name:{re.match('[<>][0-9]+', form)[0]}}" for name, form in self.columns.items()), flush=True)

    def add(self, *cells: str | float) -> None:
        """Print a row and keep it."""
        row = [f"{cell:{form}}" for cell, form in zip(cells, self.columns.values(), strict=True)]
        self.done.append(row)
        print("".join(row), flush=True)

    def markdown(self) -> str:
        """All rows so far."""
        rule = ["---" if form.startswith("<") else "---:" for form in self.columns.values()]
        lines = [list(self.columns), rule, *self.done]
        return "\n".join("| " + " | ".join(cell.strip() for cell in line) + " |" for line in lines)
