"""The console script `energylens COMMAND ...`: the same commands as `python -m energylens.COMMAND`."""

import typer

from energylens import command, evaluate, figure, models_command, probe, score, table_command
from energylens.generate import command as generate_command
from energylens.train import command as train_command


def app() -> typer.Typer:
    """All commands under one name."""
    group = command.app(help="Read robust classifiers as energy-based models.")
    group.command()(figure.figure)
    group.command()(probe.probe)
    group.command()(train_command.train)
    group.command()(evaluate.evaluate)
    group.command()(generate_command.generate)
    group.command()(score.score)
    group.add_typer(models_command.app, name="models")
    group.add_typer(table_command.app, name="table")
    return group


def main() -> None:
    """Entry point."""
    command.main(app(), "energylens")
