"""Trains safe policies from preferences and safety labels, and evaluates them in the simulator."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from safefeedback.version import __version__

if TYPE_CHECKING:
    from presa.rollouts.policy import load
    from presa.runs.evaluation import evaluate
    from presa.runs.tables import records
    from presa.runs.training import train

__all__ = ["__version__", "evaluate", "load", "records", "train"]

_HOMES = {
    "evaluate": "presa.runs.evaluation",
    "load": "presa.rollouts.policy",
    "records": "presa.runs.tables",
    "train": "presa.runs.training",
}


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that `import presa` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'presa' has no attribute '{name}'")
    try:
        return getattr(import_module(_HOMES[name]), name)
    except ImportError as error:
        from safefeedback.imports import missing_extra

        if (missing := missing_extra(error)) is None:
            raise
        from safefeedback.errors import InputError

        raise InputError(missing) from None


def __dir__() -> list[str]:
    return __all__
