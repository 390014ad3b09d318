"""The display of a training on the terminal: a progress bar, a line for each report, and warnings."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from presa.files import POLICY_FILE
from presa.runs.records import last_checkpoint, metrics_warnings, oversaturated
from safefeedback.terminal import Progress

ESTIMATE_AFTER = 2.0  # seconds of training after which its duration is estimated
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
    """The expected duration of a training, from its first seconds."""
    seconds = left / speed
    unit, size = next((unit, size) for unit, size in UNITS if seconds >= 2 * size or size == 1)
    return f"about {max(1, round(seconds / size))} {unit} to go on {device}: {left:,} steps at {speed:,.0f} a second"


def interruption_message(folders: Sequence[Path]) -> str:
    """The message after an interrupted training: the state of its runs, and how to continue."""
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
    """Shows the reports of runs, passes them on, and warns once about each run whose actions saturate."""

    def __init__(
        self,
        logs: dict[Path, Callable[[dict[str, Any]], None]],
        steps: int,
        progress: Progress,
        quiet: bool,
        device: str = "cpu",
    ) -> None:
        """`logs` receives the lines of each run's folder; steps are those of one run."""
        self.logs, self.steps, self.progress, self.quiet, self.device = logs, steps, progress, quiet, device
        self.done = dict.fromkeys(logs, 0)
        self.first: dict[Path, int] = {}  # what each run had done before this process
        self.began = self.shown = 0.0
        self.estimated = quiet
        self.warned: set[Path] = set()
        progress(0, steps * len(logs))

    def step(self, folder: Path, done: int) -> None:
        """Updates the number of steps of a run; the bar moves at most ten times a second."""
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
        if not self.estimated and now - self.began > ESTIMATE_AFTER and new:
            self.estimated = True
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


def print_warning(text: str) -> None:
    """Prints a highlighted warning on stderr."""
    colour, plain = ("\033[1;31m", "\033[0m") if sys.stderr.isatty() else ("", "")
    print(f"{colour}WARNING: {text}{plain}", file=sys.stderr, flush=True)
