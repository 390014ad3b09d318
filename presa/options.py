"""Options that several commands read the same way."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from safefeedback.errors import InputError


def parse_setting(text: str, wanted: str = "NAME=VALUE") -> tuple[str, str]:
    """The name and the value of `--set NAME=VALUE`; `wanted` is what the command takes.

    Raises:
        InputError: if the text does not read so.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"--set takes {wanted}, not '{text}'")
    return name.strip().replace("-", "_"), value.strip()


def parse_cost_limits(text: str, wanted: str = "numbers with commas") -> tuple[float, ...]:
    """The limits of `--cost-limits 10,20,40`; `wanted` is what the command takes.

    Raises:
        InputError: if the text does not read so, or a limit is given twice or impossible.
    """
    try:
        limits = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--cost-limits takes {wanted}, not '{text}'") from None
    if len(set(limits)) < len(limits) or not all(0 <= limit <= 1e100 for limit in limits):
        raise InputError(f"--cost-limits takes different numbers, 0 or more, not '{text}'")
    return limits


def load_object(name: str) -> Any:
    """What `package.module:name` names; modules in the working folder are found as well.

    Raises:
        InputError: if there is no such module or name.
    """
    module, _, attribute = name.partition(":")
    if not all(word.isidentifier() for word in (*module.split("."), attribute)):
        raise InputError(f"'{name}' does not name anything: it must read package.module:name")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found = import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(f"{name} cannot be imported: {error}") from None
    try:
        return getattr(found, attribute)
    except AttributeError:
        raise InputError(f"the module {module} has no '{attribute}'") from None
