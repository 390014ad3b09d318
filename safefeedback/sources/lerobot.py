"""Reads LeRobot datasets in the format v3 (https://huggingface.co/docs/lerobot/lerobot-dataset-v3), from a folder or the Hub.

What is read: meta/info.json, and of data/chunk-*/file-*.parquet the columns `observation.state`, `action`, `episode_index`,
`frame_index`, `next.reward` (or `reward`) and the cost. Videos, statistics and task texts are not. LeRobot's own package is not
needed; tests/test_lerobot.py says how its reading was compared with this one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from safefeedback.errors import InputError
from safefeedback.files import files_sha256
from safefeedback.hub.client import is_repo_name, snapshot
from safefeedback.sources.checks import check_costs, check_dims, check_finite
from safefeedback.tasks import Task
from safefeedback.types import Episodes, Source, UnlabelledEpisodes

OBSERVATION, ACTION, REWARDS = "observation.state", "action", ("next.reward", "reward")
ORDER = ("episode_index", "frame_index")
PATTERNS = ("meta/info.json", "data/*", "README.md")


def read(name: str, task: Task, cost: str) -> Episodes:
    """The episodes of a LeRobot dataset.

    Args:
        name: its folder, or user/name or user/name@revision on the Hub.
        task: whose dimensions it must have.
        cost: the column that holds the cost of a step.

    Raises:
        InputError: naming dataset and column, if it is in another format, a column is missing, dimensions are not the task's,
            steps are missing or out of order, or a value cannot be trusted.
    """
    folder = locate(name)
    rewards = _columns(name, folder, cost)
    values, bounds = _steps(name, folder, task, (rewards, cost))
    check_costs(name, cost, values[cost])
    source = Source("lerobot", _called(name, folder), fingerprint(name), _license(folder))
    names = [_names(folder, key, values[key].shape[1]) for key in (OBSERVATION, ACTION)]
    return Episodes(task, values[OBSERVATION], values[ACTION], values[rewards], values[cost], bounds, source, None, *names)


def read_unlabelled(name: str, task: Task) -> UnlabelledEpisodes:
    """The observations and actions of the episodes of a dataset; its rewards and costs are not read, and may be missing.

    Raises:
        InputError: as `read` does.
    """
    folder = locate(name)
    _columns(name, folder, None)
    values, bounds = _steps(name, folder, task)
    return UnlabelledEpisodes(values[OBSERVATION], values[ACTION], bounds, _called(name, folder), fingerprint(name))


def _called(name: str, folder: Path) -> str:
    """Its name as a source."""
    return f"lerobot:{name if is_hub_name(name) else folder.name}"


def _steps(name: str, folder: Path, task: Task, scalars: tuple[str, ...] = ()) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Observations, actions, and columns with one number at every step; and the episodes' bounds."""
    data = _read(name, folder, [OBSERVATION, ACTION, *scalars, *ORDER])
    for key in (*scalars, *ORDER):
        if data[key].size != len(data[key]):
            raise InputError(f"{name}: {key} must hold one number at every step")
        data[key] = data[key].reshape(-1).astype(np.float64)
    for key in ORDER:
        check_finite(name, key, data[key])
    episode, frame = (data[key].astype(np.int64) for key in ORDER)
    starts = np.flatnonzero(np.diff(episode, prepend=episode[0] - 1))
    bounds = np.append(starts, len(episode)).astype(np.int64)
    if (np.diff(episode) < 0).any() or (frame != np.arange(len(frame)) - np.repeat(starts, np.diff(bounds))).any():
        raise InputError(f"{name}: the steps are not in the order of episode_index and frame_index, or some are missing")
    for key, dim in ((OBSERVATION, task.observation_dim), (ACTION, task.action_dim)):
        if data[key].ndim != 2:
            raise InputError(f"{name}: {key} must be a list of numbers at every step, of the same length")
        check_dims(name, key, data[key].shape[1], dim)
    values = {key: np.ascontiguousarray(data[key], np.float32) for key in (OBSERVATION, ACTION)}
    values |= {key: data[key] for key in scalars}
    for key, array in values.items():
        check_finite(name, key, array)
    return values, bounds


def fingerprint(name: str) -> str:
    """The sha256 of what is read of the dataset: of the names and the sha256 of its data files and of meta/info.json."""
    folder = locate(name)
    return files_sha256(folder, [folder / "meta" / "info.json", *_data_files(folder)])


