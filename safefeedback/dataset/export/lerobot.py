"""A dataset of LeRobot in its format v3 (https://huggingface.co/docs/lerobot/lerobot-dataset-v3), with the pairs beside it.

tests/test_export_lerobot.py says how LeRobot's own reader opened it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from safefeedback.dataset.card import hub_license
from safefeedback.dataset.export.interface import ExportedPairs, ExportResult
from safefeedback.dataset.parquet import SIDES
from safefeedback.errors import InputError
from safefeedback.imports import require_packages
from safefeedback.plots.top_view import SIZE, TopView

FPS = 20  # nominal: LeRobot wants a time for each step, and tasks differ
STEPS_IN_FILE = 200_000  # of data and of film, which stay below LeRobot's 100 and 200 MB
FILES_IN_CHUNK = 1000
FILM = "observation.images.top"
QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
README = """
A LeRobot dataset in the format v3: every segment is an episode, pair by pair, the first segment first: {episodes} episodes of
{steps} steps of {seconds} s by convention. `observation.state` and `action` are as recorded; `next.reward` and `next.cost` are
zeros, or an even share of the segment's true return and cost.{film}

`pairs.parquet` has the pairs, with the episodes that they compare: `pair_id`, `episode_index_0`, `episode_index_1`,
`preference`, `is_safe_0`, `is_safe_1`.

```python
import pyarrow.parquet as pq

pairs = pq.read_table("pairs.parquet")
```

With LeRobot installed:

```python
from lerobot.datasets.lerobot_dataset import LeRobotDataset

dataset = LeRobotDataset("user/name", root=".")
```
"""


def write_lerobot(folder: Path, work: ExportedPairs) -> ExportResult:
    """Writes every segment as an episode, with a view from above as a film if requested."""
    view = TopView.of(work.task.name, work.data.observations) if work.video else None
    if work.video:
        require_packages("--video", "av")
        if view is None:
            raise InputError(
                f"--video: the observations of {work.task.name} do not show where the body is, so there is no view from above"
            )
    episodes, in_file = 2 * len(work.data), max(1, STEPS_IN_FILE // work.length)
    rows, pixels = [], _Pixels()
    for number, first in enumerate(range(0, episodes, in_file)):
        group = range(first, min(first + in_file, episodes))
        chunk, index = divmod(number, FILES_IN_CHUNK)
        name = f"chunk-{chunk:03d}/file-{index:03d}"
        _write(folder / "data" / f"{name}.parquet", _steps(work, group))
        if view is not None:
            _film(folder / "videos" / FILM / f"{name}.mp4", view, work, group, pixels)
        rows += [_episode(work, episode, chunk, index, (episode - first) * work.length) for episode in group]
    (folder / "meta" / "episodes").mkdir(parents=True)
    _write(folder / "meta" / "episodes" / "chunk-000" / "file-000.parquet", pa.Table.from_pylist(rows))
    tasks = {"task_index": pa.array([0]), "__index_level_0__": pa.array([work.task.name], pa.large_string())}
    _write(folder / "meta" / "tasks.parquet", pa.table(tasks).replace_schema_metadata(_pandas_index()))
    (folder / "meta" / "info.json").write_text(json.dumps(_info(work), indent=4) + "\n", encoding="utf-8")
    statistics = _stats(work) | ({FILM: pixels.stats()} if view is not None else {})
    (folder / "meta" / "stats.json").write_text(json.dumps(statistics, indent=4) + "\n", encoding="utf-8")
    _write(folder / "pairs.parquet", _pairs(work))
    film = " The film is a view from above, drawn from the observations." if view is not None else ""
    readme = README.format(episodes=episodes, steps=work.length, seconds=1 / FPS, film=film)
    license = hub_license(work.data.recipe.get("source", {}).get("license", ""))
    about: dict[str, Any] = {**license, "tags": ["LeRobot", "safe-rl", "safefeedback"], "task_categories": ["robotics"]}
    about["configs"] = [{"config_name": "default", "data_files": "data/*/*.parquet"}]
    return ExportResult(episodes * work.length, readme, front_matter=about)


def _steps(work: ExportedPairs, group: range) -> pa.Table:
    """The steps of some episodes; the schema's metadata for `datasets` are those that LeRobot writes."""
    length, at = work.length, np.asarray(group)
    row, side = np.divmod(at, 2)
    frame = np.tile(np.arange(length), len(at))
    shared = {name: np.repeat(sums[row, side] / length, length).astype(np.float32) for name, sums in _sums(work).items()}
    state, action = (values[row, side].reshape(-1, values.shape[3]) for values in (work.data.observations, work.data.actions))
    return pa.table(
        {
            "observation.state": pa.FixedSizeListArray.from_arrays(pa.array(state.reshape(-1)), state.shape[1]),
            "action": pa.FixedSizeListArray.from_arrays(pa.array(action.reshape(-1)), action.shape[1]),
            **shared,
            "next.done": frame == length - 1,
            "timestamp": (frame / FPS).astype(np.float32),
            "frame_index": frame,
            "episode_index": np.repeat(at, length),
            "index": np.arange(group.start * length, group.stop * length),
            "task_index": np.zeros(len(frame), np.int64),
        }
    )


def _sums(work: ExportedPairs) -> dict[str, np.ndarray]:
    return {"next.reward": work.returns, "next.cost": work.costs}


