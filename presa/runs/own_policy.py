"""A user's own policy, kept in a folder like a run's, so that it is listed, compared and submitted as runs are."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from presa.files import write_json
from presa.runs.records import FORMAT_VERSION, RUN_KEYS, read_config
from safefeedback.dataset.reading import open_dataset
from safefeedback.errors import InputError
from safefeedback.files import module_sha256
from safefeedback.imports import failures_of, load_object
from safefeedback.tasks import Task
from safefeedback.version import __version__

FACTS: dict[str, Any] = {"algorithm": str, "seed": int, "dataset": (str, Path)}


def is_own(config: dict[str, Any]) -> bool:
    """Whether a config.json is that of a user's own policy."""
    return "policy" in config


def own_config(policy: str, task: Task, cost_limit: float) -> dict[str, Any]:
    """The config.json of a policy that is given as "package.module:function".

    The policy may have `facts`, a dict: `algorithm`, its name in tables; `seed`, of its training; `dataset`, the folder that it
    learnt from. By default these are its name, 0, and none.

    Raises:
        InputError: if there is no such policy or dataset, it cannot be made, or its facts are not of these types.
    """
    function = load_object(policy)
    with failures_of(policy, everywhere=True):
        facts = getattr(function(), "facts", {})
    if not isinstance(facts, dict):
        raise InputError(f"the facts of {policy} must be a dict, not {facts!r}")
    for name, kind in FACTS.items():
        if name in facts and (not isinstance(facts[name], kind) or isinstance(facts[name], bool)):
            wanted = {"seed": "a whole number"}.get(name, "a text")
            raise InputError(f"facts['{name}'] of {policy} must be {wanted}, not {facts[name]!r}")
    if not (algorithm := facts.get("algorithm", policy)).strip() or not algorithm.isprintable():
        raise InputError(f"facts['algorithm'] of {policy} must be a name of one line, not {algorithm!r}")
    return {
        "format_version": FORMAT_VERSION,
        "algorithm": algorithm,
        "configuration": {},
        "changed": {},
        "seed": facts.get("seed", 0),
        "task": task.to_dict(),
        "cost_limit": cost_limit,
        "data": _data(facts["dataset"]) if "dataset" in facts else {},
        "policy": policy,
        "policy_sha256": own_source_sha256(policy),
        "versions": {"presa": __version__, "python": platform.python_version()},
    }


def own_source_sha256(policy: str) -> str:
    """The sha256 of the source of the module that a policy is from; weights and modules that it reads are not in it.

    Raises:
        InputError: if there is no such module.
    """
    module = policy.partition(":")[0]
    if (found := module_sha256(module)) is None:
        raise InputError(f"{policy}: there is no module {module} in the working folder or among what is installed")
    return found


def _data(dataset: str | Path) -> dict[str, Any]:
    """The identity of a dataset, as in runs; only the author claims that the policy learnt from it."""
    try:
        manifest = open_dataset(dataset).manifest
    except InputError as error:
        raise InputError(f"facts['dataset'] of the policy: {error}") from None
    splits = {"pairs": manifest.splits["train"], "pairs_test": manifest.splits.get("test", 0)}
    sources = {"content_sha256": manifest.content_sha256, "source_sha256": manifest.source.fingerprint}
    return {**sources, "labels": None, **splits, "length": manifest.recipe.length}


def check_folder(folder: Path, config: dict[str, Any]) -> None:
    """Raises InputError unless the folder is free, or holds the same policy of a user, for the same task and limit of cost."""
    if not folder.exists():
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / "config.json").is_file()):
        raise InputError(f"{folder} exists and is not a folder of `presa evaluate --policy`: choose another --out")
    if (folder / "config.json").is_file():
        there = read_config(folder)
        if not (there.keys() >= set(RUN_KEYS) and is_own(there)):
            raise InputError(f"{folder} is a run of `presa train`: choose another --out")
        if any(there[key] != config[key] for key in ("policy", "task", "cost_limit")):
            task, limit = there["task"]["name"], there["cost_limit"]
            raise InputError(
                f"{folder} holds another evaluation ({there['policy']}, task {task}, limit {limit:g}): choose another --out"
            )


def keep(folder: Path, config: dict[str, Any], evaluation: dict[str, Any]) -> None:
    """Writes config.json and evaluation.json."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", config)
    write_json(folder / "evaluation.json", evaluation)
