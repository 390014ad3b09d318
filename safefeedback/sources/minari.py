"""Reads Minari datasets (https://minari.farama.org) by Minari's own reader, from where it keeps them on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from safefeedback.errors import InputError
from safefeedback.files import files_sha256
from safefeedback.imports import install_package_command
from safefeedback.sources.checks import check_costs, check_dims, check_finite
from safefeedback.tasks import Task
from safefeedback.types import Episodes, Source, UnlabelledEpisodes

STEPS = ("observations", "actions")
INSTALL = install_package_command("minari[hdf5]")


def read(name: str, task: Task, cost: str) -> Episodes:
    """The episodes of a Minari dataset; spaces of parts (Dict, Tuple) and of choices (Discrete) are flattened as by gymnasium.

    Args:
        name: its id, such as mujoco/hopper/expert-v0.
        task: whose dimensions it must have.
        cost: where an episode's infos hold the cost of a step; dots lead into dicts.

    Raises:
        InputError: naming the dataset and what is wrong with it.
    """
    dataset = _open(name)
    parts: dict[str, list[np.ndarray]] = {"observations": [], "actions": [], "rewards": [], cost: []}
    for episode in dataset.iterate_episodes():
        steps = len(episode)
        costs = _numbers(name, cost, _find(name, episode.infos, cost))
        if len(costs) not in (steps, steps + 1):
            raise InputError(f"{name}: infos['{cost}'] has {len(costs)} values in an episode of {steps} steps")
        for key, flat in zip(STEPS, _steps(name, dataset, episode), strict=True):
            parts[key].append(flat)
        parts["rewards"].append(np.asarray(episode.rewards, np.float64))
        parts[cost].append(costs[len(costs) - steps :])  # where there is one more, the first is of the reset
    if not parts["rewards"]:
        raise InputError(f"{name} holds no episodes")
    values, bounds = _joined(name, parts, task)
    check_costs(name, cost, values[cost])
    about = dict(dataset.storage.metadata)
    author = about.get("author") or ""
    source = Source(
        "minari",
        f"minari:{name}",
        _fingerprint(dataset),
        str(about.get("license") or ""),
        ", ".join(sorted(author)) if isinstance(author, (set, list, tuple)) else str(author),
    )
    names = [tuple(_names(space)) for space in (dataset.observation_space, dataset.action_space)]
    return Episodes(
        task, values["observations"], values["actions"], values["rewards"], values[cost], bounds, source, None, *names
    )


def read_unlabelled(name: str, task: Task) -> UnlabelledEpisodes:
    """The observations and actions of the episodes of a dataset; nothing else of an episode is looked at.

    Raises:
        InputError: as `read` does.
    """
    dataset = _open(name)
    parts: dict[str, list[np.ndarray]] = {key: [] for key in STEPS}
    for episode in dataset.iterate_episodes():
        for key, flat in zip(STEPS, _steps(name, dataset, episode), strict=True):
            parts[key].append(flat)
    if not parts["actions"]:
        raise InputError(f"{name} holds no episodes")
    values, bounds = _joined(name, parts, task)
    return UnlabelledEpisodes(values["observations"], values["actions"], bounds, f"minari:{name}", _fingerprint(dataset))


def _steps(name: str, dataset: Any, episode: Any) -> tuple[np.ndarray, np.ndarray]:
    """The observations and actions of an episode, without the observation after its last step."""
    observations = flat(name, dataset.observation_space, episode.observations)
    return observations[: len(episode)], flat(name, dataset.action_space, episode.actions)


def _joined(name: str, parts: dict[str, list[np.ndarray]], task: Task) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The arrays of all episodes, checked, and the episodes' bounds."""
    bounds = np.cumsum([0, *map(len, parts["actions"])]).astype(np.int64)
    values = {key: np.concatenate(arrays) for key, arrays in parts.items()}
    for key, dim in zip(STEPS, (task.observation_dim, task.action_dim), strict=True):
        check_dims(name, key, values[key].shape[1], dim)
        values[key] = values[key].astype(np.float32)
    for key, array in values.items():
        check_finite(name, key, array)
    return values, bounds


