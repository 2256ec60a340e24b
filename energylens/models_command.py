"""The commands of `python -m energylens.models`: `check REFERENCE`, and `zoo`."""

from pathlib import Path
from typing import Annotated

import typer

from energylens import command, options

app = command.app(help="Look at models.")


@app.callback()
def _group() -> None:
    """Look at models before measuring them."""


@app.command()
@options.expand
def check(
    reference: Annotated[str, typer.Argument(help="A model reference.")],
    choice: options.Sample,
    place: options.Files,
) -> None:
    """Say whether a model's energies mean something, and its clean accuracy with a 95 % interval."""
    from energylens import claims, data, models
    from energylens.models import check as checks
    from energylens.references import named

    models.prepare((reference,), place.model_dir)
    images = data.load(
        choice.data or "digits:test",
        data_dir=place.data_dir,
        samples=choice.samples,
        shuffle_seed=choice.shuffle_seed,
    )
    net = models.load(reference, model_dir=place.model_dir, trust=place.trust_checkpoint)
    checks.attackable(net, named(reference)[0], images)
    with command.progress(len(images)) as advance:
        found = checks.report(net.to(place.where), named(reference)[0], images, place.batch, advance)
    low, high = claims.wilson(found.correct, found.images)
    print(f"model           {named(reference)[0]}: {found.classes} classes, {found.parameters:,} parameters, logits")
    print(f"images          {images.name}: {images.selection}")
    print(f"clean accuracy  {found.accuracy:.2f} % [{100 * low:.2f}, {100 * high:.2f}]")
    print(f"mean E(x)       {found.mean_energy:.3f} nats")


@app.command()
def zoo(out: Annotated[Path, typer.Option(help="Folder of the networks.")]) -> None:
    """Train the demo zoo again, all of it, in a minute or two."""
    from energylens.train.zoo import build

    build(out)
