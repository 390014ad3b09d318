"""Learns safe policies from preferences and safety labels, and proves them in the simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safefeedback.version import __version__

if TYPE_CHECKING:
    from presa.rollouts.policy import load

__all__ = ["__version__", "load"]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first used, so that `import presa` stays light."""
    if name not in __all__:
        raise AttributeError(f"module 'presa' has no attribute '{name}'")
    from presa.rollouts.policy import load

    return load


def __dir__() -> list[str]:
    return __all__
