"""What a person sees on the terminal during a training and after an evaluation."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from presa.files import POLICY_FILE
from presa.runs.records import last_checkpoint, metrics_warnings, oversaturated
from safefeedback.errors import InputError
from safefeedback.terminal import Progress

MANY_EARLY = 0.1  # share of the episodes that end before the time limit from which it is said
LOW_RETURN = 0.25  # of the normalised return of the recorded segments
ESTIMATE_AFTER = 2.0  # seconds of training after which it is said how long it will take
UNITS = (("hours", 3600), ("minutes", 60), ("seconds", 1))
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


def estimate(left: int, speed: float, device: str) -> str:
    """How long a training will take, from what its first seconds were like."""
    seconds = left / speed
    unit, size = next((unit, size) for unit, size in UNITS if seconds >= 2 * size or size == 1)
    return f"about {max(1, round(seconds / size))} {unit} to go on {device}: {left:,} steps at {speed:,.0f} a second"


def interruption_message(folders: Sequence[Path]) -> str:
    """What became of runs whose training was interrupted, and how to go on."""
    finished = sum((folder / POLICY_FILE).is_file() for folder in folders)
    kept = [int(file.stem.partition("-")[2]) for folder in folders if (file := last_checkpoint(folder)) is not None]
    begun = [(folder / "config.json").is_file() for folder in folders]
    done = f"{finished} of {len(folders)} runs are finished; " if len(folders) > 1 else ""
    if finished == len(folders):
        return "interrupted, but the training is finished"
    if kept:
        steps = f"{min(kept):,}" + (f" to {max(kept):,}" if min(kept) < max(kept) else "")
        where = "the checkpoint" if len(folders) == 1 else "their checkpoints"
        return f"interrupted; {done}the same command goes on from {where} of step {steps}"
    nothing = "there is no checkpoint yet, so the same command begins anew"
    return f"interrupted; {done}{nothing if any(begun) else 'nothing was begun'}"


def report_line(line: dict[str, Any], steps: int) -> str:
    """One report in one line."""
    numbers = [f"{name} {line[key]:.3g}" for key, name in SHOWN.items() if line.get(key) is not None]
    return f"{line['stage']:<5}{line['step']:>9,}/{steps:,}  {'  '.join(numbers)}"


class TrainingDisplay:
    """Shows the reports of runs, passes them on, and warns once about each run that saturates."""

    def __init__(
        self,
        logs: dict[Path, Callable[[dict[str, Any]], None]],
        steps: int,
        progress: Progress,
        quiet: bool,
        device: str = "cpu",
    ) -> None:
        """`logs` takes the lines of each run's folder; steps are those of one run."""
        self.logs, self.steps, self.progress, self.quiet, self.device = logs, steps, progress, quiet, device
        self.done = dict.fromkeys(logs, 0)
        self.first: dict[Path, int] = {}  # what each run had done before this process
        self.began = self.shown = 0.0
        self.told = quiet
        self.warned: set[Path] = set()
        progress(0, steps * len(logs))

    def step(self, folder: Path, done: int) -> None:
        """A run has done so many of its steps; the bar moves at most ten times a second."""
        now = time.perf_counter()
        if not self.first:
            self.began = now
        self.first.setdefault(folder, done)
        self.done[folder] = done
        if now - self.shown < 0.1:
            return
        self.shown, total = now, self.steps * len(self.done)
        self.progress(sum(self.done.values()), total)
        new = sum(self.done[run] - first for run, first in self.first.items())
        if not self.told and now - self.began > ESTIMATE_AFTER and new:
            self.told = True
            at_most = "at most " if len(self.done) > 1 else ""  # runs share their cloning
            left = total - sum(self.done.values())
            self.progress.say(at_most + estimate(left, new / (now - self.began), self.device))

    def __call__(self, folder: Path, line: dict[str, Any]) -> None:
        """One line of metrics of one run."""
        self.logs[folder](line)
        name = f"{folder.name}  " if len(self.logs) > 1 else ""
        if not self.quiet:
            self.progress.say(name + report_line(line, self.steps))
        if folder not in self.warned and oversaturated(line):
            self.warned.add(folder)
            print_warning(name + metrics_warnings([line])[0])


