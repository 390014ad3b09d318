"""MetaDrive's tasks recorded by DSRL's own protocol, part after part, so that an interrupted collection goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safefeedback.errors import InputError
from safefeedback.recorder.collect import Collected, Place
from safefeedback.recorder.driver import PROTOCOL, PROTOCOL_EPISODES, PROTOCOL_VERSION, drive, units
from safefeedback.recorder.plan import versions
from safefeedback.recorder.recording import Episode, read_recording, sums, write_recording
from safefeedback.simulators import can_simulate
from safefeedback.sources.dsrl import CITATION
from safefeedback.tasks import Task

PART = 10  # episodes in a file of their own
MOST_EPISODES = 60_000
CREDIT = (
    "Driven by the protocol of DSRL: Z. Liu et al., Datasets and Benchmarks for Offline Safe Reinforcement Learning, arXiv "
    "2306.09303; simulator MetaDrive: Q. Li et al., arXiv 2109.12674, Apache-2.0"
)
PACKAGES = ("safefeedback", "numpy", "gymnasium", "metadrive-simulator", "panda3d")
DECIDING = ("numpy", "metadrive-simulator", "panda3d")  # packages whose versions an episode follows from


@dataclass(frozen=True)
class DriveConfig:
    """What is collected.

    Attributes:
        episodes: how many; 1,000 are DSRL's protocol in full, 50 drive every setting once.
        seed: everything random follows from it.
        license, author: terms of the file, for the cards of datasets made from it; empty where nothing is to be stated.
    """

    episodes: int = PROTOCOL_EPISODES
    seed: int = 0
    license: str = ""
    author: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.episodes <= MOST_EPISODES:
            raise InputError(f"episodes must be between 1 and {MOST_EPISODES:,}, not {self.episodes}")
        if not 0 <= self.seed < 2**62:
            raise InputError(f"seed must lie between 0 and 2^62 - 1, not {self.seed}")


def parts(config: DriveConfig) -> list[range]:
    """The episodes of each part."""
    return [range(first, min(first + PART, config.episodes)) for first in range(0, config.episodes, PART)]


def fingerprint(task: Task, config: DriveConfig, part: range) -> str:
    """What the content of a part follows from, as a sha256."""
    what = {
        "task": task.name,
        "seed": config.seed,
        "episodes": [part.start, part.stop],
        "protocol_version": PROTOCOL_VERSION,
        "versions": versions(DECIDING),
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def record(
    task: Task, config: DriveConfig, folder: Path, on_episode: Callable[[int, Episode], None]
) -> tuple[list[Episode], int]:
    """The collection's episodes, part after part; a part that lies in `folder` already is taken from there.

    Args:
        folder: of the parts; each is written whole or not at all.
        on_episode: told the index of each episode that was driven, and the episode.

    Returns:
        The episodes, and how many parts were there.

    Raises:
        InputError: if a part cannot be read.
    """
    episodes: list[Episode] = []
    reused = 0
    for part in parts(config):
        path = folder / f"episodes-{part.start:05}-{part.stop:05}-{fingerprint(task, config, part)[:10]}.hdf5"
        reused += path.exists()
        if not path.exists():
            driven = []
            for index in part:
                driven.append(drive(task, config.seed, index))
                on_episode(index, driven[-1])
            write_recording(path, driven, {})
        episodes += read_recording(path)[0]
    return episodes, reused


def attributes(task: Task, config: DriveConfig) -> dict[str, Any]:
    """How the file was made, as HDF5 attributes: texts, numbers, and JSON for what has parts."""
    values: dict[str, Any] = {
        "made_by": "safefeedback collect",
        "task": task.name,
        "algorithm": PROTOCOL,
        "protocol_version": PROTOCOL_VERSION,
        "units": json.dumps(units()),
        "versions": json.dumps(versions(PACKAGES)),
        "seed": config.seed,
        "episodes_recorded": config.episodes,
        "episodes_of_the_protocol_in_full": PROTOCOL_EPISODES,
        "episodes_kept": config.episodes,
        "replay": "episode_seeds[e] and map = units[episode_units[e]]['map']: reset(seed=, options={'map': map}) of a new "
        "environment from safefeedback.simulators.make, then its actions",
        "credit": CREDIT,
        "citation": CITATION,
    }
    return values | {key: text for key, text in (("license", config.license), ("author", config.author)) if text}


def collect(
    task: Task, out: Path, config: DriveConfig, on_episode: Callable[[int, Episode], None] = lambda index, episode: None
) -> Collected:
    """Drive the collection's episodes and write one file; what `out` means is as in `recorder.collect.collect`.

    Raises:
        InputError: if the task cannot be simulated here, or the file exists already.
    """
    if (reason := can_simulate(task)) is not None:
        raise InputError(reason)
    place = Place(task, out)
    place.make()
    episodes, reused = record(task, config, place.parts, on_episode)
    path = place.file(sums(episodes)[1])
    write_recording(path, episodes, attributes(task, config))
    return Collected(path, len(episodes), 0, len(episodes), reused, place.parts)
