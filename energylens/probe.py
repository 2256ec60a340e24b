"""`python -m energylens.probe`: record energies of models under attacks into parquet tables."""

from typing import Annotated

import typer

from energylens import attacks, command, options, paths
from energylens.errors import UserError

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
        typer.Option("--attack", help="Such as pgd or pgd:steps=50:norm=l2; repeat for more."),
    ] = None,
    scale: Annotated[str, typer.Option(metavar="demo|paper", help="Which recipe of a shipped analysis.")] = "demo",
) -> None:
    """Record E(x) and E(x, y) of natural and attacked images; what is there is not measured again."""
    from energylens import measure

    recipe = _recipe(analysis, scale, choice, attack).override(**vars(choice))
    measure.run(recipe, analysis, place, keep, command.progress)
    print(f"table: {place.tables / analysis / 'points'}")


def _recipe(analysis: str, scale: str, choice: options.Choice, attack: list[str] | None):
    import dataclasses

    from energylens.recipe import Recipe

    chosen = tuple(attacks.parse(text) for text in attack or ["pgd"])
    if analysis in paths.names("analyses"):
        recipe = getattr(paths.load("analyses", analysis), scale.upper())
        return dataclasses.replace(recipe, attacks=chosen) if attack else recipe
    if not choice.models or not choice.data:
        raise UserError(
            f"'{analysis}' is no shipped analysis ({', '.join(paths.names('analyses'))}), so say what to measure: "
            "--models REFERENCE --data REFERENCE"
        )
    return Recipe(tuple(choice.models), choice.data, chosen)


if __name__ == "__main__":
    command.main(app, "python -m energylens.probe")
