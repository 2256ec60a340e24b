"""`python -m energylens.generate`: images of classes, made by classifiers."""

from pathlib import Path
from typing import Annotated

import typer

from energylens import class_names, command, options, references
from energylens.options import Chains, Place

app = command.app()
TABLE = "generate"


@app.command()
@options.expand
def generate(
    files: Chains,
    model: Annotated[
        list[str] | None,
        typer.Option("--models", help="A model reference, or NAME=REFERENCE; repeat for more. Default: demo:sat."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="A data set, such as cifar10: images are made of the classes of its training images."),
    ] = None,
    start: Annotated[
        list[str] | None,
        typer.Option(
            "--start",
            help="random, gaussian, pca, informative-pca or local-pca, with settings such as pca:sigma=0.01; repeat "
            "for more. Default: pca.",
        ),
    ] = None,
    sampler: Annotated[
        list[str] | None,
        typer.Option(
            "--sampler",
            help="eq7, sgld, jem or jeat, with settings such as eq7:steps=200; repeat for more. Default: eq7.",
        ),
    ] = None,
    n: Annotated[int, typer.Option("--n", min=1, help="Images of each model and method.")] = 100,
    classes: Annotated[
        list[str] | None, typer.Option("--class", help="Only of this class, a number or a name; repeat for more.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of all random numbers.")] = 0,
    every: Annotated[
        int, typer.Option(min=0, help="Record energies every so many steps; 0: at the start and at the end.")
    ] = 0,
    frames: Annotated[
        bool, typer.Option("--frames", help="Keep the images of every recorded step, not only the last.")
    ] = False,
    precision: Annotated[
        str, typer.Option(metavar="fp32|bf16", help="Of the gradients; what is recorded is float32 always.")
    ] = "fp32",
    out: Annotated[Path, typer.Option(help="Folder of the pictures and image files.")] = Path("out"),
    dry_run: options.DryRun = False,
) -> None:
    """Make images of classes; a grid and a file of images per model and method, and the chains' energies as a table."""
    from dataclasses import replace

    from energylens.atomic import check_writable
    from energylens.generate import outputs, starts
    from energylens.generate import sampler as samplers
    from energylens.generate.method import Method
    from energylens.generate.recipe import Generation
    from energylens.need import Where

    methods = tuple(
        Method(starts.parse(one), samplers.parse(other), seed)
        for other in sampler or ["eq7"]
        for one in start or ["pca"]
    )
    recipe = Generation(("demo:sat",), "digits:train", methods, n).override(models=model, data=data)
    source = references.data_name(recipe.data)[0]
    wanted = tuple(class_names.number(source, one) for one in classes or ())
    recipe = replace(recipe, classes=wanted or None, every=every, frames=frames, precision=precision)
    place = Place(**vars(files))
    where = Where(place, out=out)
    if dry_run:
        recipe.foresee(TABLE, where)
        return
    check_writable(out, "--out")
    recipe.measure(TABLE, where)
    for line in outputs.written(recipe.made(TABLE, where, measured=True), out):
        print(line)
    print(f"energies: {place.tables / TABLE / 'chains'}")


if __name__ == "__main__":
    command.main(app, "python -m energylens.generate")
