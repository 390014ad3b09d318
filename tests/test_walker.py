"""AntCircle's scripted gait: where it wants to go, that it goes there, and that a collection of it repeats."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from replaying import replay
from typer.testing import CliRunner

from safefeedback import simulators
from safefeedback.cli.app import app
from safefeedback.errors import InputError
from safefeedback.recorder import walker
from safefeedback.recorder.gait import MemorylessGait, direction, gait_numbers
from safefeedback.recorder.recording import read_recording
from safefeedback.recorder.script import find_script
from safefeedback.recorder.scripted import ScriptedConfig, collect
from safefeedback.recorder.walker import SCRIPT, units
from safefeedback.tasks import find_task, tasks

ANT = find_task("AntCircle")
needs_bullet = pytest.mark.skipif(simulators.can_simulate(ANT) is not None, reason=str(simulators.can_simulate(ANT)))


def test_the_field_leads_clockwise_to_the_circle_and_back_from_the_boundary() -> None:
    assert direction(0, 7, None, 2) == pytest.approx(0, abs=1e-6)  # north of the middle: east
    assert direction(7, 0, None, 2) == pytest.approx(-math.pi / 2, abs=1e-6)
    assert direction(0, 3, None, 2) == pytest.approx(math.pi / 4, abs=1e-6)  # far inside: half a right angle outwards
    assert direction(0, 10, None, 2) == pytest.approx(-math.pi / 4, abs=1e-6)
    assert math.cos(direction(5.8, 4, 5.8, 2)) < 0 < math.cos(direction(5.8, 4, None, 2))
    assert math.cos(direction(-5.8, -4, 5.8, 2)) > 0


def test_settings_are_taken_in_turn() -> None:
    every = units()
    assert len({tuple(unit.values()) for unit in every}) == len(every) == 48
    script = find_script(ANT)
    assert script is not None and script.episodes % len(every) == 0
    assert find_script(tasks()["AntRun"]) is None and find_script(tasks()["easysparse"]) is not None


@needs_bullet
def test_it_walks_round_the_circle() -> None:
    """On any processor, whose sums may differ: of a few starts, one walks for 30 s, clockwise."""
    env = simulators.make(ANT)
    best = 0.0
    for seed in range(4):
        gait, total = MemorylessGait(gait_numbers("memoryless"), 5.5, 2.0), 0.0
        observation, _ = env.reset(seed=seed)
        for _ in range(300):
            action = gait.act(observation)
            assert action.dtype == np.float32 and action.shape == (8,) and np.abs(action).max() <= 1
            observation, reward, terminated, _, _ = env.step(action)
            total += float(reward)
            if terminated:
                break
        best = max(best, total)
    assert best > 20


def test_its_actions_depend_on_the_observation_alone() -> None:
    """So that a policy that sees observations can imitate them; the gait that counts its beats does not pass this."""
    rng = np.random.default_rng(0)
    observations = rng.uniform(-0.5, 0.5, (40, 34))
    walks = [walker.walk(ANT, units()[0]), walker.walk(ANT, units()[0])]
    forwards = [walks[0](observation) for observation in observations]
    backwards = [walks[1](observation) for observation in observations[::-1]]
    np.testing.assert_array_equal(forwards, backwards[::-1])


@needs_bullet
def test_an_episode_follows_from_seed_and_index_alone(tmp_path: Path) -> None:
    task = replace(ANT, horizon=40)
    first = SCRIPT.play(task, 3, 1)
    np.testing.assert_array_equal(first.actions, SCRIPT.play(task, 3, 1).actions)
    assert first.seed != SCRIPT.play(task, 4, 1).seed and first.unit == 1
    replay(task, first)
    result = collect(task, tmp_path / "walk.hdf5", ScriptedConfig(13))
    episodes, attributes = read_recording(result.path)
    assert Counter(episode.unit for episode in episodes) == {unit: 1 for unit in range(13)}
    assert "walked by a scripted gait" in attributes["algorithm"] and "credit" not in attributes
    replay(task, episodes[12])


def test_training_begins_from_recordings_only(tmp_path: Path) -> None:
    words = ["collect", "--task", "AntCircle", "--out", str(tmp_path / "x.hdf5")]
    result = CliRunner().invoke(app, [*words, "--steps", "10"])
    assert isinstance(result.exception, InputError)
    assert str(result.exception).endswith("AntCircle is played by a script, leave it out, or give --warm-start as well")
    result = CliRunner().invoke(app, [*words, "--steps", "10", "--warm-start", str(tmp_path / "none.hdf5")])
    assert isinstance(result.exception, InputError) and "--warm-start there is no file" in str(result.exception)
