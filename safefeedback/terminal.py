"""The behaviour shared by all commands: progress bars, options, output, errors and interruptions."""

from __future__ import annotations

import io
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from types import TracebackType
from typing import Annotated, Any, NoReturn
from urllib.parse import urlsplit

import typer

from safefeedback.errors import InputError
from safefeedback.imports import missing_extra
from safefeedback.version import __version__

NOTEBOOK_WIDE = 30  # characters of a bar
NOTEBOOK_SECONDS = 0.2  # between two pictures of it
UNBOUNDED = 10_000  # columns, if the width is unknown


class Progress:
    """A progress bar on a terminal's stderr, where it leaves nothing behind, or below a notebook's cell; nothing in a pipe.

    Call it with how much is done, of how much, and what is being done. While one is shown within another, the outer one pauses.
    """

    shown: Progress | None = None  # the one that is on the screen

    def __init__(self, title: str, quiet: bool = False, unit: str = "") -> None:
        """`unit` is what is counted, such as "steps": then the bar shows how many a second; "B" are bytes."""
        self.bar: Any = None
        self.outer: Progress | None = None
        if not quiet and in_notebook():
            self.bar, self.line = NotebookBar(title, unit), 0
        elif not quiet and sys.stderr.isatty():
            self.bar = _terminal_bar(unit)
            self.line = self.bar.add_task(title, total=None)

    def __enter__(self) -> Progress:
        if self.bar is not None:
            self.outer, Progress.shown = Progress.shown, self
            if self.outer is not None:
                self.outer.bar.stop()
            self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.bar is not None:
            self.bar.stop()
            Progress.shown = self.outer
            if self.outer is not None:
                self.outer.bar.start()

    def __call__(self, done: int, total: int | None, doing: str | None = None) -> None:
        if self.bar is not None:
            words = {} if doing is None else {"description": doing}
            self.bar.update(self.line, completed=done, total=total, **words)

    def say(self, text: str) -> None:
        """A line on stdout, above the bar."""
        if self.bar is not None:
            self.bar.stop()
        say(text)
        if self.bar is not None:
            self.bar.start()


def _terminal_bar(unit: str) -> Any:
    """rich's bar; the counts are empty until the total is known."""
    from rich import progress
    from rich.console import Console

    counts: list[Any] = [progress.DownloadColumn() if unit == "B" else progress.MofNCompleteColumn()]
    if unit:
        counts.append(progress.TransferSpeedColumn() if unit == "B" else _speed(unit))
    columns = [progress.TextColumn("{task.description}"), progress.BarColumn(), *map(_if_known, counts)]
    columns.append(progress.TimeRemainingColumn())
    return progress.Progress(*columns, console=Console(stderr=True), transient=True)


class NotebookBar:
    """A bar below a notebook's cell: one line that is written anew, by the methods of rich's Progress; it needs no widgets."""

    def __init__(self, title: str, unit: str = "") -> None:
        self.title, self.unit, self.done = title, unit, 0
        self.total: int | None = None
        self.began = time.perf_counter()
        self.drawn = 0.0
        self.shown: Any = None

    def start(self) -> None:
        """Shows the bar, below what was printed before."""
        from IPython.display import Pretty, display

        if self.shown is None:
            self.shown = display(Pretty(self.text()), display_id=True)

    def stop(self) -> None:
        """Leaves the bar as it stands."""
        self.draw()

    def update(self, line: int, completed: int, total: int | None, description: str | None = None) -> None:
        """Moves the bar; it is drawn at most five times a second."""
        self.done, self.total, self.title = completed, total, description or self.title
        if time.perf_counter() - self.drawn >= NOTEBOOK_SECONDS or completed == total:
            self.draw()

    def draw(self) -> None:
        """Writes the line anew."""
        from IPython.display import Pretty

        self.drawn = time.perf_counter()
        if self.shown is not None:
            self.shown.update(Pretty(self.text()))

    def text(self) -> str:
        """training presa ###############---------------  50/100  12 steps/s"""
        if not self.total:
            return self.title
        full = NOTEBOOK_WIDE * self.done // self.total
        speed = self.done / max(1e-9, time.perf_counter() - self.began)
        rate = f"  {speed:,.0f} {self.unit}/s" if self.unit else ""
        return f"{self.title} {'#' * full}{'-' * (NOTEBOOK_WIDE - full)}  {self.done:,}/{self.total:,}{rate}"


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell is not None and "IPKernelApp" in shell.config


