"""Conversion of NumPy's numbers to Python's, and the representation of our objects in notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any


def to_python(value: Any) -> Any:
    """A NumPy scalar, or an array of one dimension, as Python's number or tuple; anything else as it is."""
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        value = value.tolist()
        return tuple(value) if isinstance(value, list) else value
    if isinstance(value, (list, tuple)) and any(type(part).__module__ == "numpy" for part in value):
        return type(value)(to_python(part) for part in value)
    return value


def convert_fields(made: Any) -> None:
    """For `__post_init__` of a frozen dataclass: its numbers are then Python's, which JSON can hold."""
    for field in fields(made):
        value = getattr(made, field.name)
        if (converted := to_python(value)) is not value:
            object.__setattr__(made, field.name, converted)


WIDE = 100  # characters of a line


def format_repr(title: str, parts: Mapping[str, Any]) -> str:
    """A title, and a line for each part, which ends with " ..." where it is too long."""
    widest = max(map(len, parts), default=0)
    lines = [f"  {name:<{widest}}  {_shown(value)}" for name, value in parts.items()]
    return "\n".join([title, *(line if len(line) <= WIDE else f"{line[: WIDE - 4].rsplit(' ', 1)[0]} ..." for line in lines)])


def pick(made: Any, names: Iterable[str]) -> dict[str, Any]:
    """Some attributes by their names."""
    return {name: getattr(made, name) for name in names}


def _shown(value: Any) -> str:
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype} {list(value.shape)}"
    if isinstance(value, Mapping):
        return f"{{{', '.join(map(str, value))}}}"
    return value if isinstance(value, str) else f"{value!r}"
