"""What a person sees on the terminal while something runs, and after it."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

SHOWN = {
    "loss": "loss",
    "preference_loss": "pref",
    "p_safe": "p_safe",
    "p_unsafe": "p_unsafe",
    "nu": "nu",
    "saturated": "saturated",
    "data_mse": "mse",
    "test_preference_accuracy": "test_pref",
    "evaluated_reward": "reward",
    "evaluated_cost": "cost",
}


class Progress:
    """A progress bar on stderr; nothing in a pipe. Call it with (done, total)."""

    def __init__(self, title: str, quiet: bool = False) -> None:
        self.bar: Any = None
        if not quiet and sys.stderr.isatty():
            from rich import progress
            from rich.console import Console

            columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), progress.MofNCompleteColumn())
            self.bar = progress.Progress(*columns, progress.TimeRemainingColumn(), console=Console(stderr=True), transient=True)
            self.line = self.bar.add_task(title, total=None)

    def __enter__(self) -> Progress:
        if self.bar is not None:
            self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.bar is not None:
            self.bar.stop()

    def __call__(self, done: int, total: int) -> None:
        if self.bar is not None:
            self.bar.update(self.line, completed=done, total=total)

    def say(self, text: str) -> None:
        """A line on stdout, above the bar."""
        if self.bar is not None:
            self.bar.stop()
        print(text, flush=True)
        if self.bar is not None:
            self.bar.start()


def report_line(line: dict[str, Any], steps: int) -> str:
    """One report in one line."""
    numbers = [f"{name} {line[key]:.3g}" for key, name in SHOWN.items() if line.get(key) is not None]
    return f"{line['stage']:<5}{line['step']:>9,}/{steps:,}  {'  '.join(numbers)}"


def shout(text: str) -> None:
    """A warning nobody overlooks, on stderr."""
    colour, plain = ("\033[1;31m", "\033[0m") if sys.stderr.isatty() else ("", "")
    print(f"{colour}WARNING: {text}{plain}", file=sys.stderr, flush=True)


def print_evaluation(summary: dict[str, Any]) -> None:
    """The numbers a person needs after an evaluation."""
    reward = summary["normalized_return"]
    print(f"{summary['algorithm']} on {summary['task']}, {summary['episodes']} episodes, cost limit {summary['cost_limit']:g}")
    shown = "no reference returns to normalise by" if reward is None else f"{reward:.3f} normalised"
    print(f"  reward  {shown} ({summary['return']:.2f} raw)")
    verdict = "SAFE" if summary["safe"] else "UNSAFE"
    print(f"  cost    {summary['normalized_cost']:.3f} normalised ({summary['cost']:.2f} raw)   {verdict}")
    print(f"  length  {summary['length']:.1f} steps")
