"""Command-line options that several commands take, each written once.

A command takes these dataclasses as parameters; `expand` turns every field into an option.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_type_hints

import typer

from energylens import spec
from energylens.errors import UserError, first_line

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what is there, what is missing and how long it takes; measure nothing.")
]


@dataclass(frozen=True)
class Sample:
    """Which images."""

    data: Annotated[str | None, typer.Option(help="A data reference, such as cifar10:test.")] = None
    samples: Annotated[int | None, typer.Option(help="Take the first N images; all if not given.")] = None
    shuffle_seed: Annotated[int | None, typer.Option(min=0, help="Draw the images with this seed instead.")] = None


@dataclass(frozen=True)
class Choice(Sample):
    """What to measure, where it differs from the recipe."""

    models: Annotated[
        list[str] | None,
        typer.Option("--models", help="A model reference, or NAME=REFERENCE; repeat for more."),
    ] = None
    eps: Annotated[
        float | None,
        typer.Option(parser=spec.number, metavar="NUMBER", help="Radius of all attacks, such as 8/255."),
    ] = None
    seed: Annotated[int | None, typer.Option(help="Seed of all attacks.")] = None
    precision: Annotated[
        str | None,
        typer.Option(metavar="fp32|bf16", help="Of the attacks' search; what is recorded is float32 always."),
    ] = None


@dataclass(frozen=True)
class Drawn(Choice):
    """The same of a figure."""

    features: Annotated[
        list[str] | None,
        typer.Option(
            "--features",
            help="Tables of scores: inception, or a network that made none of the images; repeat for more.",
        ),
    ] = None


@dataclass(frozen=True)
class Files:
    """Where models and images come from, and what to compute with; decides no number beyond rounding."""

    data_dir: Annotated[Path | None, typer.Option(help="Folder of the data sets; $ENERGYLENS_DATA if not given.")] = (
        None
    )
    model_dir: Annotated[
        Path | None, typer.Option(help="Folder of RobustBench checkpoints, as DATASET/THREAT/NAME.pt.")
    ] = None
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; an accelerator if there is one.")] = None
    batch: Annotated[int | None, typer.Option(min=1, help="Images at once; as many as fit, if not given.")] = None
    trust_checkpoint: Annotated[
        bool, typer.Option("--trust-checkpoint", help="Let checkpoint files run code while they are read.")
    ] = False

    @functools.cached_property
    def devices(self) -> list[str]:
        """The device that is asked for; else all GPUs of this machine, or its CPU.

        Raises:
            UserError: torch has no such device here.
        """
        import torch

        if self.device is None and torch.cuda.is_available():
            return [f"cuda:{number}" for number in range(torch.cuda.device_count())]
        try:
            return [str(torch.empty(0, device=self.device or "cpu").device)]
        except (RuntimeError, AssertionError) as error:
            raise UserError(f"--device {self.device} cannot be used here ({first_line(error)})") from error

    @property
    def where(self) -> str:
        """The first of the devices."""
        return self.devices[0]


@dataclass(frozen=True)
class Chains(Files):
    """The same where images are generated."""

    batch: Annotated[int | None, typer.Option(min=1, help="Chains at once, and in one file; 100 if not given.")] = None
    tables: Annotated[Path, typer.Option(help="Folder of the tables.")] = Path("tables")


@dataclass(frozen=True)
class Place(Files):
    """The same, where the tables are, and what measures them."""

    tables: Annotated[Path, typer.Option(help="Folder of the energy tables.")] = Path("tables")
    shard: Annotated[int, typer.Option(min=1, help="Images in one file; a killed run loses at most one.")] = 1000
    engine: Annotated[
        str, typer.Option(metavar="local|ray", help="This machine with all its GPUs, or a Ray cluster.")
    ] = "local"
    address: Annotated[
        str | None, typer.Option(help="Of the Ray cluster, such as auto; one is started here if not given.")
    ] = None


@dataclass(frozen=True)
class Keep:
    """What to keep beside the energies."""

    keep_logits: Annotated[bool, typer.Option("--keep-logits", help="Store the logits of every row.")] = False
    keep_images: Annotated[
        bool, typer.Option("--keep-images", help="Store the attacked images beside the table, as .npz.")
    ] = False

    @property
    def names(self) -> list[str]:
        """Those that are kept."""
        return [name for name, kept in vars(self).items() if kept]


def expand(function: Callable) -> Callable:
    """Let a command take option dataclasses: each of their fields becomes an option of its own."""
    hints = get_type_hints(function, include_extras=True)
    own, groups = [], {}
    for name, parameter in inspect.signature(function).parameters.items():
        if dataclasses.is_dataclass(hints[name]):
            groups[name] = hints[name]
        else:
            own.append(parameter.replace(annotation=hints[name]))
    added = []
    for group in groups.values():
        kinds = get_type_hints(group, include_extras=True)
        added += [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=kinds[field.name],
            )
            for field in dataclasses.fields(group)
        ]

    @functools.wraps(function)
    def command(*args, **given):
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in dataclasses.fields(group)})
        return function(*args, **given)

    keyword = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    vars(command)["__signature__"] = inspect.Signature(keyword + added)
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in keyword + added}
    del command.__wrapped__
    return command
