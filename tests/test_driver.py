"""MetaDrive's recordings by DSRL's own protocol: the driver, the order of a collection, and resuming it."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import wait_for
from replaying import replay
from typer.testing import CliRunner

from safefeedback import simulators
from safefeedback.cli.app import app
from safefeedback.errors import InputError
from safefeedback.recorder import driver, scripted
from safefeedback.recorder.driver import drive, unit_of, units
from safefeedback.recorder.recording import read_recording
from safefeedback.recorder.scripted import ScriptedConfig, collect
from safefeedback.tasks import Task, find_task

REASON = simulators.can_simulate(find_task("easysparse"))
needs_metadrive = pytest.mark.skipif(REASON is not None, reason=str(REASON))


@pytest.fixture
def short() -> Task:
    """The road's first metres."""
    return replace(find_task("mediumdense"), horizon=6)


def content(path: Path) -> dict[str, bytes]:
    with h5py.File(path, "r") as file:
        arrays = {name: file[name][:] for name in file} | {f"@{name}": np.asarray(value) for name, value in file.attrs.items()}
        return {name: str(values.tolist()).encode() for name, values in arrays.items()}


def test_a_thousand_episodes_are_dsrls_protocol_and_fewer_are_spread() -> None:
    every = [units()[unit_of(index)] for index in range(1000)]
    counts = Counter((unit["acceleration"], unit["target_speed"], unit["map"]) for unit in every)
    assert len(counts) == 10 * 5 * 10 and set(counts.values()) == {2}
    settings = Counter((unit["acceleration"], unit["target_speed"]) for unit in every)
    assert set(settings.values()) == {20} and max(settings) == (5.4, 21) and min(settings) == (0.0, 5)
    first = every[:50]
    assert len({(unit["acceleration"], unit["target_speed"]) for unit in first}) == 50
    assert set(Counter(unit["map"] for unit in first).values()) == {5}


@needs_metadrive
def test_an_episode_is_what_the_environment_plays_again() -> None:
    """Also on another map than the first, and where the driver has a car ahead and so no number for its throttle."""
    task = replace(find_task("mediumdense"), horizon=260)
    index = next(
        index for index in range(100) if units()[unit_of(index)] == {"acceleration": 5.4, "target_speed": 21, "map": 9}
    )
    episode = drive(task, 0, index)
    assert len(episode) > 20 and np.abs(episode.actions).max() <= 1 and np.isfinite(episode.actions).all()
    assert 0 < episode.costs.max() < 1.5 and episode.total_reward > 5
    replay(task, episode, map=9)
    with pytest.raises(AssertionError):
        replay(task, episode, map=1)


@needs_metadrive
def test_a_collection_says_what_it_is_and_a_larger_one_begins_with_it(short: Task, tmp_path: Path) -> None:
    heard: list[int] = []
    small = collect(short, tmp_path / "a.hdf5", ScriptedConfig(3), lambda index, episode: heard.append(index))
    assert (small.kept, small.recorded, small.reused_units) == (3, 3, 0) and heard == [0, 1, 2]
    episodes, attributes = read_recording(small.path)
    assert attributes["algorithm"].startswith("made again by DSRL's protocol, not DSRL's file")
    assert (attributes["episodes_kept"], attributes["episodes_of_the_protocol_in_full"]) == (3, 1000)
    assert json.loads(attributes["units"])[episodes[1].unit] == {"acceleration": 0.0, "target_speed": 9, "map": 1}
    assert "DSRL" in attributes["credit"] and "license" not in attributes
    large = collect(short, tmp_path / "b", ScriptedConfig(12, license="CC-BY-4.0"))
    assert large.path.name.startswith("SafeMetaDrive-mediumdense-v0-") and large.path.name.endswith("-12.hdf5")
    for mine, theirs in zip(episodes, read_recording(large.path)[0], strict=False):
        assert mine.seed == theirs.seed and np.array_equal(mine.observations, theirs.observations)
    again = collect(short, tmp_path / "b" / "again", ScriptedConfig(12))
    assert again.reused_units == 0
    other = drive(short, 1, 0)
    assert other.seed != episodes[0].seed


@needs_metadrive
def test_killed_three_times_it_ends_with_the_same_content(short: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripted, "PART", 1)
    config = ScriptedConfig(8, license="CC-BY-4.0", author="somebody")
    whole = collect(short, tmp_path / "whole.hdf5", config).path
    parts = tmp_path / "killed.hdf5.parts"
    rng = np.random.default_rng(0)
    for count in (1, 3, 6):
        process = multiprocessing.get_context("fork").Process(target=collect, args=(short, tmp_path / "killed.hdf5", config))
        process.start()
        wait_for(lambda count=count: len(list(parts.glob("*.hdf5"))) >= count)
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        process.join()
        assert not (tmp_path / "killed.hdf5").exists()
    result = collect(short, tmp_path / "killed.hdf5", config)
    assert 6 <= result.reused_units < 8
    assert content(result.path) == content(whole)


def test_options_about_training_are_refused(tmp_path: Path) -> None:
    words = ["collect", "--task", "easysparse", "--out", str(tmp_path / "x.hdf5")]
    for option in (["--steps", "10"], ["--cost-limits", "none"], ["--seeds", "1"], ["--warm-start", "a.hdf5"]):
        result = CliRunner().invoke(app, [*words, *option])
        assert isinstance(result.exception, InputError) and str(result.exception).startswith(f"{option[0]} is about training")
    result = CliRunner().invoke(app, [*words, "--episodes", "0"])
    assert isinstance(result.exception, InputError) and not list(tmp_path.iterdir())
    for other, words in (("easysparse", "--steps is about training: easysparse"), ("PointButton1", "PointButton1")):
        several = ["collect", "--task", f"BallRun,{other}", "--steps", "300", "--out", str(tmp_path / "both")]
        result = CliRunner().invoke(app, several)  # BallRun could be, and is not, since the other cannot
        assert words in str(result.exception) and not list(tmp_path.iterdir())
    if REASON is not None:
        result = CliRunner().invoke(app, words)
        assert "uv sync --extra metadrive" in str(result.exception)


def test_parts_know_the_whole_task(short: Task) -> None:
    """Another task of the same name does not take them for its own."""
    part = range(10)
    names = {scripted.fingerprint(task, driver.SCRIPT, ScriptedConfig(), part) for task in (short, replace(short, horizon=7))}
    assert len(names) == 2


@needs_metadrive
def test_the_command_collects_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = replace(driver.SCRIPT, play=lambda task, seed, index: drive(replace(task, horizon=4), seed, index))
    monkeypatch.setattr(driver, "SCRIPT", script)
    words = ["collect", "--task", "easysparse", "--episodes", "10", "--out"]
    first = CliRunner().invoke(app, [*words, str(tmp_path)])
    assert first.exit_code == 0, first.exception
    assert "10 episodes, made again by DSRL's protocol, not DSRL's file" in first.output
    (file,) = tmp_path.glob("*.hdf5")
    file.unlink()
    second = CliRunner().invoke(app, [*words, str(tmp_path), "--json"])
    assert json.loads(second.output)["reused_units"] == 1 and file.exists()
    third = CliRunner().invoke(app, [*words, str(file)])
    assert isinstance(third.exception, InputError) and "exists already" in str(third.exception)