def fingerprint(name: str) -> str:
    """The sha256 of the dataset: of the names and the sha256 of its files."""
    return _fingerprint(_open(name))


def _fingerprint(dataset: Any) -> str:
    folder = Path(dataset.storage.data_path)
    return files_sha256(folder, [file for file in folder.rglob("*") if file.is_file()])


def _open(name: str) -> Any:
    try:
        import minari
    except ImportError:
        raise InputError(f"the source minari:{name} needs the package minari: {INSTALL}") from None
    try:
        return minari.load_dataset(name)
    except ImportError as error:
        raise InputError(f"{name} cannot be read: {error}: {INSTALL}".replace("\n", " ")) from None
    except Exception as error:  # a name that is none, a dataset that is not here, files that are broken
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"the Minari dataset {name} cannot be opened: {reason}; `minari download {name}` fetches it") from None


def _find(name: str, infos: Any, key: str) -> Any:
    value = infos
    for word in (key,) if key in (infos or {}) else key.split("."):
        if not isinstance(value, dict) or word not in value:
            known = ", ".join(infos) if isinstance(infos, dict) and infos else "nothing"
            raise InputError(
                f"{name}: an episode's infos have no '{key}'; they have {known}; say which holds the cost with cost_key in the "
                "task's file, or minari:NAME,cost=KEY"
            )
        value = value[word]
    return value


def _numbers(name: str, key: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "fiub" or array.size != len(array):
        raise InputError(f"{name}: infos['{key}'] must hold a number at every step")
    return array.reshape(-1).astype(np.float64)


def flat(name: str, space: Any, values: Any) -> np.ndarray:
    """The values of a space as float64 [T, dim], as gymnasium flattens them: a choice between n becomes n numbers, one of which
    is 1.

    Raises:
        InputError: if they are no numbers.
    """
    spaces: Any = getattr(space, "spaces", None)
    if isinstance(values, dict):
        return np.concatenate([flat(name, spaces[key], values[key]) for key in spaces], axis=1)
    if isinstance(values, tuple):
        return np.concatenate([flat(name, inner, part) for inner, part in zip(spaces, values, strict=True)], axis=1)
    array = np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name}: observations and actions must be numbers, not of {space}")
    array = array.reshape(len(array), -1).astype(np.float64)
    if (choices := _choices(space)) is None:
        return array
    chosen = array - np.reshape(getattr(space, "start", 0), -1)
    if not np.isin(chosen, range(max(choices))).all() or (chosen >= choices).any():
        raise InputError(f"{name}: a value is not in {space}")
    chosen = chosen.astype(np.int64)
    return np.concatenate([np.eye(count)[column] for count, column in zip(choices, chosen.T, strict=True)], axis=1)


def _choices(space: Any) -> list[int] | None:
    """Of how many each number of a Discrete or MultiDiscrete space is one; None of other spaces."""
    counts = getattr(space, "nvec", space.n if type(space).__name__ == "Discrete" else None)
    return None if counts is None else [int(count) for count in np.reshape(counts, -1)]


def _names(space: Any, prefix: str = "") -> list[str]:
    """What the numbers of a space of parts are called, `part` or `part[i]`, in the order of `flat`; nothing without parts."""
    spaces: Any = getattr(space, "spaces", None)
    if spaces is not None:
        parts = spaces.items() if hasattr(spaces, "items") else enumerate(spaces)
        return [name for key, part in parts for name in _names(part, f"{prefix}.{key}" if prefix else str(key))]
    count = (sum(_choices(space) or ()) or int(np.prod(space.shape))) if prefix else 0
    return [prefix] if count == 1 else [f"{prefix}[{index}]" for index in range(count)]
