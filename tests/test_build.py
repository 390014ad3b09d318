"""End to end on real recordings: build, load, and recompute every label with a naive loop from the HDF5."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import datasets
import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import recorded, run_cli, write_hdf5

import safefeedback
from safefeedback.files import file_sha256
from safefeedback.tasks import tasks

REAL = [
    f"dsrl/Safety{name}-v0.hdf5"
    for name in ("AntRun", "BallCircle", "BallRun", "CarCircle", "CarRun", "DroneCircle", "DroneRun")
]
ROLLOUTS = ["rollouts/SafetyBallCircle-v0-80-800.hdf5", "rollouts/SafetyDroneRun-v0-140-500.hdf5"]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))


def build(cwd: Path, *words: object) -> Path:
    result = run_cli("build", *words, "--json", cwd=cwd)
    assert result.returncode == 0, result.stderr
    return cwd / json.loads(result.stdout)["folder"]


def naive(path: Path, row: dict, side: int, length: int) -> tuple[float, float, np.ndarray, np.ndarray]:
    """Return, cost, observations and actions of one segment, straight from the file."""
    with h5py.File(path) as file:
        ends = [i for i in range(len(file["timeouts"])) if FLAGS[path][i]]
        first = 0 if row[f"episode_{side}"] == 0 else ends[row[f"episode_{side}"] - 1] + 1
        last = ends[row[f"episode_{side}"]]
        start = first + row[f"start_{side}"]
        assert start + length - 1 <= last
        reward, cost = 0.0, 0.0
        for step in range(start, start + length):
            reward += float(REWARDS[path][step])
            cost += float(COSTS[path][step])
        return reward, cost, OBSERVATIONS[path][start : start + length], ACTIONS[path][start : start + length]


FLAGS: dict[Path, list[bool]] = {}
REWARDS: dict[Path, np.ndarray] = {}
COSTS: dict[Path, np.ndarray] = {}
OBSERVATIONS: dict[Path, np.ndarray] = {}
ACTIONS: dict[Path, np.ndarray] = {}


def slurp(path: Path) -> None:
    with h5py.File(path) as file:
        FLAGS[path] = [bool(a) or bool(b) for a, b in zip(file["terminals"][:], file["timeouts"][:], strict=True)]
        REWARDS[path], COSTS[path] = file["rewards"][:], file["costs"][:]
        OBSERVATIONS[path], ACTIONS[path] = file["observations"][:], file["actions"][:]


@pytest.mark.parametrize("name", REAL + ROLLOUTS)
def test_every_label_recomputed_from_the_recordings(name: str, tmp_path: Path):
    path = recorded(name)
    slurp(path)
    task = tasks()[path.name.removeprefix("Safety").split("-")[0]]
    length, limit = 32, task.cost_limits[1]
    words = ("--task", task.name, "--source", path, "--pairs", 150, "--length", length)
    noise = ("--noise", 0.1, "--preference-noise", 0.2, "--test-fraction", 0.2, "--seed", 5)
    folder = build(tmp_path, *words, *noise)
    flips = {"safety": 0, "preference": 0}
    rows_seen = 0
    for split in ("train", "test"):
        loaded = datasets.load_dataset(str(folder), split=split)
        truth = datasets.load_dataset(str(folder), "oracle", split=split)
        streamed = list(datasets.load_dataset(str(folder), split=split, streaming=True))
        streamed_truth = list(datasets.load_dataset(str(folder), "oracle", split=split, streaming=True))
        assert len(loaded) == len(truth) == len(streamed) == len(streamed_truth) == (120 if split == "train" else 30)
        for row, oracle, stream, stream_oracle in zip(loaded, truth, streamed, streamed_truth, strict=True):
            assert row == stream and oracle == stream_oracle and row["pair_id"] == oracle["pair_id"]
            returns = []
            for side in (0, 1):
                reward, cost, observations, actions = naive(path, row, side, length)
                returns.append(reward)
                assert oracle[f"return_{side}"] == reward and oracle[f"cost_{side}"] == cost
                assert np.array_equal(np.float32(row[f"observations_{side}"]).reshape(length, -1), observations)
                assert np.array_equal(np.float32(row[f"actions_{side}"]).reshape(length, -1), actions)
                safe = cost <= limit * length / task.horizon
                assert oracle[f"clean_is_safe_{side}"] == safe
                assert row[f"is_safe_{side}"] == (safe != oracle[f"is_safe_{side}_flipped"])
                flips["safety"] += oracle[f"is_safe_{side}_flipped"]
            clean = 0.5 if returns[0] == returns[1] else float(returns[1] > returns[0])
            assert oracle["clean_preference"] == clean
            assert row["preference"] == (1 - clean if oracle["preference_flipped"] else clean)
            flips["preference"] += oracle["preference_flipped"]
            rows_seen += 1
    assert rows_seen == 150 and flips["safety"] == 30
    ties = json.loads((folder / "recipe.json").read_text())["history"][2]["ties"]
    assert flips["preference"] == round(0.2 * (150 - ties))


def test_noise_changes_no_pair_and_no_truth(ball_file: Path, tmp_path: Path):
    words = ("--task", "BallCircle", "--source", ball_file, "--pairs", 200)
    clean, noisy = build(tmp_path, *words), build(tmp_path, *words, "--noise", 0.3, "--preference-noise", 0.5)
    one, other = safefeedback.read(clean), safefeedback.read(noisy)
    assert np.array_equal(one.episode, other.episode) and np.array_equal(one.observations, other.observations)
    assert (one.safe != other.safe).sum() == 120 and (one.preference != other.preference).sum() == 100
    truth = safefeedback.read_oracle(noisy)
    assert np.array_equal(truth.clean_safe, one.safe) and np.array_equal(truth.safe_flipped, one.safe != other.safe)


def test_pairs_hold_no_truth(ball_file: Path, tmp_path: Path):
    folder = build(tmp_path, "--task", "BallCircle", "--source", ball_file, "--pairs", 20)
    names = pq.read_schema(next((folder / "pairs").glob("*.parquet"))).names
    assert names == [
        "pair_id",
        "episode_0",
        "episode_1",
        "start_0",
        "start_1",
        "episode_length_0",
        "episode_length_1",
        "observations_0",
        "observations_1",
        "actions_0",
        "actions_1",
        "preference",
        "is_safe_0",
        "is_safe_1",
    ]


def test_same_bytes_in_another_process_at_another_thread_count(ball_file: Path, tmp_path: Path):
    words = ("build", "--task", "BallCircle", "--source", ball_file, "--pairs", 500, "--noise", 0.1, "--test-fraction", 0.3)
    for name, threads in (("a", "1"), ("b", "4")):
        (tmp_path / name).mkdir()
        env = {"OMP_NUM_THREADS": threads, "ARROW_NUM_THREADS": threads, "PYTHONHASHSEED": threads}
        assert run_cli(*words, "--out", tmp_path / name / "d", cwd=tmp_path / name, env=env).returncode == 0
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) == 8
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_content_hash_is_known(tmp_path: Path):
    """The content of this recipe on this file is the same on every machine and with every version of the packages."""
    path = write_hdf5(tmp_path / "known.hdf5", [100, 90, 80])
    folder = build(tmp_path, "--task", "BallCircle", "--source", path, "--pairs", 50, "--noise", 0.2)
    assert json.loads((folder / "recipe.json").read_text())["content"]["sha256"] == KNOWN_CONTENT


KNOWN_CONTENT = "d04eadc17edc29d3e3e332da828ad9f47c4922203b100303eec7dbe8e1b1d249"


def test_manifest_names_every_file_with_its_sha256(ball_file: Path, tmp_path: Path):
    folder = build(tmp_path, "--task", "BallCircle", "--source", ball_file, "--pairs", 20)
    manifest = json.loads((folder / "recipe.json").read_text())
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    assert set(files) == {*manifest["files"], "recipe.json", "README.md"}
    for name, entry in manifest["files"].items():
        assert entry == {"bytes": files[name].stat().st_size, "sha256": file_sha256(files[name])}
    assert manifest["source"]["sha256"] == file_sha256(ball_file)
    assert str(tmp_path) not in (folder / "recipe.json").read_text() + (folder / "README.md").read_text()


def test_the_folder_may_be_a_text(ball_file: Path, tmp_path: Path):
    recipe = safefeedback.Recipe(safefeedback.find_task("BallCircle"), pairs=5, length=8)
    assert safefeedback.build_dataset(recipe, str(ball_file), str(tmp_path / "made"))[0] == tmp_path / "made"


def test_folder_names_tell_recipes_apart(ball_file: Path, tmp_path: Path):
    words = ("--task", "BallCircle", "--source", ball_file, "--pairs", 20)
    variants = [
        (),
        ("--seed", 1),
        ("--horizon", "longest", "--length", 32),
        ("--length", 32),
        ("--horizon", 100),
        ("--filter", "drop-both-unsafe"),
        ("--test-fraction", 0.5),
        ("--cost-limit", 1.5),
        ("--noise", 0.25),
    ]
    names = [build(tmp_path, *words, *more).name for more in variants]
    assert len(set(names)) == len(names)
    assert names[-1].startswith("BallCircle-20x64-limit20-noise0.25-ball-")


def test_rows_left_out_are_counted(ball_file: Path, tmp_path: Path):
    folder = build(tmp_path, "--task", "BallCircle", "--source", ball_file, "--pairs", 20)
    entry = json.loads((folder / "recipe.json").read_text())["history"][0]
    assert (entry["steps_after_last_episode"], entry["episodes"], entry["episodes_too_short"]) == (3, 12, 2)
    assert "3 steps after the last episode's end and 2 episodes shorter" in (folder / "README.md").read_text()
    assert not {2, 8} & set(safefeedback.read(folder).episode.ravel())


def test_filters_are_applied_to_the_published_labels_and_recorded(tmp_path: Path):
    path = recorded(ROLLOUTS[0])
    words = ("--task", "BallCircle", "--source", path, "--pairs", 500, "--noise", 0.2)
    whole = safefeedback.read(build(tmp_path, *words))
    folder = build(tmp_path, *words, "--filter", "drop-both-unsafe", "--filter", "drop-preferred-unsafe")
    kept = safefeedback.read(folder)
    preferred = np.take_along_axis(whole.safe, (whole.preference[:, None] > 0.5).astype(int), axis=1)[:, 0]
    stays = np.where(whole.preference == 0.5, whole.safe.any(axis=1), preferred == 1)
    assert np.array_equal(kept.pair_id, whole.pair_id[stays]) and np.array_equal(kept.actions, whole.actions[stays])
    first, second = json.loads((folder / "recipe.json").read_text())["history"][-2:]
    assert first["removed"] == (whole.safe == 0).all(axis=1).sum() == first["removed_alone"]
    assert first["removed"] + second["removed"] == 500 - stays.sum() == second["removed_alone"]


def test_horizon_moves_the_limit(ball_file: Path, tmp_path: Path):
    words = ("--task", "BallCircle", "--source", ball_file, "--pairs", 20, "--cost-limit", 10)
    for horizon, steps in (("task", 200), ("longest", 200), ("640", 640)):
        folder = build(tmp_path, *words, "--horizon", horizon, "--out", f"out-{horizon}")
        entry = json.loads((folder / "recipe.json").read_text())["history"][2]
        assert entry["horizon"] == steps and entry["segment_cost_limit"] == 10 * 64 / steps


def test_many_shards_and_row_groups(ball_file: Path, tmp_path: Path, monkeypatch):
    from safefeedback.dataset import store
    from safefeedback.feedback.recipe import Recipe

    recipe = Recipe(tasks()["BallCircle"], pairs=130)
    whole, _ = safefeedback.build_dataset(recipe, str(ball_file), tmp_path / "whole")
    monkeypatch.setattr(store, "GROUP_BYTES", 20 * 2 * 64 * 10 * 4)
    monkeypatch.setattr(store, "SHARD_BYTES", 40 * 2 * 64 * 10 * 4)
    split, manifest = safefeedback.build_dataset(recipe, str(ball_file), tmp_path / "split")
    files = sorted((split / "pairs").iterdir())
    assert [file.name for file in files] == [f"train-{i:05d}-of-00004.parquet" for i in range(4)]
    assert pq.ParquetFile(files[0]).num_row_groups == 2
    one, other = safefeedback.read(whole), safefeedback.read(split)
    assert np.array_equal(one.observations, other.observations) and np.array_equal(one.pair_id, other.pair_id)
    assert manifest["content"] == json.loads((whole / "recipe.json").read_text())["content"]
    assert len(list(datasets.load_dataset(str(split), split="train", streaming=True))) == 130


def test_own_task_and_terms(ball_file: Path, tmp_path: Path):
    (tmp_path / "maze.toml").write_text(
        'name = "Maze"\ndomain = "Mine"\nobservation_dim = 8\naction_dim = 2\nhorizon = 200\ncost_limits = [5, 10, 20]\n'
    )
    (tmp_path / "own.bib").write_text("@misc{own, title={Own $data}}")
    terms = ("--license", "MIT-0 or so", "--author", "A. Person", "--citation", "own.bib")
    folder = build(tmp_path, "--task", "maze.toml", "--source", ball_file, "--pairs", 20, *terms)
    manifest, card = json.loads((folder / "recipe.json").read_text()), (folder / "README.md").read_text()
    assert manifest["task"]["name"] == "Maze" and manifest["recipe"]["cost_limit"] == 10
    assert "license: other\nlicense_name: MIT-0 or so" in card and "A. Person" in card and "{Own $data}" in card
    assert "--task recipe.json" in card


def test_the_cards_command_builds_the_same_bytes_again(ball_file: Path, tmp_path: Path):
    """For a task of one's own, with terms, noise, filters and a limit that is no round number."""
    (tmp_path / "maze.toml").write_text(
        'name = "Maze"\ndomain = "Mine"\nobservation_dim = 8\naction_dim = 2\nhorizon = 200\ncost_limits = [5, 10, 20]\n'
    )
    words = ("--task", "maze.toml", "--source", "ball.hdf5", "--pairs", 90, "--length", 16, "--cost-limit", 12.3)
    noise = ("--noise", 0.1, "--preference-noise", 0.3, "--filter", "drop-both-unsafe", "--test-fraction", 0.4, "--seed", 9)
    folder = build(tmp_path, *words, *noise, "--license", "mit", "--author", "A. Person", "--out", "first")
    command = re.search(r"```\n(safefeedback build .*)\n```", (folder / "README.md").read_text())
    assert command is not None
    (tmp_path / "recipe.json").write_bytes((folder / "recipe.json").read_bytes())
    again = build(tmp_path, *shlex.split(command[1])[2:], "--out", "again")
    for path in folder.rglob("*"):
        assert path.is_dir() or path.read_bytes() == (again / path.relative_to(folder)).read_bytes(), path


def test_an_own_task_is_not_passed_off_as_dsrls(ball_file: Path, tmp_path: Path):
    """Not even one that names DSRL's file: only the benchmark's own tasks are credited to it."""
    (tmp_path / "maze.toml").write_text(
        'name = "Maze"\ndomain = "Mine"\nobservation_dim = 8\naction_dim = 2\nhorizon = 200\ncost_limits = [5, 10, 20]\n'
        'hub_repo = "YYY-45/DSRL"\nfile = "ball.hdf5"\n'
    )
    result = run_cli(
        "build", "--task", "maze.toml", "--pairs", 20, "--json", cwd=tmp_path, env={"DSRL_DATASET_DIR": str(tmp_path)}
    )
    printed = json.loads(result.stdout)
    assert (
        printed["source"]["kind"] == "file" and "license: unknown" in (tmp_path / printed["folder"] / "README.md").read_text()
    )