def locate(name: str) -> Path:
    """The folder of a dataset, on the Hub that of its snapshot.

    Raises:
        InputError: if there is none, or it is no LeRobot dataset.
    """
    folder = Path(name)
    if not folder.exists() and is_hub_name(name):
        repo, _, revision = name.partition("@")
        failure = f"{name} is no folder here and cannot be fetched from the Hub"
        folder = snapshot(failure, "dataset", repo, revision or None, list(PATTERNS))
    if not (folder / "meta" / "info.json").is_file():
        raise InputError(f"{name} is no LeRobot dataset: it has no meta/info.json")
    return folder


def is_hub_name(name: str) -> bool:
    """Whether nothing here has the name, and a repository of the Hub may."""
    return not Path(name).exists() and is_repo_name(name.partition("@")[0])


def _columns(name: str, folder: Path, cost: str | None) -> str:
    """The name of the rewards' column; the columns are checked to be there, rewards and costs only where `cost` is given."""
    try:
        info = json.loads((folder / "meta" / "info.json").read_text(encoding="utf-8"))
        version, features = str(info["codebase_version"]), dict(info["features"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{name}: meta/info.json cannot be read: {error}".splitlines()[0]) from None
    if not version.startswith("v3."):
        raise InputError(
            f"{name} is in LeRobot's format {version}, not v3, which python -m lerobot.datasets.v30.convert_dataset_v21_to_v30 "
            "makes of it"
        )
    rewards = next((key for key in REWARDS if key in features), REWARDS[0])
    for key in (OBSERVATION, ACTION, *(() if cost is None else (rewards, cost))):
        if key not in features:
            hint = (
                "; say which holds the cost with cost_key in the task's file, or lerobot:NAME,cost=COLUMN"
                if key == cost
                else ""
            )
            raise InputError(f"{name} has no column '{key}'; it has {', '.join(features)}{hint}")
    return rewards


def _names(folder: Path, column: str, count: int) -> tuple[str, ...]:
    """What meta/info.json calls the numbers of a column: a list, lists in a dict, or a dict that counts them; nothing where it
    is silent."""
    feature = json.loads((folder / "meta" / "info.json").read_text(encoding="utf-8"))["features"][column]
    names = feature.get("names") if isinstance(feature, dict) else None
    if isinstance(names, dict) and all(isinstance(part, list) for part in names.values()):
        names = [name for part in names.values() for name in part]
    elif isinstance(names, dict) and all(isinstance(place, int) for place in names.values()):
        names = sorted(names, key=names.__getitem__)
    return tuple(map(str, names)) if isinstance(names, list) and len(names) == count else ()


def _data_files(folder: Path) -> list[Path]:
    return sorted((folder / "data").glob("*/*.parquet"))


def _read(name: str, folder: Path, columns: Sequence[str]) -> dict[str, np.ndarray]:
    """Columns of every data file, in their order: [T], or [T, dim] for lists of one length."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pa.concat_tables([pq.read_table(file, columns=list(columns)) for file in _data_files(folder)])
        arrays = {column: _array(table[column]) for column in columns}
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise InputError(f"{name}: its data files cannot be read: {error}".splitlines()[0]) from None
    if not table.num_rows:
        raise InputError(f"{name} holds no steps")
    for column, values in arrays.items():
        if values.dtype.kind not in "fiub" or len(values) != table.num_rows:
            raise InputError(f"{name}: {column} must hold a number, or numbers, at every step")
    return arrays


def _array(column: Any) -> np.ndarray:
    import pyarrow as pa

    if column.null_count:
        raise ValueError("a value is missing")
    values = column.combine_chunks()
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    if pa.types.is_list(values.type) or pa.types.is_fixed_size_list(values.type) or pa.types.is_large_list(values.type):
        flat = values.flatten()
        if flat.null_count or len(flat) % max(len(values), 1) or len(set(values.value_lengths().to_pylist())) > 1:
            raise ValueError("lists differ in length, or hold no value")
        return flat.to_numpy(zero_copy_only=False).reshape(len(values), -1)
    return values.to_numpy(zero_copy_only=False)


def _license(folder: Path) -> str:
    """The licence in the metadata of the dataset's card, or nothing."""
    try:
        card = (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    match = re.match(r"---\n(?:.*\n)*?license:[ ]*([\w.-]+)[ ]*\n", card)
    return match.group(1) if match and "\n---" not in card[: match.start(1)] else ""
