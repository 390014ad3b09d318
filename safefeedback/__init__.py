"""Make, check, publish and learn from safe preference feedback over offline safe-RL data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from safefeedback.build import Recipe
    from safefeedback.errors import InputError
    from safefeedback.pipeline import build_dataset
    from safefeedback.reading import Dataset, Oracle, read, read_oracle
    from safefeedback.tasks import Task, find_task

__version__ = "0.1.0"
__all__ = ["Dataset", "InputError", "Oracle", "Recipe", "Task", "build_dataset", "find_task", "read", "read_oracle"]

_HOMES = {
    "Recipe": "build",
    "build_dataset": "pipeline",
    "InputError": "errors",
    "Dataset": "reading",
    "Oracle": "reading",
    "read": "reading",
    "read_oracle": "reading",
    "Task": "tasks",
    "find_task": "tasks",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that `import safefeedback` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'safefeedback' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"safefeedback.{_HOMES[name]}"), name)
