"""What all commands share: one line for a mistake, exit code 2, a progress bar."""

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from typer.exceptions import TyperException

from energylens.errors import Note, UserError, unknown

INTERRUPTED = 130
"""the exit code that typer gives to Ctrl-C"""


def app(**settings) -> typer.Typer:
    """A command group in our plain style."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        **settings,
    )


def main(group: typer.Typer, program: str, arguments: list[str] | None = None) -> None:
    """Run a command and leave the process: 0 done, 2 a mistake of the user's (one line), 130 interrupted."""
    sys.exit(run(group, program, arguments))


def run(group: typer.Typer, program: str, arguments: list[str] | None = None) -> int:
    """Run a command; its exit code."""
    command = typer.main.get_command(group)
    try:
        with _notes():
            code = command.main(sys.argv[1:] if arguments is None else arguments, program, standalone_mode=False)
    except UserError as error:
        return _fail(str(error))
    except TyperException as error:
        return _fail(_explain(error))
    except typer.Abort:
        code = INTERRUPTED
    if code == INTERRUPTED:
        print("interrupted; what is whole is kept", file=sys.stderr)
    return code if isinstance(code, int) else 0


@contextmanager
def _notes() -> Iterator[None]:
    """Inside, a note is one line on standard error; other warnings are as they were."""
    usual = warnings.showwarning

    def show(message, category, *where, **file) -> None:
        if issubclass(category, Note):
            print(f"note: {' '.join(str(message).split())}", file=sys.stderr)
        else:
            usual(message, category, *where, **file)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _fail(message: str) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return 2


def _explain(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    if hasattr(error, "option_name") and context is not None:
        known = [option for parameter in context.command.params for option in parameter.opts if option[0] == "-"]
        return str(unknown("option", error.option_name, known))
    if error.format_message().startswith("Usage"):
        return "say a command; --help lists them"
    if "No such command" in error.format_message() and context is not None:
        name = error.format_message().split("'")[1]
        return str(unknown("command", name, context.command.commands))
    return error.format_message()


@contextmanager
def progress(total: int, done: str = "measured", unit: str = "rows") -> Iterator[Callable[[int], None]]:
    """A bar with rate and time left on a terminal, a few plain lines elsewhere; gives `advance(rows)`."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if total == 0:
        yield lambda images: None
    elif console.is_terminal:
        columns = (
            TextColumn(done),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(f"{unit},"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(done, total=total)
            yield lambda images: bar.advance(task, images)
    else:
        yield _lines(total, done, unit)


def _lines(total: int, what: str, unit: str) -> Callable[[int], None]:
    began, done, told = time.monotonic(), 0, 0

    def advance(images: int) -> None:
        nonlocal done, told
        done += images
        if done * 4 // total > told:
            told = done * 4 // total
            spent = time.monotonic() - began
            left = spent * (total - done) / done
            print(f"{what} {done} of {total} {unit} in {spent:.0f} s, {left:.0f} s left", file=sys.stderr)

    return advance
