"""LeRobot's and Minari's datasets as sources.

The reader of LeRobot's format was compared with LeRobot's own package (0.4.4, in an environment of its own, as it cannot be
installed beside our pins): eight episodes of BallCircle written by `LeRobotDataset.create`, `add_frame` and `save_episode` into
three data files are read by us to the same bits. `write_lerobot` writes what that package was seen to write.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import run_cli, write_hdf5

from safefeedback.errors import InputError
from safefeedback.sources import fingerprint, load, load_unlabelled, minari
from safefeedback.tasks import Task, find_task, tasks

BALL = tasks()["BallCircle"]
TASK = """
name = "Ball"
domain = "Mine"
observation_dim = 8
action_dim = 2
horizon = 200
cost_limits = [5, 10, 20]
cost_key = "next.cost"
"""


def write_lerobot(folder: Path, recorded: Path, rows_in_a_file: int = 300, **columns: Any) -> Path:
    """The recordings of an HDF5 file as a LeRobot dataset in the format v3, in files of whole episodes; or other columns."""
    with h5py.File(recorded) as file:
        data = {key: file[key][:] for key in ("observations", "actions", "rewards", "costs", "timeouts")}
    ends = np.flatnonzero(data["timeouts"]) + 1
    lengths = np.diff(ends, prepend=0)
    total = int(ends[-1])
    values: dict[str, Any] = {
        "observation.state": pa.FixedSizeListArray.from_arrays(
            data["observations"][:total].ravel(), data["observations"].shape[1]
        ),
        "action": pa.FixedSizeListArray.from_arrays(data["actions"][:total].ravel(), data["actions"].shape[1]),
        "next.reward": data["rewards"][:total],
        "next.cost": data["costs"][:total],
        "frame_index": np.concatenate([np.arange(length) for length in lengths]),
        "episode_index": np.repeat(np.arange(len(lengths)), lengths),
        "index": np.arange(total),
        "task_index": np.zeros(total, np.int64),
        **columns,
    }
    table = pa.table({key: value for key, value in values.items() if value is not None})
    (folder / "meta").mkdir(parents=True)
    info = {"codebase_version": "v3.0", "fps": 20, "total_episodes": len(lengths), "total_frames": total}
    info["features"] = {key: {"dtype": "float32", "shape": [1], "names": None} for key in table.column_names}
    (folder / "meta" / "info.json").write_text(json.dumps(info))
    (folder / "data" / "chunk-000").mkdir(parents=True)
    start = number = 0
    for end in ends:
        if end - start >= rows_in_a_file or end == total:
            pq.write_table(table.slice(start, end - start), folder / "data" / "chunk-000" / f"file-{number:03d}.parquet")
            start, number = end, number + 1
    return folder


def equal(ours: Any, theirs: Any) -> bool:
    steps = theirs.bounds[-1]
    return np.array_equal(ours.bounds, theirs.bounds) and all(
        np.array_equal(getattr(ours, key), getattr(theirs, key)[:steps])
        for key in ("observations", "actions", "rewards", "costs")
    )


def test_a_lerobot_dataset_is_what_the_file_is(ball_file: Path, tmp_path: Path) -> None:
    folder = write_lerobot(tmp_path / "ball", ball_file)
    assert len(list(folder.rglob("*.parquet"))) > 2
    episodes = load(f"lerobot:{folder},cost=next.cost", BALL)
    assert equal(episodes, load(str(ball_file), BALL))
    assert (episodes.source.kind, episodes.source.file) == ("lerobot", "lerobot:ball,cost=next.cost")
    assert episodes.source.fingerprint == fingerprint(f"lerobot:{folder}")
    (folder / "README.md").write_text("---\ntags:\n- LeRobot\nlicense: apache-2.0\n---\nlicense: mit\n")
    assert load(f"lerobot:{folder},cost=next.cost", BALL).source.license == "apache-2.0"
    (folder / "data" / "chunk-000" / "file-000.parquet").rename(folder / "data" / "chunk-000" / "file-999.parquet")
    assert fingerprint(f"lerobot:{folder}") != episodes.source.fingerprint


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ({"turn": 1, "push": 0}, ("push", "turn")),
        ({"motors": ["push", "turn"]}, ("push", "turn")),
        ({"motors": None}, ()),
        ({"push": 0, "turn": [1]}, ()),
        (7, ()),
    ],
)
def test_names_in_any_form_never_stop_the_reading(ball_file: Path, tmp_path: Path, said: Any, names: tuple[str, ...]) -> None:
    """LeRobot's gamepad datasets number their names: {"delta_x": 0, "delta_y": 1}."""
    info = write_lerobot(tmp_path / "ball", ball_file) / "meta" / "info.json"
    stated = json.loads(info.read_text())
    stated["features"]["action"] = {"names": said}
    stated["features"]["observation.state"] = None
    info.write_text(json.dumps(stated))
    episodes = load(f"lerobot:{tmp_path / 'ball'},cost=next.cost", BALL)
    assert episodes.action_names == names and episodes.observation_names == ()


