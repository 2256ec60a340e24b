"""The commands of `python -m energylens.models`: `check REFERENCE`, and `zoo`."""

from pathlib import Path
from typing import Annotated

import typer

from energylens import command, options, spec

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
    eps: Annotated[
        float,
        typer.Option(
            parser=spec.number, metavar="NUMBER", show_default="8/255", help="Linf radius of the masking check-up."
        ),
    ] = 8 / 255,
    no_masking: Annotated[bool, typer.Option("--no-masking", help="Leave out the masking check-up.")] = False,
) -> None:
    """Say whether a model's energies mean something, its clean accuracy, and whether attacks can judge it."""
    from energylens import claims, data, models
    from energylens.attacks import PGD
    from energylens.attacks.settings import short
    from energylens.models import check as checks
    from energylens.models import masking
    from energylens.references import named

    PGD(eps=eps)  # a wrong eps is told before any work
    models.prepare((reference,), place.model_dir)
    images = data.load(
        choice.data or "digits:test",
        data_dir=place.data_dir,
        samples=choice.samples,
        shuffle_seed=choice.shuffle_seed,
    )
    net = models.load(reference, model_dir=place.model_dir, trust=place.trust_checkpoint)
    checks.usable(net, named(reference)[0], images)
    checks.attackable(net, named(reference)[0], images)
    with command.progress(len(images)) as advance:
        found = checks.report(net.to(place.where), named(reference)[0], images, place.batch or 128, advance)
    low, high = claims.wilson(found.correct, found.images)
    print(f"model           {named(reference)[0]}: {found.classes} classes, {found.parameters:,} parameters, logits")
    print(f"images          {images.name}: {images.selection}")
    print(f"clean accuracy  {found.accuracy:.2f} % [{100 * low:.2f}, {100 * high:.2f}]")
    print(f"mean E(x)       {found.mean_energy:.3f} nats")
    if not no_masking:
        seen = min(masking.IMAGES, len(images))
        print(
            f"masking         on the first {seen} of these images, in Linf at eps {short(eps).replace('_', '/')}",
            flush=True,
        )
        print(*masking.check_up(net, images, eps), sep="\n")


@app.command()
def zoo(out: Annotated[Path, typer.Option(help="Folder of the networks.")]) -> None:
    """Train the demo zoo again, all of it, in a minute or two."""
    from energylens.train.zoo import build

    build(out)
