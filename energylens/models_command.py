"""The commands of `python -m energylens.models`: `list`, `fetch`, `check`, `bundle`, and `zoo`."""

from pathlib import Path
from typing import Annotated

import typer

from energylens import command, options, spec

app = command.app(help="Find, fetch and look at models.")
ModelDir = Annotated[Path | None, typer.Option(help="Folder of RobustBench checkpoints, as DATASET/THREAT/NAME.pt.")]


@app.command("list")
def list_(
    data: Annotated[str | None, typer.Option(metavar="cifar10|cifar100|imagenet", help="Of this data set.")] = None,
    norm: Annotated[str | None, typer.Option(metavar="Linf|L2|corruptions", help="Of this threat model.")] = None,
    eps: Annotated[str | None, typer.Option(metavar="NUMBER", help="Of this radius, such as 8/255.")] = None,
    arch: Annotated[str | None, typer.Option(help="With this in the architecture's name, such as ResNet-18.")] = None,
    extra_data: Annotated[
        bool | None, typer.Option("--extra-data/--no-extra-data", help="Trained with more images, or without.")
    ] = None,
    at_least: Annotated[float | None, typer.Option(help="Robust accuracy in percent, or more.")] = None,
    weights: Annotated[bool, typer.Option("--weights", help="Only models whose checkpoint RobustBench has.")] = False,
    sort: Annotated[str, typer.Option(metavar="robust|clean|name|venue|architecture", help="By this.")] = "robust",
    form: Annotated[
        str, typer.Option("--format", metavar="text|csv|json", help="csv and json hold the papers and all columns.")
    ] = "text",
) -> None:
    """List RobustBench's models with their published accuracies; the demo networks with --data digits."""
    from energylens.models import listing

    print(listing.text(data, form, norm=norm, eps=eps, arch=arch, extra_data=extra_data, at_least=at_least,
                       weights=weights, sort=sort))  # fmt: skip


@app.command()
def fetch(
    reference: Annotated[list[str], typer.Argument(help="Such as robustbench:cifar10/Linf/Wang2023Better_WRN-28-10.")],
    model_dir: ModelDir = None,
    trust_checkpoint: Annotated[
        bool, typer.Option("--trust-checkpoint", help="Let checkpoint files run code while they are read.")
    ] = False,
) -> None:
    """Download RobustBench checkpoints, and see that what came is the network that it should be."""
    from energylens import paths
    from energylens.models import robustbench

    for each in reference:
        for line in robustbench.obtain(each, model_dir or paths.model_dir(), trust_checkpoint):
            print(line)


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
    from energylens import data, models
    from energylens.attacks import PGD
    from energylens.attacks.settings import short
    from energylens.models import check as checks
    from energylens.models import listing, masking
    from energylens.references import named

    PGD(eps=eps)  # a wrong eps is told before any work
    name = named(reference)[0]
    models.prepare((reference,), place.model_dir)
    images = data.load(
        choice.data or "digits:test",
        data_dir=place.data_dir,
        samples=choice.samples,
        shuffle_seed=choice.shuffle_seed,
    )
    net = models.load(reference, model_dir=place.model_dir, trust=place.trust_checkpoint)
    checks.usable(net, name, images)
    checks.attackable(net, name, images)
    with command.progress(len(images)) as advance:
        found = checks.report(net.to(place.where), name, images, place.batch or 128, advance)
    print(*listing.report(reference, images, found), sep="\n", flush=True)
    if not no_masking:
        seen, radius = min(masking.IMAGES, len(images)), short(eps).replace("_", "/")
        print(f"masking         on the first {seen} of these images, in Linf at eps {radius}", flush=True)
        print(*masking.check_up(net, images, eps), sep="\n")


@app.command()
def bundle(
    reference: Annotated[list[str], typer.Argument(help="Model references: RobustBench's, or files of weights.")],
    out: Annotated[Path, typer.Option(help="The archive, such as bundle.tar.")] = Path("bundle.tar"),
    data: Annotated[list[str] | None, typer.Option("--data", help="Data sets to pack too; repeat for more.")] = None,
    model_dir: ModelDir = None,
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the data sets.")] = None,
) -> None:
    """Pack models and data for a machine without network; `unbundle` reads them there."""
    from energylens.models import bundle as bundles

    for line in bundles.pack(reference, data or [], out, model_dir, data_dir):
        print(line)


@app.command()
def unbundle(
    archive: Annotated[Path, typer.Argument(help="What `bundle` packed.")],
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there and are others.")] = False,
) -> None:
    """Unpack a bundle into the cache ($ENERGYLENS_HOME), every file checked against its sha256."""
    from energylens.models import bundle as bundles

    for line in bundles.unpack(archive, force):
        print(line)


@app.command()
def zoo(out: Annotated[Path, typer.Option(help="Folder of the networks.")]) -> None:
    """Train the demo zoo again, all of it, in two or three minutes."""
    from energylens.train.zoo import build

    build(out)
