"""Exports to LeRobot, held to what LeRobot's own package writes.

LeRobot cannot be installed beside our pins. In an environment of its own (0.4.4), `LeRobotDataset` opened an export of 60 pairs
of CarCircle with a film: observations and actions equal to the bit, sums of rewards within 2e-5, frames within 2 of 255 of what
was drawn, episodes chosen by number, batches of a DataLoader. The schema below is what `LeRobotDataset.create`, `add_frame` and
`save_episode` were seen to write there.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import run_cli

import safefeedback
from safefeedback.dataset.export import lerobot
from safefeedback.dataset.export.export import export
from safefeedback.errors import InputError
from safefeedback.feedback.recipe import Recipe
from safefeedback.plots.top_view import SIZE, TopView
from safefeedback.sources import load
from safefeedback.tasks import find_task

STEPS = {
    "observation.state": "fixed_size_list<element: float>[8]",
    "action": "fixed_size_list<element: float>[2]",
    "next.reward": "float",
    "next.cost": "float",
    "next.done": "bool",
    "timestamp": "float",
    **dict.fromkeys(("frame_index", "episode_index", "index", "task_index"), "int64"),
}
PLACES = ("data/chunk_index", "data/file_index", "dataset_from_index", "dataset_to_index")
EPISODES = {
    "episode_index": "int64",
    "tasks": "list<element: string>",
    "length": "int64",
    **dict.fromkeys((*PLACES, "meta/episodes/chunk_index", "meta/episodes/file_index"), "int64"),
}
FILM = {
    **dict.fromkeys((f"videos/{lerobot.FILM}/chunk_index", f"videos/{lerobot.FILM}/file_index"), "int64"),
    **dict.fromkeys((f"videos/{lerobot.FILM}/from_timestamp", f"videos/{lerobot.FILM}/to_timestamp"), "double"),
}
INFO = {"codebase_version", "robot_type", "total_episodes", "total_frames", "total_tasks", "chunks_size", "fps", "splits"}
INFO |= {"data_files_size_in_mb", "video_files_size_in_mb", "data_path", "video_path", "features"}


@pytest.fixture
def folder(ball_file: Path, tmp_path: Path) -> Path:
    recipe = Recipe(find_task("BallCircle"), pairs=12, length=8, teacher="skip:eps_skip=0.8")
    return safefeedback.build_dataset(recipe, str(ball_file), tmp_path / "data")[0]


def schema(path: Path) -> dict[str, str]:
    return {field.name: str(field.type).replace("item:", "element:") for field in pq.read_schema(path)}


def test_the_files_are_those_of_lerobot(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lerobot, "STEPS_IN_FILE", 80)  # ten episodes in a file
    export(folder, "lerobot", tmp_path / "out", rewards="return")
    out, data, truth = tmp_path / "out", safefeedback.read(folder), safefeedback.read_oracle(folder)
    files = sorted((out / "data" / "chunk-000").iterdir())
    assert [file.name for file in files] == [f"file-{index:03d}.parquet" for index in range(3)]
    assert all(schema(file) == STEPS for file in files)
    rows = pq.read_table(out / "meta" / "episodes" / "chunk-000" / "file-000.parquet")
    assert schema(out / "meta" / "episodes" / "chunk-000" / "file-000.parquet") == EPISODES
    for row in rows.to_pylist():
        table = pq.read_table(files[row["data/file_index"]])
        index = table["index"].to_numpy()
        own = table.filter(index >= row["dataset_from_index"]).slice(0, row["length"])
        assert set(own["episode_index"].to_pylist()) == {row["episode_index"]} and own["next.done"].to_pylist()[-1]
        assert own["frame_index"].to_pylist() == list(range(8)) and row["dataset_to_index"] - row["dataset_from_index"] == 8
    info = json.loads((out / "meta" / "info.json").read_text())
    assert set(info) == INFO and (info["total_episodes"], info["total_frames"], info["splits"]) == (24, 192, {"train": "0:24"})
    assert list(info["features"]) == list(STEPS) and info["features"]["observation.state"]["shape"] == [8]
    tasks = pq.read_table(out / "meta" / "tasks.parquet").to_pandas()
    assert tasks.index.tolist() == ["BallCircle"] and tasks["task_index"].tolist() == [0]
    stats = json.loads((out / "meta" / "stats.json").read_text())
    assert np.allclose(stats["observation.state"]["mean"], data.observations.mean(axis=(0, 1, 2)), atol=1e-5)
    assert stats["next.cost"]["count"] == [192] and len(stats["action"]["q99"]) == 2
    again = load(f"lerobot:{out},cost=next.cost", find_task("BallCircle"))
    assert np.array_equal(again.observations.reshape(12, 2, 8, 8), data.observations)
    assert np.array_equal(again.actions.reshape(12, 2, 8, 2), data.actions)
    assert np.allclose(again.rewards.reshape(12, 2, 8).sum(axis=2), truth.returns, rtol=1e-5)
    assert np.allclose(again.costs.reshape(12, 2, 8).sum(axis=2), truth.costs)


def test_the_pairs_lie_beside_it(folder: Path, tmp_path: Path) -> None:
    export(folder, "lerobot", tmp_path / "out", rewards="none")
    pairs, data = pq.read_table(tmp_path / "out" / "pairs.parquet").to_pandas(), safefeedback.read(folder)
    assert pairs["pair_id"].tolist() == data.pair_id.tolist() and pairs["preference"].isna().sum() > 0
    assert np.array_equal(pairs["preference"], data.preference, equal_nan=True)
    assert (
        pairs["episode_index_1"].tolist() == list(range(1, 24, 2)) and pairs["is_safe_0"].tolist() == data.safe[:, 0].tolist()
    )
    assert load(f"lerobot:{tmp_path / 'out'},cost=next.cost", find_task("BallCircle")).costs.sum() == 0


def test_the_view_from_above(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    av = pytest.importorskip("av", reason="av is not installed")
    monkeypatch.setattr(lerobot, "STEPS_IN_FILE", 80)
    told: list[tuple[int, int | None, str]] = []
    out = tmp_path / "out"
    export(folder, "lerobot", out, rewards="none", video=True, on_progress=lambda *words: told.append(words))
    assert told[-1] == (24, 24, "filming")
    data = safefeedback.read(folder)
    view = TopView.of("BallCircle", data.observations)
    assert view is not None
    episodes = out / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
    assert schema(episodes) == EPISODES | FILM
    info = json.loads((out / "meta" / "info.json").read_text())
    assert info["features"][lerobot.FILM]["shape"] == [SIZE, SIZE, 3] and info["video_path"].endswith(".mp4")
    for row in pq.read_table(episodes).to_pylist()[9:12]:  # the last of one film, and the first of the next
        film = out / "videos" / lerobot.FILM / "chunk-000" / f"file-{row[f'videos/{lerobot.FILM}/file_index']:03d}.mp4"
        assert b" threads=1 " in film.read_bytes()  # x264's note of its settings: with more threads, the bytes vary
        with av.open(str(film)) as container:
            frames = {round(frame.time * lerobot.FPS): frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)}
        first = round(row[f"videos/{lerobot.FILM}/from_timestamp"] * lerobot.FPS)
        pair, side = divmod(row["episode_index"], 2)
        for step, drawn in enumerate(view.frames(data.observations[pair, side])):
            assert np.abs(frames[first + step].astype(float) - drawn).mean() < 4
    stats = json.loads((out / "meta" / "stats.json").read_text())[lerobot.FILM]
    assert np.shape(stats["mean"]) == (3, 1, 1) and 0 < stats["mean"][0][0][0] < 1


@pytest.mark.parametrize("task", ["BallCircle", "CarRun", "PointCircle1"])
def test_the_body_is_drawn_where_it_is(task: str) -> None:
    """The darkest pixels of each frame are the body's, and they move as it does."""
    dims = find_task(task).observation_dim
    observations = np.zeros((1, 5, dims), np.float32)
    if task == "PointCircle1":  # its lidar sees the circle's middle straight ahead, ever nearer
        observations[0, :, 12] = np.linspace(0.8, 0.95, 5)
        observations[0, :, 10] = -1
    else:
        observations[0, :, 0] = np.linspace(0, 0.3, 5)
    view = TopView.of(task, observations)
    assert view is not None
    middles = []
    for frame in view.frames(observations[0]):
        assert frame.shape == (SIZE, SIZE, 3) and frame.dtype == np.uint8
        middles.append(np.argwhere(frame.sum(axis=2) < 200).mean(axis=0))
    rows, columns = np.array(middles).T
    assert np.ptp(rows) < 2 and (np.diff(columns) > 2).all()


def test_what_cannot_be_filmed_is_said_in_one_line(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_cli("export", folder, "--format", "d4rl", "--rewards", "none", "--video", "--out", "x", cwd=tmp_path)
    assert run.returncode == 2 and run.stderr == "error: the format d4rl has no pictures: leave --video out\n"
    monkeypatch.setattr(TopView, "of", staticmethod(lambda task, observations: None))
    with pytest.raises(InputError, match=r"--video: the observations of BallCircle do not show where the body is"):
        export(folder, "lerobot", tmp_path / "out", rewards="none", video=True)
    assert not (tmp_path / "out").exists() and not (tmp_path / "x").exists()


def test_a_folder_that_exists_is_not_written_to(folder: Path, tmp_path: Path) -> None:
    """And `export` has no --overwrite that a message could advise."""
    words = ("export", folder, "--format", "lerobot", "--rewards", "none", "--out")
    refused = run_cli(*words, folder, cwd=tmp_path)
    assert refused.returncode == 2 and refused.stderr.endswith("data exists already: choose another with --out\n")