def _speed(unit: str) -> Any:
    """A column that says how many a second; rich is imported only to draw."""
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f} {unit}/s" if task.speed else "", style="cyan")

    return Speed()


def _if_known(column: Any) -> Any:
    """A column that is empty until the total is known: no "0/?"."""
    from rich.progress import ProgressColumn, Task

    class Known(ProgressColumn):
        def render(self, task: Task) -> Any:
            return column.render(task) if task.total is not None else ""

    return Known()


Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout, and nothing else.")]


def new_app(help: str) -> typer.Typer:
    """A program without commands yet, with the options --debug and --version."""
    settings = {"help_option_names": ["--help", "-h"]}
    app = typer.Typer(
        help=help, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, context_settings=settings
    )

    @app.callback()
    def options(
        debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
        version: Annotated[
            bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
        ] = False,
    ) -> None:
        """The options of every command."""

    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


def screen_width() -> int:
    """Of the terminal, or as COLUMNS says; without an end in a pipe, so that each row is a line there."""
    if not (sys.stdout.isatty() or {"COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE"} & os.environ.keys()):
        return UNBOUNDED  # as rich would find, whose import takes longer than a small command's work
    from rich.console import Console

    screen = Console()
    return screen.width if screen.is_terminal or "COLUMNS" in os.environ else UNBOUNDED


def say(text: str) -> None:
    """A line on stdout, wrapped between words where the screen is narrower."""
    from textwrap import wrap

    indent = " " * (len(text) - len(text.lstrip()) + 4)
    lines = wrap(text, screen_width(), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    print(*lines or [""], sep="\n", flush=True)


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM; not a KeyboardInterrupt, which typer would swallow. Its message, if any, is printed."""


@contextmanager
def on_interrupt(message: Callable[[], str]) -> Iterator[None]:
    """If the block is interrupted, prints the state of its work."""
    try:
        yield
    except Interrupted:
        raise Interrupted(message()) from None


def only_called(app: typer.Typer, words: Sequence[str]) -> typer.Typer:
    """The program with no other command than the one that is called: typer reads the options of all that it is given."""
    called = next((word for word in words if not word.startswith("-")), "")
    names = [one.name or getattr(one.callback, "__name__", "").replace("_", "-") for one in app.registered_commands]
    commands = [one for one, name in zip(app.registered_commands, names, strict=True) if name == called]
    if not commands:
        return app
    alone = copy(app)
    alone.registered_commands, alone.registered_groups = commands, []
    return alone


def run_program(app: typer.Typer, name: str, words: list[str] | None, interrupted: str = "interrupted") -> NoReturn:
    """Runs a command and ends the process.

    An error that the user can mend is one line on stderr and exit code 2; `--debug`, anywhere, shows its traceback.

    Args:
        app: the commands.
        name: of the program.
        words: its arguments; None takes the process's own.
        interrupted: the message after Ctrl-C or SIGTERM, which end with code 130.
    """
    words = sys.argv[1:] if words is None else words
    debug = "--debug" in words
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, io.TextIOWrapper):
            output.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show is no reason to fail
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    words = [word for word in words if word != "--debug"]
    try:
        sys.exit(only_called(app, words)(args=words, prog_name=name, standalone_mode=False) or 0)
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
        if wrong := _no_address(os.environ.get("HF_ENDPOINT", "")):  # huggingface_hub cannot be imported with one
            _end(f"HF_ENDPOINT is not a web address ({wrong}): correct or unset it", 2, debug)
        if not hasattr(error, "format_message"):  # an error of the command line's own parser has one
            raise
        _end(error.format_message().replace("\n", " "), 2, debug)


def _no_address(url: str) -> str:
    """What is wrong with a URL, or ""."""
    try:
        urlsplit(url).port  # noqa: B018
    except ValueError as error:
        return str(error)
    return ""


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
