"""The commands of `python -m energylens.table`: `check`, `summary` and `compact`, each of a folder of tables."""

import itertools
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from energylens import command
from energylens.errors import UserError, many, unknown

KINDS = ("points", "steps", "epochs", "chains")
FORMATS = ("text", "markdown", "csv")
AGAIN = "the probe that made a file measures it again once it is deleted, and moves unreadable ones aside itself"
AGAIN_OF_EPOCHS = "a run writes a file again once it is deleted and that epoch is trained again"
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="tables, tables/NAME, tables/NAME/points; or runs, ...")]

app = command.app(help="Look after tables.")


@app.callback()
def _group() -> None:
    """Look after energy tables."""


@app.command()
def check(folder: Folder) -> None:
    """Verify all files of tables: names, columns, keys, images, energies, balls, pairs; changes nothing."""
    found = tables(folder)
    files = rows = wrong = notes = 0
    out = sys.stdout  # while there is a bar, the terminal's is another one

    def seen(images: int, held: int) -> None:
        nonlocal files, rows
        files, rows = files + 1, rows + held
        advance(images)

    with command.progress(sum(_checks(points).images(points) for points in found), "checked") as advance:
        for points in found:
            for finding in _checks(points).problems(points, seen):
                wrong, notes = wrong + finding.damage, notes + (not finding.damage)
                print(f"{'' if finding.damage else 'note: '}{finding}", file=sys.stdout if out.isatty() else out)
    if wrong:
        remedy = AGAIN_OF_EPOCHS if all(map(_of_epochs, found)) else AGAIN
        raise UserError(f"{many(wrong, 'problem')} in {folder}; {remedy}")
    if not files:
        raise _nothing(folder)
    told = f", {many(notes, 'note')}" if notes else ""
    print(f"{many(files, 'file')}, {many(rows, 'row')}: all right{told}")


def _checks(points: Path) -> Any:
    from energylens import chain_checks, epoch_checks, verify

    if _of_chains(points):
        return chain_checks
    return epoch_checks if _of_epochs(points) else verify


def _of_epochs(points: Path) -> bool:
    return points.resolve().name == "epochs"


def _of_chains(points: Path) -> bool:
    return points.resolve().name == "chains"


@app.command()
def summary(
    folder: Folder,
    style: Annotated[str, typer.Option("--format", metavar="|".join(FORMATS), help="How it is written.")] = "text",
) -> None:
    """Accuracy, mean energies and their change under attack, one line a model and attack (and split and epoch)."""
    import pandas as pd

    from energylens import summary as summaries

    if style not in FORMATS:
        raise unknown("format", style, FORMATS)
    frames = {
        points: (summaries.of_epochs if _of_epochs(points) else summaries.of)(points) for points in tables(folder)
    }
    if not any(frame["images"].any() for frame in frames.values()):
        raise _nothing(folder)
    if style == "csv":
        made = pd.concat([frame.assign(table=str(points)) for points, frame in frames.items()])
        print(made.set_index("table").to_csv(), end="")
        for warning in itertools.chain.from_iterable(map(summaries.warnings, frames.values())):
            print(warning, file=sys.stderr)
        return
    write = summaries.lines if style == "text" else summaries.markdown
    print("\n\n".join("\n".join([f"{points}:", "", *write(frame)]) for points, frame in frames.items()))


@app.command()
def compact(folder: Folder) -> None:
    """Join the files of each model and attack into one; no probe may be at work."""
    from energylens import compact as compacting

    for points in tables(folder):
        if _of_epochs(points):
            print(f"{points}: left as it is, a file for each split and epoch")
        elif _of_chains(points):
            print(f"{points}: left as it is, a file for each batch of chains, its images beside it")
        else:
            compacting.compact(points, print)


def tables(folder: Path) -> list[Path]:
    """The `points`, `steps`, `epochs` and `chains` at a folder or below it.

    Raises:
        UserError: there are none.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; give one of tables, such as tables, or tables/NAME")
    found = [points for points in _below(folder, 2) if any(points.glob("[!._]*"))]
    if not found:
        raise _nothing(folder)
    return found


def _below(folder: Path, depth: int) -> list[Path]:
    if folder.resolve().name in KINDS and not any((folder / kind).is_dir() for kind in KINDS):
        return [folder]
    inside = sorted(path for path in folder.glob("[!._]*") if path.is_dir()) if depth else []
    return [points for path in inside for points in _below(path, depth - 1)]


def _nothing(folder: Path) -> UserError:
    return UserError(
        f"{folder} holds no energy table (NAME/points or NAME/steps, or a run's epochs); "
        "measure one: python -m energylens.probe"
    )


def main() -> None:
    """`python -m energylens.table`."""
    command.main(app, "python -m energylens.table")
