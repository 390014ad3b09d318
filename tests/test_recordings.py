"""The recordings shipped with the package: their properties, and that the simulator reproduces them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from replaying import TOLERANCE, replay

from safefeedback import simulators as simulator
from safefeedback.recorder.bundle import export
from safefeedback.recorder.recording import read_recording, sums
from safefeedback.sources import load, recordings_file
from safefeedback.tasks import Task, find_task, tasks

BULLET = [task.name for task in tasks().values() if task.domain == "BulletGym"]
SAFETY = [task.name for task in tasks().values() if task.domain == "SafetyGym" and recordings_file(task) is not None]
LEAST_EPISODES = {
    "Ball": 100,
    "Car": 100,
    "Drone": 60,
    "Ant": 50,
    "PointCircle": 60,
    "PointGoal": 30,
    "HalfCheetah": 30,
    "Hopper": 40,
}
LEAST_BEST = {"BallRun": 0.25}  # of DSRL's range; 0.4 elsewhere


def shipped(name: str) -> tuple[Path, Task]:
    task = find_task(name)
    path = recordings_file(task)
    assert path is not None, f"no recordings of {name} are shipped"
    return path, task


def test_safetygym_has_navigation_and_velocity() -> None:
    assert SAFETY == ["PointCircle1", "PointGoal1", "HalfCheetahVelocity", "HopperVelocity"]


@pytest.mark.parametrize("name", [*BULLET, *SAFETY])
def test_they_are_small_and_span_safe_and_unsafe(name: str) -> None:
    path, task = shipped(name)
    returns, costs = sums(read_recording(path)[0])
    agent = next(agent for agent in LEAST_EPISODES if name.startswith(agent))
    assert path.stat().st_size <= 3_000_000 and len(returns) >= LEAST_EPISODES[agent]
    safe = costs <= task.default_cost_limit
    assert 0.2 <= safe.mean() <= 0.8
    assert task.reference_returns is not None
    low, high = task.reference_returns
    best = (returns[safe].max() - low) / (high - low)
    assert best >= LEAST_BEST.get(name, 0.4), f"best safe normalised return {best:.2f}"


@pytest.mark.parametrize("name", [*BULLET, *SAFETY])
def test_our_reader_takes_them_as_any_dsrl_file(name: str) -> None:
    path, task = shipped(name)
    episodes, attributes = read_recording(path)
    loaded = load("recordings", task)
    assert len(loaded) == len(episodes) and loaded.source.license == attributes["license"] == "CC-BY-4.0"
    np.testing.assert_array_equal(loaded.lengths, [len(episode) for episode in episodes])
    assert ("DSRL" in attributes.get("credit", "")) == ("warm_start" in attributes)


@pytest.mark.parametrize("name", [*BULLET, *SAFETY])
def test_they_replay_from_their_seeds(name: str) -> None:
    path, task = shipped(name)
    reason = simulator.can_simulate(task)
    if reason is not None:
        pytest.skip(reason)
    episodes, _ = read_recording(path)
    count = 3 if name.startswith("Point") else 10  # each of their worlds takes a second to build
    for index in np.linspace(0, len(episodes) - 1, count).astype(int):
        replay(task, episodes[index], TOLERANCE)


@pytest.mark.parametrize("name", BULLET)
def test_exported_they_are_what_dsrls_loader_reads(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, task = shipped(name)
    pytest.importorskip("dsrl")
    monkeypatch.setenv("DSRL_DATASET_DIR", str(tmp_path))
    monkeypatch.setenv("DSRL_SUPPRESS_IMPORT_ERROR", "1")
    export(path, tmp_path / "full.hdf5")
    with simulator.quiet():
        import dsrl.offline_bullet_safety_gym  # noqa: F401
        import gymnasium

        data = gymnasium.make(task.env_id, disable_env_checker=True).unwrapped.get_dataset(str(tmp_path / "full.hdf5"))
    with h5py.File(path, "r") as file:
        assert set(data) == {*file, "next_observations"}
        for key in file:
            np.testing.assert_array_equal(data[key], file[key][:])
    ends = data["terminals"] | data["timeouts"]
    np.testing.assert_array_equal(data["next_observations"][:-1][~ends[:-1]], data["observations"][1:][~ends[:-1]])
    assert not np.array_equal(data["next_observations"][:-1][ends[:-1]], data["observations"][1:][ends[:-1]])
