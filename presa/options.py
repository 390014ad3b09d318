"""Parsers of options that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from safefeedback.errors import InputError


def parse_setting(text: str, wanted: str = "NAME=VALUE") -> tuple[str, str]:
    """The name and the value of `--set NAME=VALUE`; `wanted` is what the command takes.

    Raises:
        InputError: if the text has another form.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set takes {wanted}, not '{text}'")
    return name.strip().replace("-", "_"), value.strip()


def setting_text(value: Any) -> str:
    """A setting's value as the command line reads it."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(setting_text, value))
    return "none" if value is None else str(value).removesuffix(".0")


def parse_cost_limits(text: str, wanted: str = "numbers with commas") -> tuple[float, ...]:
    """The limits of `--cost-limits 10,20,40`; `wanted` is what the command takes.

    Raises:
        InputError: if the text has another form, or a limit is given twice or impossible.
    """
    try:
        limits = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--cost-limits takes {wanted}, not '{text}'") from None
    return check_cost_limits(limits, text)


def check_cost_limits(limits: Sequence[float], text: str | None = None) -> tuple[float, ...]:
    """The limits as numbers; `text` is how they were given.

    Raises:
        InputError: if there is none, or one is given twice or impossible.
    """
    numbers = tuple(map(float, limits))
    if not numbers or len(set(numbers)) < len(numbers) or not all(0 <= limit <= 1e100 for limit in numbers):
        shown = ",".join(map(str, limits)) if text is None else text
        raise InputError(f"--cost-limits takes different numbers, 0 or more, not '{shown}'")
    return numbers
