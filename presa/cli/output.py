"""What a person sees on the terminal during a training and after an evaluation."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from presa.runs.records import oversaturated, warnings
from safefeedback.errors import InputError
from safefeedback.terminal import Progress

SHOWN = {
    "loss": "loss",
    "preference_loss": "pref",
    "p_safe": "p_safe",
    "p_unsafe": "p_unsafe",
    "nu": "nu",
    "saturated": "saturated",
    "data_mse": "mse",
    "test_preference_accuracy": "test_pref",
    "test_cost_preference_accuracy": "test_cost_pref",
    "test_safety_accuracy": "test_safety",
    "true_correlation": "correlation",
    "evaluated_reward": "reward",
    "evaluated_cost": "cost",
}


def report_line(line: dict[str, Any], steps: int) -> str:
    """One report in one line."""
    numbers = [f"{name} {line[key]:.3g}" for key, name in SHOWN.items() if line.get(key) is not None]
    return f"{line['stage']:<5}{line['step']:>9,}/{steps:,}  {'  '.join(numbers)}"


class Watch:
    """Shows the reports of runs, passes them on, and warns once about each run that saturates."""

    def __init__(self, logs: dict[Path, Callable[[dict[str, Any]], None]], steps: int, progress: Progress, quiet: bool) -> None:
        """`logs` takes the lines of each run's folder; steps are those of one run."""
        self.logs, self.steps, self.progress, self.quiet = logs, steps, progress, quiet
        self.done = dict.fromkeys(logs, 0)
        self.warned: set[Path] = set()

    def __call__(self, folder: Path, line: dict[str, Any]) -> None:
        """One line of metrics of one run."""
        self.logs[folder](line)
        self.done[folder] = line["step"]
        self.progress(sum(self.done.values()), self.steps * len(self.done))
        name = f"{folder.name}  " if len(self.logs) > 1 else ""
        if not self.quiet:
            self.progress.say(name + report_line(line, self.steps))
        if folder not in self.warned and oversaturated(line):
            self.warned.add(folder)
            shout(name + warnings([line])[0])


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
    for note in summary.get("notes", ()):
        print(f"  note    {note}")


def print_evaluations(summaries: dict[str, dict[str, Any] | str]) -> None:
    """The table of many runs: name -> its summary, or why it has none; and their means, a cell of the paper's tables."""
    wide = max(map(len, summaries))
    print(f"{'run':<{wide}}  reward    cost  (normalised, mean of the episodes)")
    for name, summary in summaries.items():
        print(f"{name:<{wide}}  {summary if isinstance(summary, str) else _cells(summary)}")
    judged = [summary for summary in summaries.values() if not isinstance(summary, str)]
    if len(judged) > 1:
        rewards = [one["normalized_return"] for one in judged]
        cost = sum(one["normalized_cost"] for one in judged) / len(judged)
        reward = None if None in rewards else sum(rewards) / len(rewards)
        mean = {"normalized_return": reward, "normalized_cost": cost, "safe": cost <= 1}
        print(f"{f'mean of {len(judged)}':<{wide}}  {_cells(mean)}; {sum(one['safe'] for one in judged)} are safe")


def _cells(summary: dict[str, Any]) -> str:
    reward = summary["normalized_return"]
    shown = "     -" if reward is None else f"{reward:6.3f}"
    return f"{shown}  {summary['normalized_cost']:6.3f}  {'SAFE' if summary['safe'] else 'UNSAFE'}"


@contextmanager
def log_to_tensorboard(folder: Path, wanted: bool) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yields a function that takes a line of metrics; it does nothing if TensorBoard is not wanted.

    Raises:
        InputError: if it is wanted and not installed.
    """
    if not wanted:
        yield lambda line: None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError("--tensorboard needs the package tensorboard: pip install tensorboard") from None
    writers: list[SummaryWriter] = []  # made at the first report: until then the folder is not the run's

    def log(line: dict[str, Any]) -> None:
        if not writers:
            writers.append(SummaryWriter(str(folder / "tensorboard")))
        for name, value in line.items():
            if isinstance(value, float):
                writers[0].add_scalar(f"{line['stage']}/{name}", value, line["step"])

    try:
        yield log
    finally:
        for writer in writers:
            writer.close()
