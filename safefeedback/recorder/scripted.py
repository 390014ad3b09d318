"""Records scripted behaviour in parts, so that an interrupted collection can continue."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safefeedback.errors import InputError
from safefeedback.recorder.collect import Collected, OutputPaths
from safefeedback.recorder.plan import versions
from safefeedback.recorder.recording import Episode, read_recording, sums, write_recording
from safefeedback.recorder.script import Script, find_script
from safefeedback.simulators import can_simulate
from safefeedback.tasks import Task

PART = 10  # episodes in a file of their own
MOST_EPISODES = 60_000


@dataclass(frozen=True)
class ScriptedConfig:
    """What is collected.

    Attributes:
        episodes: how many; a script says the size of a full collection.
        seed: of every random choice.
        license, author: terms of the file, for the cards of datasets made from it; empty where nothing is to be stated.
    """

    episodes: int = 1000
    seed: int = 0
    license: str = ""
    author: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.episodes <= MOST_EPISODES:
            raise InputError(f"episodes must be between 1 and {MOST_EPISODES:,}, not {self.episodes}")
        if not 0 <= self.seed < 2**62:
            raise InputError(f"seed must lie between 0 and 2^62 - 1, not {self.seed}")


def parts(config: ScriptedConfig) -> list[range]:
    """The episodes of each part."""
    return [range(first, min(first + PART, config.episodes)) for first in range(0, config.episodes, PART)]


def fingerprint(task: Task, script: Script, config: ScriptedConfig, part: range) -> str:
    """The sha256 of everything that determines the content of a part."""
    identity = {
        "task": task.to_dict(),
        "seed": config.seed,
        "episodes": [part.start, part.stop],
        "protocol_version": script.version,
        "versions": versions(script.deciding),
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def record(
    task: Task, script: Script, config: ScriptedConfig, folder: Path, on_episode: Callable[[int, Episode], None]
) -> tuple[list[Episode], int]:
    """The collection's episodes, part after part; a part that lies in `folder` already is taken from there.

    Args:
        folder: of the parts; each is written whole or not at all.
        on_episode: called with the index of each episode that was played, and the episode.

    Returns:
        The episodes, and how many parts were there.

    Raises:
        InputError: if a part cannot be read.
    """
    episodes: list[Episode] = []
    reused = 0
    for part in parts(config):
        path = folder / f"episodes-{part.start:05}-{part.stop:05}-{fingerprint(task, script, config, part)[:10]}.hdf5"
        reused += path.exists()
        if not path.exists():
            played = []
            for index in part:
                played.append(script.play(task, config.seed, index))
                on_episode(index, played[-1])
            write_recording(path, played, {})
        episodes += read_recording(path)[0]
    return episodes, reused


def attributes(task: Task, script: Script, config: ScriptedConfig) -> dict[str, Any]:
    """How the file was made, as HDF5 attributes: texts, numbers, and JSON for what has parts."""
    values: dict[str, Any] = {
        "made_by": "safefeedback collect",
        "task": task.name,
        "algorithm": script.words,
        "protocol_version": script.version,
        "units": json.dumps(script.units()),
        "versions": json.dumps(versions(script.packages)),
        "seed": config.seed,
        "episodes_recorded": config.episodes,
        "episodes_of_the_protocol_in_full": script.episodes,
        "episodes_kept": config.episodes,
        **script.facts,
    }
    return values | {key: text for key, text in (("license", config.license), ("author", config.author)) if text}


def collect(
    task: Task, out: Path, config: ScriptedConfig, on_episode: Callable[[int, Episode], None] = lambda index, episode: None
) -> Collected:
    """Play the collection's episodes and write one file; what `out` means is as in `recorder.collect.collect`.

    Raises:
        InputError: if the task cannot be simulated here, no script plays it, or the file exists already.
    """
    if (reason := can_simulate(task)) is not None:
        raise InputError(reason)
    if (script := find_script(task)) is None:
        raise InputError(f"{task.name} has no script that plays it: it is recorded by training policies")
    place = OutputPaths(task, out)
    with place.made() as folder:
        episodes, reused = record(task, script, config, folder, on_episode)
    path = place.file(sums(episodes)[1])
    write_recording(path, episodes, attributes(task, script, config))
    return Collected(path, len(episodes), 0, len(episodes), reused, place.parts)
