"""`python -m energylens.score`: IS, FID, KID, precision, recall, LPIPS and more of generated images, into one table."""

import itertools
from pathlib import Path
from typing import Annotated, Any

import typer

from energylens import command, options
from energylens.errors import UserError

app = command.app()


@app.command()
@options.expand
def score(
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGES...", help="Sets to score: .npz with images and labels, folders, ..., or NAME=REFERENCE."
        ),
    ],
    place: options.Files,
    against: Annotated[str, typer.Option(help="The training images, such as cifar10:train.")],
    features: Annotated[
        list[str] | None,
        typer.Option(
            "--features",
            help="inception, or a network that made none of the images; repeat for more. Default: inception.",
        ),
    ] = None,
    inception: Annotated[Path | None, typer.Option(help="File of Inception's weights, if they are elsewhere.")] = None,
    alexnet: Annotated[Path | None, typer.Option(help="File of AlexNet's weights, for LPIPS.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the table scores.parquet.")] = Path("out"),
) -> None:
    """Score generated images against training images; the feature space is named with every score."""
    from energylens import data
    from energylens.atomic import check_writable
    from energylens.quality import INCEPTION, board, measure, spaces, table

    check_writable(out, "--out")
    path = out / table.FILE
    table.read(path)
    real = data.load(against, data_dir=place.data_dir)
    sets = _loaded(images, real, place)
    judges = spaces.all_opened(
        features or [INCEPTION], real, model_dir=place.model_dir, trust=place.trust_checkpoint, weights=inception
    )
    rows, held = [], 0
    with command.progress(len(judges) * sum(map(len, sets.values())), "scored") as advance:
        for judge, (name, made) in itertools.product(judges.values(), sets.items()):
            found = measure(*_stored(made), real, judge, device=place.where, batch=place.batch or 100, alexnet=alexnet)
            rows.append({"model": name, "data": real.name, "split": real.split, "key": made.sha[:16], **found})
            held = table.add(path, rows[-1:])
            advance(len(made))
    for line in board.lines(rows):
        print(line)
    print(f"table: {path}, {held} row{'s' * (held != 1)}")


def _loaded(images: list[str], real: Any, place: options.Files) -> dict[str, Any]:
    """Display name -> set, all of which can be compared with the training images."""
    from energylens import data
    from energylens.quality import pixels

    sets = {name: data.load(reference, data_dir=place.data_dir) for name, reference in _named(images).items()}
    for made in sets.values():
        pixels.checked(*_stored(made), real)
    return sets


def _named(references: list[str]) -> dict[str, str]:
    """Display name -> reference."""
    from energylens.references import named

    found: dict[str, str] = {}
    for reference in references:
        name, bare = named(reference)
        name = name.removesuffix(".npz")
        if found.setdefault(name, bare) != bare:
            raise UserError(f"two sets are called '{name}': {found[name]} and {bare}; name one: OTHER={bare}")
    return found


def _stored(made: Any) -> tuple[Any, Any]:
    from energylens.quality import pixels

    found = pixels.of(made)
    return found.images, found.labels


if __name__ == "__main__":
    command.main(app, "python -m energylens.score")
