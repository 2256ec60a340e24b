"""`python -m energylens.figure NAME`: measure what is missing, draw, and say whether the paper's claims hold."""

import os
from pathlib import Path
from typing import Annotated

import typer

from energylens import command, options

app = command.app()


@app.command()
@options.expand
def figure(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Figures or tables, such as fig4.")],
    choice: options.Drawn,
    place: options.Place,
    scale: Annotated[
        str,
        typer.Option(
            metavar="demo|paper",
            help="Digits in minutes, the paper's setting, or paper-short (fig2), paper-cifar100 (fig1a).",
        ),
    ] = "demo",
    runs: Annotated[Path, typer.Option(help="Folder of the training runs.")] = Path("runs"),
    out: Annotated[Path, typer.Option(help="Folder of the pictures and of evaluate.parquet.")] = Path("out"),
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            help="png, pdf or svg, gif of an animation, txt, csv, md or tex of a table; repeat for more. Default: png "
            "and pdf; all of a table.",
        ),
    ] = None,
    no_measure: Annotated[bool, typer.Option("--no-measure", help="Draw from the tables that are there.")] = False,
    dry_run: options.DryRun = False,
) -> None:
    """Draw figures and tables of the paper, measuring first what is missing."""
    os.environ.setdefault("MPLBACKEND", "agg")
    from energylens import draw
    from energylens.atomic import check_writable
    from energylens.need import Where

    jobs = [draw.job(name, scale, choice, formats) for name in names]
    where = Where(place, runs, out)
    if dry_run:
        for job in jobs:
            job.foresee(where)
        return
    check_writable(out, "--out")
    for job in jobs:
        if not no_measure:
            job.measure(where)
        for line in job.draw(where, measured=not no_measure):
            print(line)


if __name__ == "__main__":
    command.main(app, "python -m energylens.figure")
