"""MetaDrive's tasks: DSRL's own numbers, episodes that repeat, and messages when something is wrong."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from safefeedback import simulators
from safefeedback.cli.doctor import CHECKS, examine
from safefeedback.errors import InputError
from safefeedback.simulators import metadrive
from safefeedback.tasks import Task, find_task, tasks

DRIVEN = [task.name for task in tasks().values() if task.domain == "MetaDrive"]
PARTS = ("cost", "velocity_cost", "proximity_cost", "crash_cost", "out_of_road_cost", "velocity", "arrive_dest")

pytestmark = pytest.mark.skipif(
    simulators.can_simulate(find_task("easysparse")) is not None, reason=str(simulators.can_simulate(find_task("easysparse")))
)


def actions(count: int, seed: int = 3) -> np.ndarray:
    """Full throttle with a little noise, float32 [count, 2]: where traffic is dense, it drives into it within 100 steps."""
    rng = np.random.default_rng(seed)
    return np.stack([rng.normal(0, 0.02, count), rng.uniform(0.7, 1, count)], 1).astype(np.float32)


def others(drive: Any) -> list[tuple[float, ...]]:
    """Where all cars are and look."""
    return [(*car.position, car.heading_theta) for car in drive.engine.traffic_manager.vehicles]


def play(env: Any, drive: Any, observation: np.ndarray, given: np.ndarray) -> list[Any]:
    """Everything an episode shows."""
    seen: list[Any] = [observation.tolist(), others(drive)]
    for action in given:
        observation, reward, terminated, truncated, info = env.step(action)
        seen += [observation.tolist(), reward, terminated, truncated, [info[name] for name in PARTS]]
        if terminated or truncated:
            break
    return [*seen, others(drive)]


def play_ours(task: Task, seed: int, given: np.ndarray, env: Any = None, **options: Any) -> list[Any]:
    env = env or simulators.make(task)
    observation, _ = env.reset(seed=seed, options=options)
    return play(env, env.unwrapped.drive, observation, given)


@pytest.fixture(scope="module")
def dsrl_classes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The module of DSRL's environments, without the gym that it registers with."""
    metadrive.load()
    patch = pytest.MonkeyPatch()
    patch.setenv("DSRL_DATASET_DIR", str(tmp_path_factory.mktemp("dsrl")))
    patch.setenv("DSRL_SUPPRESS_IMPORT_ERROR", "1")
    for name in ("gym", "gym.envs", "gym.envs.registration"):
        patch.setitem(sys.modules, name, ModuleType(name))
    registration: Any = sys.modules["gym.envs.registration"]
    registration.register, registration.registry = (lambda **_: None), {}
    yield pytest.importorskip("dsrl.offline_metadrive.gym_envs")
    patch.undo()


def play_theirs(classes: ModuleType, name: str, seed: int, given: np.ndarray) -> list[Any]:
    package = metadrive.load()
    package.close_engine()
    package.seeds = np.random.default_rng(seed)
    env = getattr(classes, f"get_{name}_env")()
    assert env.config["environment_num"] == 1 and env.config["horizon"] == find_task(name).horizon
    observation, _ = env.reset(seed=env.config["start_seed"])
    seen = play(env, env, observation, given.tolist())
    env.close()
    return seen


@pytest.mark.parametrize("name", DRIVEN)
def test_every_number_is_that_of_dsrls_class(name: str, dsrl_classes: Any) -> None:
    given = actions(60)
    ours = play_ours(find_task(name), 11, given)
    assert len(ours[1]) > 3, "there is no traffic"
    assert ours == play_theirs(dsrl_classes, name, 11, given)


def test_so_are_the_parts_of_the_cost_of_driving_into_the_traffic_and_off_the_road(dsrl_classes: Any) -> None:
    turning = np.tile(np.float32([0.3, 0.8]), (60, 1))
    for given, parts in ((actions(150), ("crash_cost", "proximity_cost")), (turning, ("out_of_road_cost",))):
        ours = play_ours(find_task("easydense"), 11, given)
        assert ours == play_theirs(dsrl_classes, "easydense", 11, given)
        costs = [dict(zip(PARTS, infos, strict=True)) for infos in ours[6::5]]
        assert all(max(cost[part] for cost in costs) > 0 for part in (*parts, "velocity_cost"))
        assert ours[-4:-2] == [True, False], "the episode has not ended"


def test_roads_and_densities_differ() -> None:
    """The number of cars grows with the density, and the three roads are three."""
    cars = {name: len(play_ours(find_task(name), 0, actions(0))[1]) for name in DRIVEN}
    for road in metadrive.ROADS:
        sparse, mean, dense = (cars[road + traffic] for traffic in metadrive.TRAFFIC)
        assert sparse < mean < dense
    for road, (_, blocks) in metadrive.ROADS.items():
        env = simulators.make(find_task(f"{road}mean"))
        env.reset(seed=0)
        assert "".join(block.ID for block in env.unwrapped.drive.current_map.blocks) == f"I{blocks}"  # it starts on block I