@pytest.mark.parametrize("source", ["lerobot:", "minari:", "lerobot:,cost=next.cost"])
def test_a_source_without_a_name_is_refused(source: str) -> None:
    with pytest.raises(InputError, match=r"names no dataset: it must read (lerobot|minari):NAME"):
        load(source, BALL)


@pytest.mark.parametrize("style", ["list", "dict"])
def test_inspect_says_what_the_readings_are_called(ball_file: Path, tmp_path: Path, style: str) -> None:
    """As LeRobot's info.json has it, a list of names or lists under a kind; without --task it is asked for."""
    info = write_lerobot(tmp_path / "ball", ball_file) / "meta" / "info.json"
    (tmp_path / "ball.toml").write_text(TASK)
    names = ["x", "y", "vx", "vy", "yaw", "rate", "left", "right"]
    said = json.loads(info.read_text())
    said["features"]["observation.state"]["names"] = names if style == "list" else {"motors": names[:5], "other": names[5:]}
    said["features"]["action"]["names"] = ["push"]  # one name for two numbers: not used
    info.write_text(json.dumps(said))
    seen = run_cli("inspect", "lerobot:ball", "--task", "ball.toml", "--json", cwd=tmp_path)
    assert seen.returncode == 0, seen.stderr
    numbers = json.loads(seen.stdout)
    assert numbers["observations"]["names"] == names and "names" not in numbers["actions"]
    assert numbers["episodes"] > 2 and numbers["file"] == "lerobot:ball"
    table = run_cli("inspect", "lerobot:ball", "--task", "ball.toml", "--no-plots", cwd=tmp_path).stdout
    assert "readings" in table and "vx, vy, yaw" in table
    assert (tmp_path / "ball-plots").is_dir() or not importlib.util.find_spec("matplotlib")
    asked = run_cli("inspect", "lerobot:ball", cwd=tmp_path)
    assert asked.returncode == 2 and "give it with --task NAME" in asked.stderr


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"next.cost": None}, "has no column 'next.cost'; it has observation.state, action"),
        ({"action": None}, "has no column 'action'"),
        ({"next.cost": np.full(1734, -1.0)}, "next.cost is negative at step 0"),
        ({"next.reward": np.full(1734, np.nan)}, "next.reward is NaN, infinite or too large for float64 at step 0"),
        ({"frame_index": np.zeros(1734, np.int64)}, "not in the order of episode_index and frame_index, or some are missing"),
        ({"action": pa.array([[0.0]] * 1734)}, "action has 1 numbers a step but the task needs 2"),
        ({"action": pa.array([[0.0]] * 1733 + [[0.0, 1.0]])}, "lists differ in length"),
        ({"next.reward": pa.array([None] + [0.0] * 1733)}, "a value is missing"),
        ({"next.cost": pa.array(["much"] * 1734)}, "next.cost must hold a number, or numbers, at every step"),
        ({"next.cost": pa.array([[0.0, 1.0]] * 1734)}, "next.cost must hold one number at every step"),
        ({"next.reward": pa.array([[0.0, 1.0]] * 1734)}, "next.reward must hold one number at every step"),
        ({"episode_index": pa.array([[0, 1]] * 1734)}, "episode_index must hold one number at every step"),
        ({"episode_index": np.full(1734, np.nan)}, "episode_index is NaN, infinite or too large for float64 at step 0"),
    ],
)
def test_what_cannot_be_trusted_is_refused(ball_file: Path, tmp_path: Path, columns: dict[str, Any], words: str) -> None:
    folder = write_lerobot(tmp_path / "ball", ball_file, **columns)
    with pytest.raises(InputError) as error:
        load(f"lerobot:{folder},cost=next.cost", BALL)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_other_folders_and_formats_are_refused(ball_file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no LeRobot dataset"):
        load(f"lerobot:{tmp_path}", BALL)
    with pytest.raises(InputError, match="cannot be fetched from the Hub"):
        load("lerobot:nobody/nothing", BALL)
    folder = write_lerobot(tmp_path / "ball", ball_file)
    info = folder / "meta" / "info.json"
    info.write_text(info.read_text().replace("v3.0", "v2.1"))
    with pytest.raises(InputError, match=r"format v2\.1, not v3"):
        load(f"lerobot:{folder}", BALL)
    info.write_text("{")
    with pytest.raises(InputError, match=r"meta/info.json cannot be read"):
        load(f"lerobot:{folder}", BALL)
    with pytest.raises(InputError, match=r"is a folder; give the HDF5 file itself, or lerobot:"):
        load(str(folder), BALL)


def test_from_a_lerobot_dataset_to_a_verified_one(ball_file: Path, tmp_path: Path) -> None:
    """The cost's column stands in the task's file; the card says the command that builds it again."""
    write_lerobot(tmp_path / "ball", ball_file)
    (tmp_path / "ball.toml").write_text(TASK)
    words = ("--task", "ball.toml", "--source", "lerobot:ball", "--pairs", 30, "--license", "mit", "--out", "data")
    built = run_cli("build", *words, cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    card = (tmp_path / "data" / "README.md").read_text()
    assert "the recordings in a LeRobot dataset given by whoever built it" in card and "--source lerobot:ball" in card
    assert "license: mit" in card
    done = run_cli("verify", "data", "--source", "lerobot:ball", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    write_lerobot(tmp_path / "other", write_hdf5(tmp_path / "other.hdf5", [200] * 3, seed=1))
    assert (
        "is not the file that the dataset was built from"
        in run_cli("verify", "data", "--source", "lerobot:other", cwd=tmp_path).stdout
    )
    assert find_task(str(tmp_path / "ball.toml")).cost_key == "next.cost"


def test_its_steps_are_cloned_without_its_rewards_and_costs(ball_file: Path, tmp_path: Path) -> None:
    """As `presa train --unlabelled lerobot:NAME` reads them: such a dataset needs neither column."""
    folder = write_lerobot(tmp_path / "ball", ball_file, **{"next.cost": None, "next.reward": None})
    seen, whole = load_unlabelled(f"lerobot:{folder}", BALL), load(str(ball_file), BALL)
    assert (seen.file, seen.fingerprint) == ("lerobot:ball", fingerprint(f"lerobot:{folder}"))
    steps = whole.bounds[-1]
    for key in ("observations", "actions", "bounds"):
        assert np.array_equal(getattr(seen, key), getattr(whole, key)[: steps if key != "bounds" else None])
    with pytest.raises(InputError, match=r"has no column 'next.reward'"):
        load(f"lerobot:{folder},cost=next.cost", BALL)


@pytest.fixture
def minari_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return minari


def test_a_minari_dataset(minari_home: Any) -> None:
    """Written by Minari itself; the observations are of parts, the first cost belongs to the reset."""
    import gymnasium
    from minari.data_collector.episode_buffer import EpisodeBuffer

    rng = np.random.default_rng(0)
    space = gymnasium.spaces.Dict({"place": gymnasium.spaces.Box(-9, 9, (2,)), "goal": gymnasium.spaces.Box(-9, 9, (1,))})
    steps, buffers = (5, 8), []
    for length in steps:
        buffers.append(
            EpisodeBuffer(
                observations={
                    "place": list(rng.normal(size=(length + 1, 2)).astype(np.float32)),
                    "goal": list(rng.normal(size=(length + 1, 1)).astype(np.float32)),
                },
                actions=list(rng.uniform(-1, 1, (length, 1)).astype(np.float32)),
                rewards=list(rng.normal(size=length)),
                terminations=[False] * length,
                truncations=[False] * (length - 1) + [True],
                infos={"costs": {"wall": list(np.arange(length + 1.0))}},
            )
        )
    made = minari_home.create_dataset_from_buffers(
        "mine/maze-v0",
        buffers,
        observation_space=space,
        action_space=gymnasium.spaces.Box(-1, 1, (1,)),
        author="A. Person",
    )
    task = Task("Maze", "Mine", 3, 1, 10, (5.0,), cost_key="costs.wall")
    episodes = load("minari:mine/maze-v0", task)
    assert (episodes.source.kind, episodes.source.file, episodes.source.author) == (
        "minari",
        "minari:mine/maze-v0",
        "A. Person",
    )
    assert episodes.observation_names == ("goal", "place[0]", "place[1]") and episodes.action_names == ()
    assert episodes.lengths.tolist() == [5, 8] and episodes.costs.tolist() == [*range(1, 6), *range(1, 9)]
    first = next(iter(made.iterate_episodes()))
    np.testing.assert_array_equal(
        episodes.observations[:5], np.hstack([first.observations["goal"], first.observations["place"]])[:5]
    )
    np.testing.assert_array_equal(episodes.actions[:5], first.actions)
    np.testing.assert_array_equal(episodes.rewards[:5], first.rewards)
    assert fingerprint("minari:mine/maze-v0") == episodes.source.fingerprint
    for source, words in (
        ("minari:mine/maze-v0,cost=costs.floor", "an episode's infos have no 'costs.floor'; they have costs"),
        ("minari:mine/maze-v0,cost=costs", "must hold a number at every step"),
        ("minari:mine/none-v0", "minari download mine/none-v0"),
    ):
        with pytest.raises(InputError) as error:
            load(source, task)
        assert words in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(InputError, match="observations has 3 numbers a step but the task needs 8"):
        load("minari:mine/maze-v0,cost=costs.wall", BALL)
    seen = load_unlabelled("minari:mine/maze-v0", task)
    assert (seen.file, seen.fingerprint) == ("minari:mine/maze-v0", episodes.source.fingerprint)
    for key in ("observations", "actions", "bounds"):
        np.testing.assert_array_equal(getattr(seen, key), getattr(episodes, key))


def test_choices_are_flattened_as_the_environment_flattens_them(minari_home: Any) -> None:
    """A dataset and its task's environment must agree: gymnasium turns one of n into n numbers."""
    from gymnasium import spaces
    from gymnasium.spaces.utils import flatten
    from minari.data_collector.episode_buffer import EpisodeBuffer

    space = spaces.Dict({"place": spaces.Box(-9, 9, (1,)), "gear": spaces.Discrete(3), "door": spaces.Discrete(2)})
    space.seed(0)
    seen = [space.sample() for _ in range(6)]
    buffer = EpisodeBuffer(
        observations={key: [step[key] for step in seen] for key in space},
        actions=list(np.zeros((5, 1), np.float32)),
        rewards=[0.0] * 5,
        terminations=[False] * 5,
        truncations=[False] * 4 + [True],
        infos={"cost": [0.0] * 6},
    )
    minari_home.create_dataset_from_buffers(
        "mine/car-v0", [buffer], observation_space=space, action_space=spaces.Box(-1, 1, (1,))
    )
    episodes = load("minari:mine/car-v0", Task("Car", "Mine", 6, 1, 10, (5.0,)))
    np.testing.assert_array_equal(episodes.observations, [flatten(space, step) for step in seen[:5]])
    assert episodes.observation_names == ("door[0]", "door[1]", "gear[0]", "gear[1]", "gear[2]", "place")
    several = spaces.MultiDiscrete([2, 3], seed=0)
    drawn = np.array([several.sample() for _ in range(6)])
    np.testing.assert_array_equal(minari.flat("", several, drawn), [flatten(several, step) for step in drawn])
    for wrong in (3, -1, 1.5, np.nan):
        with pytest.raises(InputError, match=r"mine: a value is not in Discrete\(3\)"):
            minari.flat("mine", spaces.Discrete(3), [0, wrong])
    assert minari.flat("", spaces.Discrete(3, start=5), [5, 7]).tolist() == [[1, 0, 0], [0, 0, 1]]
    with pytest.raises(InputError, match=r"mine: observations and actions must be numbers, not of Text\("):
        minari.flat("mine", spaces.Text(3), ["abc", "xyz"])