def failure_lines(failures: dict[str, dict[str, str]]) -> list[str]:
    """A line for each reason why cells of a study failed: `failures` is cell -> run -> why, run "" for the whole cell."""
    places: dict[str, list[str]] = {}
    for cell, reasons in failures.items():
        for run, why in reasons.items():
            places.setdefault(why, []).append(f"{cell} {run}".strip())
    return [f"FAILED {', '.join(some[:3])}{_and_more(len(some) - 3)}: {why}" for why, some in places.items()]


def _and_more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def print_warning(text: str) -> None:
    """A warning nobody overlooks, on stderr."""
    colour, plain = ("\033[1;31m", "\033[0m") if sys.stderr.isatty() else ("", "")
    print(f"{colour}WARNING: {text}{plain}", file=sys.stderr, flush=True)


def print_evaluation(summary: dict[str, Any]) -> None:
    """The numbers a person needs after an evaluation."""
    reward, recorded = summary["normalized_return"], summary.get("recorded_return")
    print(f"{summary['algorithm']} on {summary['task']}, {summary['episodes']} episodes, cost limit {summary['cost_limit']:g}")
    shown = "no reference returns to normalise by" if reward is None else f"{reward:.3f} normalised"
    data = "" if recorded is None else f"; the data's segments earn {recorded:.2f} at that pace"
    print(f"  reward  {shown} ({summary['return']:.2f} raw{data})")
    print(f"  cost    {summary['normalized_cost']:.3f} normalised ({summary['cost']:.2f} raw)   {verdict(summary)}")
    early = f"{summary['ended_early']:.0%} of the episodes ended early"
    print(f"  length  {summary['length']:.1f} of {summary['horizon']} steps; {early}")
    for note in summary.get("notes", ()):
        print(f"  note    {note}")


def print_evaluations(summaries: dict[str, dict[str, Any] | str]) -> None:
    """The table of many runs: name -> its summary, or why it has none; and their means, a cell of the paper's tables."""
    wide = max(map(len, summaries))
    print(f"{'run':<{wide}}  reward    cost  length  early  (reward and cost normalised, means of the episodes)")
    for name, summary in summaries.items():
        print(f"{name:<{wide}}  {summary if isinstance(summary, str) else _cells(summary)}")
    judged = [summary for summary in summaries.values() if not isinstance(summary, str)]
    if len(judged) > 1:
        rewards = [one["normalized_return"] for one in judged]
        cost = sum(one["normalized_cost"] for one in judged) / len(judged)
        reward = None if None in rewards else sum(rewards) / len(rewards)
        mean = {name: sum(one[name] for one in judged) / len(judged) for name in ("length", "ended_early")}
        mean |= {"normalized_return": reward, "normalized_cost": cost, "safe": cost <= 1}
        print(f"{f'mean of {len(judged)}':<{wide}}  {_cells(mean)}; {sum(one['safe'] for one in judged)} are safe")


def _cells(summary: dict[str, Any]) -> str:
    reward = summary["normalized_return"]
    shown = "     -" if reward is None else f"{reward:6.3f}"
    ended = f"{summary['length']:6.1f}  {summary['ended_early']:5.0%}"
    return f"{shown}  {summary['normalized_cost']:6.3f}  {ended}  {verdict(summary)}"


def verdict(summary: dict[str, Any]) -> str:
    """SAFE or UNSAFE, and why a policy that is safe may be so for nothing: it fell over, or it does nothing."""
    words = ["SAFE" if summary["safe"] else "UNSAFE"]
    if summary["ended_early"] > MANY_EARLY:
        words.append(f"but {summary['ended_early']:.0%} ended early")
    reward, recorded = summary["normalized_return"], summary.get("recorded_normalized_return")
    if reward is not None and recorded is not None and reward < LOW_RETURN * recorded:
        words.append(f"but it earns less than {LOW_RETURN:.0%} of the data's return")
    return " ".join([words[0], ", ".join(words[1:])]).strip()


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