def _episode(work: ExportedPairs, episode: int, chunk: int, file: int, step: int) -> dict[str, Any]:
    """An episode's row in meta/episodes; `step` counts from the first in its file."""
    length = work.length
    record: dict[str, Any] = {
        "episode_index": episode,
        "tasks": [work.task.name],
        "length": length,
        "data/chunk_index": chunk,
        "data/file_index": file,
        "dataset_from_index": episode * length,
        "dataset_to_index": (episode + 1) * length,
        "meta/episodes/chunk_index": 0,
        "meta/episodes/file_index": 0,
    }
    if work.video:
        record |= {f"videos/{FILM}/chunk_index": chunk, f"videos/{FILM}/file_index": file}
        record |= {f"videos/{FILM}/from_timestamp": step / FPS, f"videos/{FILM}/to_timestamp": (step + length) / FPS}
    return record


def _pairs(work: ExportedPairs) -> pa.Table:
    data, first = work.data, 2 * np.arange(len(work.data))

    def labels(values: np.ndarray, kind: type) -> pa.Array:
        unanswered = np.isnan(values)
        return pa.array(np.where(unanswered, 0, values).astype(kind), mask=unanswered)

    return pa.table(
        {
            "pair_id": data.pair_id,
            **{f"episode_index_{side}": first + side for side in SIDES},
            "preference": labels(data.preference, np.float32),
            **{f"is_safe_{side}": labels(data.safe[:, side], bool) for side in SIDES},
        }
    )


def _info(work: ExportedPairs) -> dict[str, Any]:
    episodes = 2 * len(work.data)

    def feature(kind: str, *shape: int, **more: Any) -> dict[str, Any]:
        return {"dtype": kind, "shape": list(shape), "names": None, **more}

    film = {"video.height": SIZE, "video.width": SIZE, "video.codec": "h264", "video.pix_fmt": "yuv420p", "video.fps": FPS}
    film |= {"video.is_depth_map": False, "video.channels": 3, "has_audio": False}
    features = {
        "observation.state": feature("float32", work.data.observations.shape[3]),
        "action": feature("float32", work.data.actions.shape[3]),
        **{name: feature("float32", 1) for name in _sums(work)},
        "next.done": feature("bool", 1),
        **(
            {FILM: feature("video", SIZE, SIZE, 3) | {"names": ["height", "width", "channels"], "info": film}}
            if work.video
            else {}
        ),
        "timestamp": feature("float32", 1),
        **{name: feature("int64", 1) for name in ("frame_index", "episode_index", "index", "task_index")},
    }
    return {
        "codebase_version": "v3.0",
        "robot_type": None,
        "total_episodes": episodes,
        "total_frames": episodes * work.length,
        "total_tasks": 1,
        "chunks_size": FILES_IN_CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": FPS,
        "splits": {work.split: f"0:{episodes}"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4" if work.video else None,
        "features": features,
    }


def _stats(work: ExportedPairs) -> dict[str, Any]:
    """What LeRobot's policies normalise by, of all steps."""
    length, data = work.length, work.data
    count = 2 * len(data) * length
    columns = {
        "observation.state": data.observations.reshape(-1, data.observations.shape[3]),
        "action": data.actions.reshape(-1, data.actions.shape[3]),
        **{name: np.repeat(sums.reshape(-1) / length, length)[:, None] for name, sums in _sums(work).items()},
    }
    statistics = {}
    for name, values in columns.items():
        measures = {"min": values.min(axis=0), "max": values.max(axis=0), "mean": values.mean(axis=0, dtype=np.float64)}
        measures |= {"std": values.std(axis=0, dtype=np.float64)}
        measures |= {key: np.quantile(values, share, axis=0) for key, share in QUANTILES.items()}
        statistics[name] = {key: measure.astype(np.float64).tolist() for key, measure in measures.items()} | {"count": [count]}
    return statistics


class _Pixels:
    """Statistics of a film's colours, each from 0 to 1, gathered frame by frame."""

    def __init__(self) -> None:
        self.count, self.least, self.most = 0, np.ones(3), np.zeros(3)
        self.sum, self.squares = np.zeros(3), np.zeros(3)

    def add(self, frame: np.ndarray) -> None:
        values = frame[::4, ::4].reshape(-1, 3) / 255  # as LeRobot does, which uses smaller pictures for them
        self.least, self.most = np.minimum(self.least, values.min(axis=0)), np.maximum(self.most, values.max(axis=0))
        self.sum, self.squares = self.sum + values.mean(axis=0), self.squares + (values**2).mean(axis=0)
        self.count += 1

    def stats(self) -> dict[str, Any]:
        mean = self.sum / self.count
        spread = np.sqrt(np.maximum(self.squares / self.count - mean**2, 0))
        measures = {"min": self.least, "max": self.most, "mean": mean, "std": spread}
        return {key: measure.reshape(3, 1, 1).tolist() for key, measure in measures.items()} | {"count": [self.count]}


def _film(path: Path, view: TopView, work: ExportedPairs, group: range, pixels: _Pixels) -> None:
    """The episodes of a file one after another."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"g": "2", "crf": "28", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = SIZE, SIZE, "yuv420p"
        stream.codec_context.thread_count = 1  # with more, the bytes depend on the processor's cores, and vary
        for episode in group:
            row, side = divmod(episode, 2)
            for frame in view.frames(work.data.observations[row, side]):
                pixels.add(frame)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            work.on_progress(episode + 1, 2 * len(work.data), "filming")
        container.mux(stream.encode())


def _write(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def _pandas_index() -> dict[str, str]:
    """That the column of tasks is the table's index, as pandas says it."""
    index = {"name": None, "field_name": "__index_level_0__", "pandas_type": "unicode", "numpy_type": "str", "metadata": None}
    column = {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64", "metadata": None}
    names = {"name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "str", "metadata": {"encoding": "UTF-8"}}
    said = {"index_columns": ["__index_level_0__"], "column_indexes": [names], "columns": [column, index]}
    return {
        "pandas": json.dumps({**said, "creator": {"library": "pyarrow", "version": pa.__version__}, "pandas_version": "2.2.0"})
    }
