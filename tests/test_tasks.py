"""The registry against the benchmark's own tables, and the user's own tasks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from safefeedback.errors import InputError
from safefeedback.tasks import Task, find_task, tasks

OWN = """
name = "Maze"
domain = "Mine"
observation_dim = 8
action_dim = 2
horizon = 200
cost_limits = [5, 10, 20]
"""


def test_registry_equals_the_dsrl_package_name_by_name(monkeypatch, tmp_path):
    monkeypatch.setenv("DSRL_SUPPRESS_IMPORT_ERROR", "1")
    monkeypatch.setenv("DSRL_DATASET_DIR", str(tmp_path))
    infos = pytest.importorskip("dsrl.infos", reason="dsrl (the extra 'sim') is not installed")
    assert list(tasks()) == list(infos.DATASET_URLS)
    for name, task in tasks().items():
        assert task.file == infos.DATASET_URLS[name].rsplit("/", 1)[1], name
        assert task.horizon == infos.DEFAULT_MAX_EPISODE_STEPS[name], name
        assert task.reference_returns == (infos.MIN_EPISODE_REWARD[name], infos.MAX_EPISODE_REWARD[name]), name
        assert task.reference_costs == (infos.MIN_EPISODE_COST[name], infos.MAX_EPISODE_COST[name]), name


def test_env_ids_are_those_dsrl_registers(monkeypatch, tmp_path):
    monkeypatch.setenv("DSRL_SUPPRESS_IMPORT_ERROR", "1")
    monkeypatch.setenv("DSRL_DATASET_DIR", str(tmp_path))
    pytest.importorskip("dsrl", reason="dsrl (the extra 'sim') is not installed")
    import gymnasium

    import safefeedback.simulators

    safefeedback.simulators.make(tasks()["BallRun"]).close()  # imports what registers the ids
    registered = {name: spec for name, spec in gymnasium.registry.items() if name.startswith("Offline")}
    bullet = [task for task in tasks().values() if task.domain == "BulletGym"]
    assert {task.env_id for task in bullet} <= set(registered)


def test_shape_of_the_registry():
    domains = [task.domain for task in tasks().values()]
    assert (domains.count("BulletGym"), domains.count("SafetyGym"), domains.count("MetaDrive")) == (8, 21, 9)
    drone = tasks()["DroneCircle"]
    assert (drone.observation_dim, drone.action_dim, drone.horizon, drone.cost_limits) == (18, 4, 300, (10, 20, 40))
    assert drone.default_cost_limit == 20
    assert drone.url == "https://huggingface.co/datasets/YYY-45/DSRL/resolve/main/SafetyDroneCircle-v0-100-1923.hdf5"


def test_a_task_survives_json():
    for task in tasks().values():
        assert Task.from_dict(json.loads(json.dumps(task.to_dict()))) == task


def test_own_task(tmp_path: Path):
    path = tmp_path / "maze.toml"
    path.write_text(OWN)
    task = find_task(str(path))
    assert task.name == "Maze" and task.cost_limits == (5, 10, 20) and task.url is None and task.reference_returns is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("name", "nme"), "unknown field 'nme'"),
        (("horizon = 200", ""), "field 'horizon' is missing"),
        (("200", "0"), "'horizon' must be a positive whole number"),
        (("200", "2.5"), "'horizon' must be a positive whole number"),
        (("200", "true"), "'horizon' must be a positive whole number"),
        (("[5, 10, 20]", "[5, 5]"), "'cost_limits' must be rising numbers"),
        (("[5, 10, 20]", "[]"), "'cost_limits' must be rising numbers"),
        (("[5, 10, 20]", "[-1, 5]"), "none negative"),
        (("[5, 10, 20]", "[nan]"), "'cost_limits' must be rising numbers"),
        (("[5, 10, 20]", '["a"]'), "'cost_limits' must be rising numbers"),
        (('"Maze"', '"../Maze"'), "'name' must be letters"),
        (('"Maze"', '""'), "'name' must be a non-empty text"),
        (("horizon", "reference_returns = [3]\nhorizon"), "'reference_returns' must be two rising numbers"),
        (("200", "1" + "0" * 400), "'horizon' must be a positive whole number"),
        (("[5, 10, 20]", "[5, 1" + "0" * 400 + "]"), "'cost_limits' must be rising numbers"),
        (("horizon", 'hub_repo = "../../evil"\nhorizon'), "'hub_repo' must be a Hub repository like user/name"),
        (("horizon", 'file = "a/b"\nhorizon'), "'file' must be a file name without folders"),
        (('"Maze"', "Maze"), "is not TOML"),
    ],
)
def test_own_task_refused(tmp_path: Path, change: tuple[str, str], message: str):
    path = tmp_path / "maze.toml"
    path.write_text(OWN.replace(*change, 1))
    with pytest.raises(InputError, match=message) as error:
        find_task(str(path))
    assert "\n" not in str(error.value) and str(path) in str(error.value)
