"""MetaDrive's tasks recorded by DSRL's own protocol: a scripted driver of fifty manners on the ten maps of each road.

Source: the collection scripts of DSRL's authors (fsrl_metadrive: collect_data.py, policy/idm_policy.py). The driver keeps its lane by two PID
controllers and its distance by the intelligent driver model; the fifty settings are ten accelerations by five target speeds.
DSRL drove each setting for 20 episodes on maps drawn at random; here each drives every map twice, setting after setting, so that
the first n episodes of a collection are spread over settings and maps whatever n is, and are the same for any larger n.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from safefeedback.errors import InputError
from safefeedback.recorder.recording import Episode, read_recording, write_recording
from safefeedback.simulators import can_simulate, make
from safefeedback.simulators.metadrive import MAPS, load
from safefeedback.sources.dsrl import CITATION
from safefeedback.tasks import Task

ACCELERATIONS = tuple(round(0.6 * k, 1) for k in range(10))  # metres a second, squared
SPEEDS = (5, 9, 13, 17, 21)  # kilometres an hour in the driver's terms; see `driver`
EPISODES = 1000
PART = 10  # episodes in a file of their own, from which an interrupted collection goes on
PROTOCOL_VERSION = 1  # to be raised when the same settings come to give other episodes
PACKAGES = ("safefeedback", "numpy", "gymnasium", "metadrive-simulator", "panda3d")
PROTOCOL = (
    "made again by DSRL's protocol, not DSRL's file: an IDM driver with 10 accelerations (0, 0.6 ... 5.4) by 5 target speeds (5, 9 ... 21) "
    "on the road's ten maps, no lane change, steering + U(-0.1, 0.1), throttle + U(0, 0.2)"
)


@dataclass(frozen=True)
class DriveConfig:
    """What is collected.

    Attributes:
        episodes: how many; 1,000 are DSRL's protocol in full, 50 drive every setting once.
        seed: everything random follows from it.
        license, author: terms of the file, for the cards of datasets made from it; empty where nothing is to be stated.
    """

    episodes: int = EPISODES
    seed: int = 0
    license: str = ""
    author: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.episodes <= 60 * EPISODES:
            raise InputError(f"episodes must be between 1 and {60 * EPISODES}, not {self.episodes}")
        if not 0 <= self.seed < 2**62:
            raise InputError(f"seed must lie between 0 and 2^62 - 1, not {self.seed}")


def units() -> list[dict[str, float]]:
    """What an episode's `unit` counts: the driver's setting and the map, maps innermost."""
    return [
        {"acceleration": acceleration, "target_speed": speed, "map": number}
        for acceleration in ACCELERATIONS
        for speed in SPEEDS
        for number in range(MAPS)
    ]


def unit_of(index: int) -> int:
    """The unit that the collection's episode `index` drives: all settings in turn, each on the next map than in the turn before."""
    turn, setting = divmod(index, len(ACCELERATIONS) * len(SPEEDS))
    return setting * MAPS + (setting + turn) % MAPS


def drive(task: Task, config: DriveConfig, index: int) -> Episode:
    """The collection's episode `index`; it depends on nothing else."""
    unit = unit_of(index)
    setting = units()[unit]
    seed = int(np.random.default_rng([config.seed, index]).integers(2**31))
    rng = np.random.default_rng([seed, 1])
    env = make(task)
    try:
        observation, _ = env.reset(seed=seed, options={"map": int(setting["map"])})
        driver = driver_class()(env.unwrapped.drive.vehicle, seed, setting["acceleration"], setting["target_speed"])
        observations, actions, rewards, costs, over = [observation], [], [], [], False
        while not over:
            steering, throttle = driver.act()
            noisy = np.array([steering + rng.uniform(-0.1, 0.1), throttle + rng.uniform(0, 0.2)])
            # nothing is said to the pedals where the model has no number: see `driver_class`
            action = np.nan_to_num(np.clip(noisy, -1, 1)).astype(np.float32)
            observation, reward, terminated, truncated, info = env.step(action)
            observations.append(observation)
            actions.append(action)
            rewards.append(reward)
            costs.append(info["cost"])
            over = terminated or truncated
    finally:
        env.close()
    return Episode(
        np.array(observations, np.float32),
        np.array(actions, np.float32),
        np.array(rewards, np.float32),
        np.array(costs, np.float32),
        terminal=bool(terminated),
        seed=seed,
        unit=unit,
    )


@cache
def driver_class() -> Any:
    """DSRL's driver as MetaDrive's IDM policy with other numbers.

    Its deceleration is +5 where the model wants -5, as in DSRL's settings: with a car ahead the wanted gap has no number, and the
    driver lets the car roll. So its collisions come about.
    """
    from metadrive.component.vehicle_module.PID_controller import PIDController
    from metadrive.policy.idm_policy import IDMPolicy

    load()

    class Driver(IDMPolicy):
        def __init__(self, vehicle: Any, seed: int, acceleration: float, speed: float) -> None:
            super().__init__(vehicle, seed)
            self.NORMAL_SPEED = self.target_speed = speed
            self.DISTANCE_WANTED = 10.0 - speed / 6.0
            self.ACC_FACTOR, self.DEACC_FACTOR = acceleration, 5.0
            self.enable_lane_change = False
            self.heading_pid = PIDController(self.KP_HEADING, 0.01, 3.5)
            self.lateral_pid = PIDController(self.KP_LATERAL, 0.002, 0.05)

        def act(self) -> list[float]:
            with np.errstate(all="ignore"):
                return super().act()

    return Driver


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
        "versions": {name: found for name, found in _versions().items() if name in ("numpy", "metadrive-simulator", "panda3d")},
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def record(task: Task, config: DriveConfig, folder: Path, on_episode: Callable[[int, Episode], None]) -> tuple[list[Episode], int]:
    """The collection's episodes, part after part; a part that lies in `folder` already is taken from there.

    Args:
        folder: made if it is not there; a part is written whole or not at all.
        on_episode: told the index of each episode that was driven, and the episode.

    Returns:
        The episodes, and how many parts were there.

    Raises:
        InputError: if the task cannot be simulated here, or a part cannot be read.
    """
    if (reason := can_simulate(task)) is not None:
        raise InputError(reason)
    folder.mkdir(parents=True, exist_ok=True)
    episodes: list[Episode] = []
    reused = 0
    for part in parts(config):
        path = folder / f"episodes-{part.start:05}-{part.stop:05}-{fingerprint(task, config, part)[:10]}.hdf5"
        reused += path.exists()
        if not path.exists():
            driven = []
            for index in part:
                driven.append(drive(task, config, index))
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
        "versions": json.dumps(_versions()),
        "seed": config.seed,
        "episodes_recorded": config.episodes,
        "episodes_of_the_protocol_in_full": EPISODES,
        "episodes_kept": config.episodes,
        "replay": "episode_seeds[e] and map = units[episode_units[e]]['map']: reset(seed=, options={'map': map}) of a new environment "
        "from safefeedback.simulators.make, then its actions",
        "credit": "Driven by the protocol of DSRL: Z. Liu et al., Datasets and Benchmarks for Offline Safe Reinforcement Learning, "
        "arXiv 2306.09303; simulator MetaDrive (Q. Li et al., arXiv 2109.12674, Apache-2.0)",
        "citation": CITATION,
    }
    return values | {key: text for key, text in (("license", config.license), ("author", config.author)) if text}


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