def test_an_episode_repeats_bit_for_bit_whatever_came_before_and_in_another_process() -> None:
    task, given = find_task("harddense"), actions(40)
    env = simulators.make(task)
    first = play_ours(task, 5, given, env)
    other = play_ours(task, 6, given, env)
    play_ours(task, 5, actions(3), env, map=4)
    assert play_ours(task, 5, given, env) == first != other
    assert play_ours(task, 5, given, env, map=0) == first != play_ours(task, 5, given, env, map=7)
    env.reset()
    env.close()
    code = (
        "import sys; sys.path.insert(0, 'tests'); import test_metadrive as t; "
        "print(t.play_ours(t.find_task('harddense'), 5, t.actions(40)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(first) and not done.stderr  # and it prints nothing of its own


def test_it_ends_where_the_car_leaves_the_road_or_time_runs_out() -> None:
    task = find_task("mediumsparse")
    env = simulators.make(task)
    env.reset(seed=0)
    for _ in range(100):
        _, _, terminated, truncated, info = env.step(np.array([0.5, 1], np.float32))
        if terminated or truncated:
            break
    assert (terminated, truncated) == (True, False) and info["out_of_road"] and info["cost"] >= info["out_of_road_cost"] == 1
    env = simulators.make(replace(task, horizon=5))
    env.reset(seed=0)
    assert [env.step(np.zeros(2, np.float32))[2:4] for _ in range(5)] == [(False, False)] * 4 + [(False, True)]


def test_the_roads_of_episodes_that_are_over_are_freed() -> None:
    """A long collection keeps its memory: a road's bodies hold themselves in C++, out of Python's sight."""
    env = simulators.make(find_task("easysparse"))
    bodies = []
    for episode in range(3):
        env.reset(seed=episode)
        gc.collect()
        bodies.append(sum(type(thing).__name__ == "BaseRigidBodyNode" for thing in gc.get_objects()))
    env.close()
    assert bodies[0] > 100 and max(bodies) - min(bodies) < 20


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_takes_effect_between_two_steps(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raised amid the engine's own code, it would be dropped, or leave a lock taken for ever."""

    class Stop(BaseException):
        pass

    def stop(*_: Any) -> None:
        raise Stop

    before = signal.signal(number, stop)
    env = simulators.make(find_task("easysparse"))
    try:
        env.reset(seed=0)
        drive = env.unwrapped.drive
        step, done = drive.step, []

        def interrupted(action: Any) -> Any:
            signal.raise_signal(number)
            found = step(action)
            done.append(found)
            return found

        monkeypatch.setattr(drive, "step", interrupted)
        with pytest.raises(Stop):
            env.step(np.zeros(2, np.float32))
        assert len(done) == 1 and signal.getsignal(number) is stop
        monkeypatch.undo()
        env.step(np.zeros(2, np.float32))  # it plays on
    finally:
        signal.signal(number, before)
        env.close()


def test_one_environment_a_process_plays() -> None:
    one, two = (simulators.make(find_task(name)) for name in ("easysparse", "harddense"))
    one.reset(seed=0)
    two.reset(seed=0)
    with pytest.raises(InputError, match="one environment a process"):
        one.unwrapped.step(np.zeros(2, np.float32))
    one.close()  # which leaves the other alone
    two.step(np.zeros(2, np.float32))
    with pytest.raises(InputError, match="maps 0 to 9, not 10"):
        two.reset(seed=0, options={"map": 10})


def test_the_picture_from_above_shows_the_road_and_changes_nothing() -> None:
    task, given = find_task("easydense"), actions(20)
    plain = play_ours(task, 1, given)
    env = simulators.make(task)
    observation, _ = env.reset(seed=1)
    pictures = [env.render()]
    seen = play(env, env.unwrapped.drive, observation, given)
    pictures.append(env.render())
    width, height = metadrive.FRAME
    assert all(picture.shape == (height, width, 3) and picture.dtype == np.uint8 for picture in pictures)
    assert len(np.unique(pictures[0].reshape(-1, 3), axis=0)) > 4 and (pictures[0] != pictures[1]).any()
    assert seen == plain


def test_a_task_of_ones_own_in_the_domain_is_refused_in_one_line() -> None:
    task = replace(find_task("easysparse"), name="hardest", env_id="OfflineMetadrive-hardest-v0")
    with pytest.raises(
        InputError, match="no environment OfflineMetadrive-hardest-v0; MetaDrive's tasks are easysparse, easymean"
    ):
        simulators.make(task)


def test_doctor_and_tasks_say_that_it_works() -> None:
    from safefeedback.cli.app import app

    check = next(check for check in CHECKS if check.name == "simulate MetaDrive")
    assert [row["state"] for row in examine([check])] == ["works"]
    listed = CliRunner().invoke(app, ["tasks", "--domain", "metadrive"])
    assert listed.exit_code == 0 and listed.output.count(" yes") == 9


CAREFUL = """
import numpy as np

class Careful:
    def reset(self, n):
        self.time = 0

    def act(self, observations):
        self.time += 1
        return np.array([[0.01 * np.sin(self.time), 0.5 + observations[0, 0]]], np.float32)
"""


def test_evaluation_and_film_over_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process has its own engine, and the numbers do not depend on how many there were."""
    from presa.rollouts.evaluate import roll_out
    from presa.rollouts.video import film

    (tmp_path / "careful.py").write_text(CAREFUL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    task = replace(find_task("easydense"), horizon=12)
    one, two = (roll_out("careful:Careful", task, 20, episodes=2, seed=1, processes=count) for count in (1, 2))
    assert one == two and all(row["length"] == 12 and row["return"] > 0 for row in one["rows"])
    pytest.importorskip("imageio")
    assert film("careful:Careful", task, 20, 1, 1, tmp_path / "film.gif") == 7  # every second one of 13 pictures
    assert (tmp_path / "film.gif").stat().st_size > 2000
