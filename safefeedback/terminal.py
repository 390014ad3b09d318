"""What every command does the same way: a progress bar, and ends that a person can read."""

from __future__ import annotations

import io
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NoReturn

import typer

from safefeedback.errors import InputError
from safefeedback.imports import missing_extra
from safefeedback.version import __version__


class Progress:
    """A progress bar on stderr; nothing in a pipe. Call it with how much is done, of how much, and what is being done."""

    def __init__(self, title: str, quiet: bool = False, unit: str = "") -> None:
        """`unit` is what is counted, such as "steps": then the bar shows how many a second."""
        self.bar: Any = None
        if not quiet and sys.stderr.isatty():
            from rich import progress
            from rich.console import Console

            columns = [progress.TextColumn("{task.description}"), progress.BarColumn(), progress.MofNCompleteColumn()]
            columns += [_speed(unit)] if unit else []
            columns.append(progress.TimeRemainingColumn())
            self.bar = progress.Progress(*columns, console=Console(stderr=True), transient=True)
            self.line = self.bar.add_task(title, total=None)

    def __enter__(self) -> Progress:
        if self.bar is not None:
            self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.bar is not None:
            self.bar.stop()

    def __call__(self, done: int, total: int | None, doing: str | None = None) -> None:
        if self.bar is not None:
            words = {} if doing is None else {"description": doing}
            self.bar.update(self.line, completed=done, total=total, **words)

    def say(self, text: str) -> None:
        """A line on stdout, above the bar."""
        if self.bar is not None:
            self.bar.stop()
        print(text, flush=True)
        if self.bar is not None:
            self.bar.start()


def _speed(unit: str) -> Any:
    """A column that says how many a second; rich is imported only to draw."""
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f} {unit}/s" if task.speed else "", style="cyan")

    return Speed()


def show_version(wanted: bool) -> None:
    """What `--version` does."""
    if wanted:
        print(__version__)
        raise typer.Exit


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM; not a KeyboardInterrupt, which typer would swallow. Its message, if it has one, is what is said."""


@contextmanager
def on_interrupt(message: Callable[[], str]) -> Iterator[None]:
    """Says, if the block is interrupted, what became of its work."""
    try:
        yield
    except Interrupted:
        raise Interrupted(message()) from None


def run_program(app: typer.Typer, name: str, words: list[str] | None, interrupted: str = "interrupted") -> NoReturn:
    """Runs a command and ends the process.

    An error that the user can mend is one line on stderr and exit code 2; `--debug`, anywhere, shows its traceback.

    Args:
        app: the commands.
        name: of the program.
        words: its arguments; None takes the process's own.
        interrupted: what is said after Ctrl-C or SIGTERM, which end with code 130.
    """
    words = sys.argv[1:] if words is None else words
    debug = "--debug" in words
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, io.TextIOWrapper):
            output.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no reason to fail
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        sys.exit(app(args=[word for word in words if word != "--debug"], prog_name=name, standalone_mode=False) or 0)
    except Interrupted as stop:
        _end(str(stop) or interrupted, 130, debug)
    except MemoryError:
        _end("not enough memory: ask for less at once", 2, debug)
    except (InputError, OSError) as error:
        _end(" ".join(str(error).split()) or type(error).__name__, 2, debug)
    except ImportError as error:
        if (what := missing_extra(error)) is None:
            raise
        _end(what, 2, debug)
    except Exception as error:
        if not hasattr(error, "format_message"):  # an error of the command line's own parser has one
            raise
        _end(error.format_message().replace("\n", " "), 2, debug)


def _interrupt(signum: int, frame: Any) -> None:
    raise Interrupted


def _end(message: str, code: int, debug: bool) -> NoReturn:
    if debug:
        import traceback

        traceback.print_exc()
    if message:  # none where the help was shown
        print(f"error: {message}", file=sys.stderr)
    sys.stdout.flush()
    sys.exit(code)
