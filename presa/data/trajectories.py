"""Finds the recordings that a dataset was built from: with true rewards and costs, or observations and actions alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

from presa.data.pairs import Data
from safefeedback import sources
from safefeedback.errors import InputError
from safefeedback.tasks import Task
from safefeedback.types import Episodes, UnlabelledEpisodes


def find_episodes(task: Task, fingerprint: str, file: Path | None = None) -> Episodes:
    """The recordings whose file has the given sha256: DSRL's cached file, a recording that comes with safefeedback, or `file`.

    A file that was named is taken as it is; its fingerprint is in the result's `source`.

    Raises:
        InputError: if no such file is on this machine, or it cannot be read.
    """
    if file is not None:
        return sources.load(str(file), task)
    return sources.recover(task, fingerprint, option="--trajectories")


def find_unlabelled(task: Task, fingerprint: str, source: str | Path | None = None) -> UnlabelledEpisodes:
    """The observations and actions in the recordings whose file has the given sha256, or in `source`, a file or a dataset as in
    `safefeedback.sources.load`; never rewards or costs.

    Raises:
        InputError: if no such file is on this machine, or it cannot be read.
    """
    if source is None:
        source = sources.recover_file(task, fingerprint, "--unlabelled")
    return sources.load_unlabelled(str(source), task)


def training_episodes(data: Data, admits: Callable[[int], bool] = lambda episode: True) -> list[int]:
    """The episodes to learn from: those that are admitted and not held out; at least one.

    Episodes of the test split are held out if the dataset was cut from this very file; of another file none is, with a
    warning.

    Raises:
        InputError: if the data come without episodes, or none is left.
    """
    if data.episodes is None:
        raise InputError("this algorithm needs whole trajectories: give them with Data.with_episodes")
    held_out = data.held_out
    if held_out and data.episodes.source.fingerprint != data.identity["source_sha256"]:
        held_out = frozenset()  # they number the episodes of another file
        warnings.warn(
            f"{data.episodes.source.file} is not the file the dataset was cut from: no episode is held out",
            stacklevel=2,
        )
    chosen = [e for e in range(len(data.episodes)) if e not in held_out and admits(e)]
    if not chosen:
        raise InputError(f"no episode of {data.episodes.source.file} is left to learn from at cost limit {data.cost_limit:g}")
    return chosen
