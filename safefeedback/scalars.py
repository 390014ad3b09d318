"""NumPy's numbers wherever Python's are taken, without importing NumPy."""

from __future__ import annotations

from dataclasses import fields
from typing import Any


def plain(value: Any) -> Any:
    """A NumPy scalar, or an array of one dimension, as Python's number or tuple; anything else as it is."""
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        value = value.tolist()
        return tuple(value) if isinstance(value, list) else value
    if isinstance(value, (list, tuple)) and any(type(part).__module__ == "numpy" for part in value):
        return type(value)(plain(part) for part in value)
    return value


def make_plain(made: Any) -> None:
    """For `__post_init__` of a frozen dataclass: its numbers are then Python's, which JSON can hold."""
    for field in fields(made):
        value = getattr(made, field.name)
        if (found := plain(value)) is not value:
            object.__setattr__(made, field.name, found)
