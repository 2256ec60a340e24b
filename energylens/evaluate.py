"""`python -m energylens.evaluate`: clean and robust accuracies with intervals, over seeds, into one table."""

from pathlib import Path
from typing import Annotated

import typer

from energylens import command, options, spec

app = command.app()


@app.command()
@options.expand
def evaluate(
    models: Annotated[
        list[str], typer.Argument(metavar="REF...", help="Model references, NAME=REFERENCE, or folders of runs.")
    ],
    sample: options.Sample,
    place: options.Place,
    attack: Annotated[
        list[str] | None,
        typer.Option(
            "--attack", help="Such as apgd-ce or pgd:steps=50; repeat for more. Default: pgd, cw-linf, autoattack."
        ),
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option("--seed", min=0, help="Of all attacks; repeat for several, each measured.")
    ] = None,
    eps: Annotated[
        float | None,
        typer.Option(
            parser=spec.number,
            metavar="NUMBER",
            help="Radius of all attacks, such as 8/255; that of training for networks of our own, if not given.",
        ),
    ] = None,
    precision: Annotated[
        str, typer.Option(metavar="fp32|bf16", help="Of the attacks' search; what counts is float32 always.")
    ] = "fp32",
    out: Annotated[Path, typer.Option(help="Folder of the table evaluate.parquet.")] = Path("out"),
    dry_run: options.DryRun = False,
) -> None:
    """Measure clean and robust accuracy with 95 % intervals; what is there is not measured again."""
    from energylens import estimate, evaluations, measure, progress, scoreboard, trials
    from energylens.atomic import check_writable

    wanted = trials.Wanted(tuple(attack or trials.USUAL), tuple(seed or ()), eps, precision)
    networks = trials.networks(models)
    recipes = trials.recipes(networks, sample, wanted)
    check_writable(out, "--out")
    path = out / evaluations.FILE
    evaluations.read(path)
    for line in trials.remarks(networks, sample, wanted):
        print(line)
    if dry_run:
        for recipe in recipes:
            estimate.show(recipe, trials.TABLE, place)
        return
    for recipe in recipes if len(recipes) > 1 else ():
        measure.prepared(recipe, trials.TABLE, place, measure.ENERGIES_ONLY)  # a mistake is told before any work
    failed, rows, held = None, [], 0
    for recipe in recipes:
        try:
            measure.run(recipe, trials.TABLE, place, show=progress.shown)
        except measure.Failed as error:
            failed = failed or error
        new = trials.rows(recipe, place.tables / trials.TABLE / recipe.folder, networks, partly=failed is not None)
        held = evaluations.add(path, new)
        rows += new
    for line in scoreboard.lines(rows):
        print(line)
    print(f"table: {path}, {held} row{'s' * (held != 1)}")
    if failed:
        raise failed


if __name__ == "__main__":
    command.main(app, "python -m energylens.evaluate")
