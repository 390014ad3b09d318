"""Make, check, publish and learn from safe preference feedback over offline safe-RL data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safefeedback.version import __version__

if TYPE_CHECKING:
    from safefeedback.dataset.build import build_dataset
    from safefeedback.dataset.reading import read, read_oracle
    from safefeedback.dataset.rows import Dataset, Oracle, Pair
    from safefeedback.dataset.torch_pairs import torch_dataset
    from safefeedback.errors import InputError
    from safefeedback.feedback.recipe import Recipe
    from safefeedback.tasks import Task, find_task

__all__ = [
    "Dataset",
    "InputError",
    "Oracle",
    "Pair",
    "Recipe",
    "Task",
    "__version__",
    "build_dataset",
    "find_task",
    "read",
    "read_oracle",
    "torch_dataset",
]

_HOMES = {
    "Recipe": "feedback.recipe",
    "build_dataset": "dataset.build",
    "InputError": "errors",
    "Dataset": "dataset.rows",
    "Oracle": "dataset.rows",
    "Pair": "dataset.rows",
    "read": "dataset.reading",
    "read_oracle": "dataset.reading",
    "torch_dataset": "dataset.torch_pairs",
    "Task": "tasks",
    "find_task": "tasks",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that `import safefeedback` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'safefeedback' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"safefeedback.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
