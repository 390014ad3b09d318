"""MetaDrive's shipped recordings: their ranges, their attributes, and that the simulator reproduces them."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
from replaying import TOLERANCE, replay

from safefeedback import simulators
from safefeedback.recorder.recording import read_recording, sums
from safefeedback.simulators.ceilings import ceiling
from safefeedback.sources import load, recordings_file
from safefeedback.tasks import find_task, tasks

SHIPPED = [task.name for task in tasks().values() if task.domain == "MetaDrive" and recordings_file(task) is not None]


def test_each_road_has_one() -> None:
    assert SHIPPED == ["easysparse", "mediummean", "harddense"]


@pytest.mark.parametrize("name", SHIPPED)
def test_they_are_small_whole_and_span_safe_and_unsafe(name: str) -> None:
    task = find_task(name)
    path = recordings_file(task)
    episodes, attributes = read_recording(path)
    returns, costs = sums(episodes)
    low, high = task.reference_returns
    safe = costs <= task.default_cost_limit
    assert path.stat().st_size <= 3_000_000 and len(episodes) >= 20 and 0.2 <= safe.mean() <= 0.8
    scores = (returns - low) / (high - low)
    assert scores[safe].max() > 0.35 and scores.max() > 0.75 and scores.min() < 0.3
    first = np.array([map_of(episode, attributes) for episode in episodes]) == 0  # the map of evaluations
    assert all(score <= ceiling(task, cost) + 1e-3 for score, cost in zip(scores[first], costs[first], strict=True))
    assert scores[first].max() > 0.85 * ceiling(task)
    assert {map_of(episode, attributes) for episode in episodes} == set(range(10))
    settings = [json.loads(attributes["units"])[episode.unit] for episode in episodes]
    assert {setting["target_speed"] for setting in settings} == {5, 9, 13, 17, 21}


def map_of(episode, attributes) -> int:
    return int(json.loads(attributes["units"])[episode.unit]["map"])


@pytest.mark.parametrize("name", SHIPPED)
def test_they_say_that_they_are_not_dsrls(name: str) -> None:
    path = recordings_file(find_task(name))
    attributes = read_recording(path)[1]
    assert attributes["algorithm"].startswith("made again by DSRL's protocol, not DSRL's file")
    assert attributes["episodes_kept"] < attributes["episodes_of_the_protocol_in_full"] == 1000
    loaded = load("recordings", find_task(name))
    assert loaded.source.license == "CC-BY-4.0" and "DSRL" in loaded.source.credit
    with h5py.File(path) as file:
        assert {data.dtype.str[1:] for data in file.values()} == {"f4", "b1"}


@pytest.mark.parametrize("name", SHIPPED)
def test_they_replay_from_their_seeds_and_maps(name: str) -> None:
    """The shortest of each, for time: any other replays as well (cards/metadrive.md)."""
    task = find_task(name)
    if (reason := simulators.can_simulate(task)) is not None:
        pytest.skip(reason)
    episodes, attributes = read_recording(recordings_file(task))
    for episode in sorted(episodes, key=len)[:1]:
        replay(task, episode, TOLERANCE, map=map_of(episode, attributes))
