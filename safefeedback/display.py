"""What a notebook shows of our values: a few lines, arrays by their kind and shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

WIDE = 100  # characters of a line


def described(title: str, parts: Mapping[str, Any]) -> str:
    """A title, and a line for each part."""
    widest = max(map(len, parts), default=0)
    return "\n".join([title, *(f"  {name:<{widest}}  {_one(value)}"[:WIDE] for name, value in parts.items())])


def attributes(made: Any, names: Iterable[str]) -> dict[str, Any]:
    """Some attributes by their names."""
    return {name: getattr(made, name) for name in names}


def _one(value: Any) -> str:
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype} {list(value.shape)}"
    if isinstance(value, Mapping):
        return f"{{{', '.join(map(str, value))}}}"
    return value if isinstance(value, str) else f"{value!r}"
