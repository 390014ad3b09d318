"""Which values a setting of an algorithm can have."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from safefeedback.errors import InputError

Range = tuple[str, Callable[[float], bool]]
POSITIVE: Range = ("positive", lambda value: value > 0)
NOT_NEGATIVE: Range = ("0 or more", lambda value: value >= 0)
AT_LEAST_ONE: Range = ("at least 1", lambda value: value >= 1)
UP_TO_ONE: Range = ("more than 0 and at most 1", lambda value: 0 < value <= 1)
BELOW_ONE: Range = ("at least 0 and less than 1", lambda value: 0 <= value < 1)


def check_settings(algorithm: Any, choices: Mapping[str, tuple[str, ...]], ranges: Mapping[str, Range]) -> None:
    """Checks the fields of a dataclass; None is in every range.

    Args:
        algorithm: the dataclass; its numbers must be finite.
        choices: the values that a text can have, by field.
        ranges: the range of a number, by field.

    Raises:
        InputError: naming the first field with another value, and what it may be.
    """
    for name, allowed in choices.items():
        if getattr(algorithm, name) not in allowed:
            raise InputError(f"{name} must be {' or '.join(allowed)}, not '{getattr(algorithm, name)}'")
    for field in fields(algorithm):
        value = getattr(algorithm, field.name)
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, float) and not math.isfinite(number):
                raise InputError(f"{field.name} must be finite, not {number}")
    for name, (described, admits) in ranges.items():
        value = getattr(algorithm, name)
        if value is not None and not admits(value):
            raise InputError(f"{name} must be {described}, not {value}")
