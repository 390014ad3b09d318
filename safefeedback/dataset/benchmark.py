"""The frozen benchmark: which pairs, which splits, and how policies are judged (benchmark.toml; docs: BENCHMARK)."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from safefeedback.errors import InputError, command_line
from safefeedback.feedback.recipe import Recipe
from safefeedback.tasks import find_task

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


CURRENT = 1


@dataclass(frozen=True)
class Benchmark:
    """One version; it never changes, a correction is a new version.

    Attributes:
        version: counted from 1.
        pairs, length, test_fraction, seed: of every task's recipe; everything else is the recipe's default.
        training_seeds: the least number of seeds for a cell of a results table.
        episodes: the least number for each policy's evaluation.
        development_seeds: evaluation seeds to use while a method is developed.
        reporting_seed: the evaluation seed reserved for reported numbers.
        content: by task, the content sha256 of the dataset.
        recordings: by task, the sha256 of the recordings it is cut from.
    """

    version: int
    pairs: int
    length: int
    test_fraction: float
    seed: int
    training_seeds: int
    episodes: int
    development_seeds: tuple[int, ...]
    reporting_seed: int
    content: dict[str, str]
    recordings: dict[str, str]

    def recipe(self, task: str) -> Recipe:
        """The recipe of a task's dataset, at the middle one of its cost limits.

        Raises:
            InputError: if the benchmark does not hold the task.
        """
        if task not in self.content:
            raise InputError(f"version {self.version} of the benchmark has no task '{task}': it has {', '.join(self.content)}")
        choices = {"pairs": self.pairs, "length": self.length, "test_fraction": self.test_fraction, "seed": self.seed}
        return Recipe(find_task(task), **choices)  # type: ignore[arg-type]

    def command(self, task: str) -> str:
        """What builds a task's dataset."""
        options = ("--pairs", self.pairs, "--length", self.length, "--test-fraction", self.test_fraction, "--seed", self.seed)
        return command_line("safefeedback", "build", "--task", task, "--source", "recordings", *options, "--out", task)


@cache
def benchmark(version: int = CURRENT) -> Benchmark:
    """A version of the benchmark.

    Raises:
        InputError: if there is none.
    """
    text = Path(__file__).with_name("benchmark.toml").read_text(encoding="utf-8")
    versions: dict[str, dict[str, Any]] = tomllib.loads(text)
    if f"v{version}" not in versions:
        raise InputError(f"there is no version {version} of the benchmark: there is {', '.join(versions)}")
    frozen = versions[f"v{version}"]
    tasks = frozen.pop("tasks")
    content, recordings = ({task: entry[name] for task, entry in tasks.items()} for name in ("content", "recordings"))
    frozen["development_seeds"] = tuple(frozen["development_seeds"])
    return Benchmark(version=version, content=content, recordings=recordings, **frozen)
