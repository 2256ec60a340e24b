"""`python -m energylens.train`: train networks, one after the other, each in a folder of its own."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from energylens import command, options, spec
from energylens.errors import UserError
from energylens.train import settings as recipes
from energylens.train.settings import Settings

app = command.app()


def _option(field: dataclasses.Field, kind: Any) -> tuple[str, Any, Any]:
    """A setting as an option that may be left out."""
    says: dict[str, Any] = {"help": field.metadata["help"]}
    if float in (kind, *getattr(kind, "__args__", ())):
        says |= {"parser": spec.number, "metavar": "NUMBER"}
    return field.name, Annotated[kind | None, typer.Option(**says)], None


_KINDS = get_type_hints(Settings)
Changes = dataclasses.make_dataclass(
    "Changes",
    [_option(field, _KINDS[field.name]) for field in dataclasses.fields(Settings) if field.name != "seed"],
    frozen=True,
)
"""a user's changes of a preset: every field of Settings, None where it is not given"""


@dataclass(frozen=True)
class What:
    """What to train, beside the recipe."""

    data: Annotated[str, typer.Option(help="Training images: digits, cifar10, ..., FILE.npz, a folder.")] = "digits"
    arch: Annotated[str | None, typer.Option(help="resnet18 for preset paper, small-resnet for demo if not given.")] = (
        None
    )
    preset: Annotated[
        str | None, typer.Option(metavar="paper|demo", help="demo on the digits, paper elsewhere if not given.")
    ] = None
    seed: Annotated[list[int] | None, typer.Option(help="Seed; repeat for several networks; 1 if not given.")] = None
    samples: Annotated[int | None, typer.Option(help="Train on the first N images; all if not given.")] = None
    shuffle_seed: Annotated[int | None, typer.Option(min=0, help="Draw these images with this seed instead.")] = None
    synthetic: Annotated[
        str | None, typer.Option(help="Images that --select best-synthetic looks at: FILE.npz with image, label.")
    ] = None
    name: Annotated[
        str | None, typer.Option(help="Folder's name before the seed; OBJECTIVE-DATA-ARCH if not given.")
    ] = None
    subset: Annotated[
        str | None,
        typer.Option(
            metavar="misclassified|high|low|classes:0,1,2",
            help="Training images to treat apart: those that a first network gets wrong; as many that it gets right, "
            "of highest or lowest E(x); all of some classes.",
        ),
    ] = None
    subset_mode: Annotated[
        str | None,
        typer.Option(metavar="unperturbed|removed", help="Do not attack them (if not given), or do not train on them."),
    ] = None
    subset_model: Annotated[
        str | None,
        typer.Option(help="The first network; the sat run of the same data, arch and seed in --runs if not given."),
    ] = None


@dataclass(frozen=True)
class Watched:
    """What is measured and shown while training."""

    energies_every: Annotated[
        int | None, typer.Option(min=0, help="Epochs between two tables of energies; a tenth of all; 0 for none.")
    ] = None
    energies_samples: Annotated[
        int | None, typer.Option(min=1, help="The first N images of each split; all if not given.")
    ] = None
    test: Annotated[str | None, typer.Option(help="Test images; the test split of --data if not given.")] = None


@dataclass(frozen=True)
class Where:
    """Where runs and images lie, and what trains."""

    runs: Annotated[Path, typer.Option(help="Folder of the training runs.")] = Path("runs")
    data_dir: Annotated[Path | None, typer.Option(help="Folder of the data sets; $ENERGYLENS_DATA if not given.")] = (
        None
    )
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; an accelerator if there is one.")] = None
    processes: Annotated[
        int | None, typer.Option(min=1, help="That train each network together; those of torchrun if not given, or 1.")
    ] = None
    engine: Annotated[
        str, typer.Option(metavar="local|ray", help="This machine, or a Ray cluster: each run one task.")
    ] = "local"
    address: Annotated[
        str | None, typer.Option(help="Of the Ray cluster, such as auto; one is started here if not given.")
    ] = None
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write event files too, into _tensorboard of each run.")
    ] = False


@app.command()
@options.expand
def train(
    what: What,
    changes: Changes,  # type: ignore[valid-type]
    watched: Watched,
    where: Where,
    objective: Annotated[list[str], typer.Argument(help="sat, trades, weat-adv, ...; several, or all.")],
) -> None:
    """Train networks; the same command again goes on where a run was killed, and leaves finished ones alone."""
    from energylens.train import engines, prepare
    from energylens.train.order import Order

    _check(watched)
    engine = engines.engine(where.engine, where.address, where.processes, where.device)
    device = "cpu" if where.engine == "ray" else options.Files(device=where.device).where  # its workers choose
    place = prepare.Place(where.runs, where.data_dir, device)
    energies = prepare.Energies(watched.energies_every, watched.energies_samples, watched.test)
    made = runs(objective, what, dataclasses.asdict(changes))
    engine(Order(tuple(made), place, energies, where.tensorboard))


def _check(watched: Watched) -> None:
    for name, value in (("--energies-samples", watched.energies_samples), ("--test", watched.test)):
        if watched.energies_every == 0 and value is not None:
            raise UserError(f"{name} {value} changes nothing with --energies-every 0; leave one of them out")


def runs(objectives: list[str], what: What, changes: dict[str, Any]) -> list[Any]:
    """Each objective with each seed; without what it cannot use, where another one can.

    Raises:
        UserError: unknown objective or preset, or a setting that is refused.
    """
    from energylens.train import used
    from energylens.train.objectives import OBJECTIVES
    from energylens.train.prepare import trained_on
    from energylens.train.runs import Run
    from energylens.train.subset import checked

    wanted = list(dict.fromkeys(OBJECTIVES if objectives == ["all"] else objectives))
    if what.name and len(wanted) > 1:
        raise UserError(f"--name {what.name} names the runs of one objective; leave it out, or train one")
    if what.name and not re.fullmatch(r"\w[\w+=.-]*", what.name):
        raise UserError(f"--name {what.name} cannot name a folder of --runs; use letters, digits, - and _")
    if what.arch and (".py:" in what.arch or re.fullmatch(r"[\w.]+:\w+", what.arch)):
        raise UserError(
            f"--arch {what.arch} is no named architecture; a network of your own trains in your own loop, with "
            "energylens.train.objectives and energylens.watch (docs/objectives.md, docs/watch.md)"
        )
    asked = checked(what.subset, what.subset_mode, what.subset_model)
    preset = what.preset or recipes.preset_of(what.data)
    given = {name: value for name, value in changes.items() if value is not None}
    whole = {objective: recipes.recipe(preset, objective, what.data, **given) for objective in wanted}
    without, made = used.idle(whole, given), []
    arch = what.arch or recipes.ARCHITECTURES[preset]
    for objective in wanted:
        own = {name: value for name, value in given.items() if name not in without[objective]}
        apart = used.apart(objective, wanted, asked)
        for seed in dict.fromkeys(what.seed or [1]):
            settings = recipes.recipe(preset, objective, what.data, seed=seed, **own)
            chosen = (what.samples, what.shuffle_seed, what.synthetic, what.name, *apart)
            made.append(Run(objective, trained_on(what.data), arch, settings, *chosen))
    return made
