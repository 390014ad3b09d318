"""The 38 tasks of DSRL as data (tasks.toml), and the reader of a user's own task."""

from __future__ import annotations

import itertools
import json
import re
import sys
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from safefeedback.errors import InputError
from safefeedback.imports import is_module, is_object
from safefeedback.values import convert_fields, format_repr, pick

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Task:
    """One control task: what its recordings hold and how they are judged.

    Attributes:
        name: how the task is called, e.g. "DroneCircle".
        domain: the benchmark suite it belongs to, a line of `simulators.SIMULATORS` or a name of your own.
        observation_dim, action_dim: O and A.
        horizon: steps of a full episode (`max_episode_steps`), T in the safety label's `cost <= limit * L / T`.
        cost_limits: episode cost limits of the evaluation protocol, rising; the middle one is the default.
        env_id: the simulator's id under gymnasium, or None where there is no simulator.
        env_module: the module whose import registers `env_id`, for an environment of one's own, or None.
        env: in place of `env_id`, `package.module:function` whose call returns an environment of one's own, or None.
        cost_key: where an environment's info (or a source's columns) holds a step's cost; dots lead into dicts.
        hub_repo, file: the Hugging Face dataset and the file in it that hold the recordings, or None.
        reference_returns: lowest and highest episode return, for normalised scores, or None.
        reference_costs: lowest and highest episode cost, or None.

    Raises:
        InputError: if a field has the wrong type or an impossible value.
    """

    name: str
    domain: str
    observation_dim: int
    action_dim: int
    horizon: int
    cost_limits: tuple[float, ...]
    env_id: str | None = None
    hub_repo: str | None = None
    file: str | None = None
    reference_returns: tuple[float, float] | None = None
    reference_costs: tuple[float, float] | None = None
    env_module: str | None = None
    env: str | None = None
    cost_key: str = "cost"

    def __post_init__(self) -> None:
        convert_fields(self)
        for name in ("name", "domain"):
            _check(isinstance(getattr(self, name), str) and getattr(self, name), name, "a non-empty text")
        _check(
            all(c.isalnum() or c in "-_." for c in self.name) and self.name[0].isalnum(),
            "name",
            "letters, digits, '-', '_' and '.', beginning with a letter or digit",
        )  # it becomes a folder's name
        for name in ("observation_dim", "action_dim", "horizon"):
            value = getattr(self, name)
            _check(
                isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31, name, "a positive whole number"
            )
        for name in ("env_id", "hub_repo", "file", "env_module", "env"):
            value = getattr(self, name)
            _check(value is None or (isinstance(value, str) and value), name, "a non-empty text")
        _check(isinstance(self.cost_key, str) and self.cost_key, "cost_key", "a non-empty text")
        _check(self.env_module is None or is_module(self.env_module), "env_module", "a module like package.module")
        _check(self.env is None or is_object(self.env), "env", "a function like package.module:function")
        _check(self.env is None or (self.env_id or self.env_module) is None, "env", "left out where env_id is given")
        _check(self.file is None or "/" not in self.file, "file", "a file name without folders")
        repo = self.hub_repo is None or re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", self.hub_repo)
        _check(repo, "hub_repo", "a Hub repository like user/name")
        _check(_rising(self.cost_limits) and self.cost_limits[0] >= 0, "cost_limits", "rising numbers, none negative")
        for name in ("reference_returns", "reference_costs"):
            value = getattr(self, name)
            _check(value is None or (_rising(value) and len(value) == 2), name, "two rising numbers")

    @property
    def url(self) -> str | None:
        """Where the recordings can be downloaded, or None."""
        if self.hub_repo is None or self.file is None:
            return None
        return f"https://huggingface.co/datasets/{self.hub_repo}/resolve/main/{self.file}"

    @property
    def own_module(self) -> str | None:
        """The module of the user's own that makes the environment, or None; a task that has one has no known simulator."""
        if self.env is not None:
            return self.env.partition(":")[0]
        return self.env_module or (self.env_id or "").rpartition(":")[0] or None

    @property
    def default_cost_limit(self) -> float:
        """The middle one of the task's cost limits."""
        return self.cost_limits[(len(self.cost_limits) - 1) // 2]

    def __repr__(self) -> str:
        names = ("observation_dim", "action_dim", "horizon", "cost_limits", "reference_returns")
        return format_repr(f"Task: {self.name} ({self.domain})", pick(self, names))

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON-ready values, those of an environment of one's own only where they are given."""
        unsaid = {"env_module": None, "env": None, "cost_key": "cost"}
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
            if key not in unsaid or value != unsaid[key]
        }

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Task:
        """A task from the fields of a TOML or JSON table.

        Raises:
            InputError: if a field is unknown, missing, or wrong.
        """
        known = [field.name for field in fields(Task)]
        for key in values:
            if key not in known:
                raise InputError(f"unknown field '{key}'; the fields of a task are {', '.join(known)}")
        for key in ("name", "domain", "observation_dim", "action_dim", "horizon", "cost_limits"):
            if key not in values:
                raise InputError(f"field '{key}' is missing")
        converted: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        return Task(**converted)


