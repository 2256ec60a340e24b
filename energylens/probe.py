"""`python -m energylens.probe`: record energies of models under attacks into parquet tables."""

import dataclasses
from typing import Annotated

import typer

from energylens import attacks, command, options, paths
from energylens.errors import UserError
from energylens.recipe import Recipe, shipped

app = command.app()


@app.command()
@options.expand
def probe(
    choice: options.Choice,
    place: options.Place,
    keep: options.Keep,
    analysis: Annotated[str, typer.Argument(help="A shipped analysis, or a name of your own for the table.")] = "probe",
    attack: Annotated[
        list[str] | None,
        typer.Option("--attack", help="Such as pgd, pgd:norm=l2:eps=0.5 or mine.py:function; repeat for more."),
    ] = None,
    scale: Annotated[
        str | None, typer.Option(metavar="demo|paper", help="Which recipe of a shipped analysis; demo if not given.")
    ] = None,
    record: Annotated[
        str | None,
        typer.Option(
            metavar="points|steps|forces", help="Where attacks end, every step, or each update's direction too."
        ),
    ] = None,
    dry_run: options.DryRun = False,
) -> None:
    """Record E(x) and E(x, y) of natural and attacked images; what is there is not measured again."""
    from energylens import estimate, measure, progress, summary

    for text in attack or []:
        attacks.check_said_once(text, eps=choice.eps, seed=choice.seed)
    recipe = _recipe(analysis, scale, choice, tuple(attacks.parse(text) for text in attack or []))
    recipe = recipe.override(**vars(choice))
    if record:
        recipe = dataclasses.replace(recipe, record=record)
    if dry_run:
        estimate.show(recipe, analysis, place, keep)
        return
    points = place.tables / analysis / recipe.folder
    failed = None
    try:
        measure.run(recipe, analysis, place, keep, progress.shown)
    except measure.Failed as error:
        failed = error
    print(*summary.lines(summary.of(points, *recipe.names, recipe.samples)), sep="\n")
    print(f"table: {points}")
    if failed:
        raise failed


def _recipe(analysis: str, scale: str | None, choice: options.Choice, chosen: tuple[attacks.Attack, ...]) -> Recipe:
    if analysis in paths.names("analyses"):
        recipe = shipped(analysis, scale or "demo")
        if not isinstance(recipe, Recipe):
            raise UserError(f"{analysis} is read from training runs; draw its figure, or probe another one")
        return dataclasses.replace(recipe, attacks=chosen or recipe.attacks)
    if choice.models and not choice.data and scale is None:
        raise UserError(f"say the images of {choice.models[0]}: --data cifar10:test")
    if choice.data and not choice.models and scale is None:
        raise UserError(
            f"say what to measure on {choice.data}: --models REFERENCE; '{analysis}' is no shipped analysis"
        )
    if scale is not None or not choice.models or not choice.data:
        raise UserError(
            f"'{analysis}' is no shipped analysis ({', '.join(paths.names('analyses'))}), so it has no --scale; "
            "say what to measure: --models REFERENCE --data REFERENCE"
        )
    return Recipe(tuple(choice.models), choice.data, chosen or (attacks.PGD(),))


if __name__ == "__main__":
    command.main(app, "python -m energylens.probe")