def _check(good: Any, field: str, wanted: str) -> None:
    if not good:
        raise InputError(f"field '{field}' must be {wanted}")


def _rising(values: Any) -> bool:
    return (
        isinstance(values, tuple)
        and len(values) > 0
        and all(isinstance(v, (int, float)) and not isinstance(v, bool) and -1e100 < v < 1e100 for v in values)
        and all(a < b for a, b in itertools.pairwise(values))
    )


@cache
def tasks() -> dict[str, Task]:
    """Every task of DSRL by name, in the benchmark's order."""
    with Path(__file__).with_name("tasks.toml").open("rb") as file:
        return {name: Task.from_dict({"name": name, **table}) for name, table in tomllib.load(file).items()}


def find_task(name: str) -> Task:
    """The DSRL task of that name, or the task described by a TOML file, or the one in a dataset's recipe.json.

    Raises:
        InputError: if there is no such task, or the file cannot be read as one.
    """
    if not name.endswith((".toml", ".json")):
        if name in tasks():
            return tasks()[name]
        lower = {known.lower(): known for known in tasks()}
        close = get_close_matches(name.lower(), lower, n=1)
        hint = f"did you mean {lower[close[0]]}?" if close else "`safefeedback tasks` lists them;"
        raise InputError(f"there is no task '{name}': {hint} a task of your own is a .toml file")
    try:
        with open(name, "rb") as file:
            if name.endswith(".toml"):
                return Task.from_dict(tomllib.load(file))
            return Task.from_dict(json.load(file)["task"])
    except OSError as error:
        raise InputError(f"task file {name} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise InputError(f"task file {name}: {error}") from None
        kind = "TOML" if name.endswith(".toml") else "the recipe.json of a dataset"
        raise InputError(f"task file {name} is not {kind}: {error}".splitlines()[0]) from None


def find_tasks(text: str) -> list[Task]:
    """The tasks of a comma-separated list, each once; `all` and the name of a domain, with or without "Gym", stand for many.

    Raises:
        InputError: as `find_task`.
    """
    every = list(tasks().values())
    groups = {"all": every}
    for task in every:
        domain = task.domain.lower()
        for name in {domain, domain.removesuffix("gym")}:
            groups.setdefault(name, []).append(task)
    words = [word.strip() for word in text.split(",")]
    if len(words) > 1 and (own := [word for word in words if word.endswith((".toml", ".json"))]):
        raise InputError(f"a task of your own, such as {own[0]}, must be given alone: leave the others out")
    chosen_tasks = [task for word in words for task in groups.get(word.lower()) or [find_task(word)]]
    return list({task.name: task for task in chosen_tasks}.values())
