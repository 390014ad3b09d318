"""Code of one's own by its name: modules, and what they hold."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from safefeedback.errors import InputError


def is_module(name: str) -> bool:
    """Whether the text reads package.module."""
    return all(word.isidentifier() for word in name.split("."))


def is_object(name: str) -> bool:
    """Whether the text reads package.module:name."""
    module, colon, attribute = name.partition(":")
    return bool(colon) and is_module(module) and attribute.isidentifier()


def has_module(name: str) -> bool:
    """Whether the module's package can be found; modules in the working folder are found as well. Imports nothing."""
    _look_here()
    return find_spec(name.partition(".")[0]) is not None


def load_module(name: str) -> ModuleType:
    """The module of that name; modules in the working folder are found as well.

    Raises:
        InputError: if it, or a module that it needs, is not there.
    """
    _look_here()
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise InputError(f"{name} cannot be imported: {error}") from None


def load_object(name: str) -> Any:
    """What `package.module:name` names.

    Raises:
        InputError: if there is no such module or name.
    """
    if not is_object(name):
        raise InputError(f"'{name}' does not name anything: it must read package.module:name")
    module, _, attribute = name.partition(":")
    found = load_module(module)
    try:
        return getattr(found, attribute)
    except AttributeError:
        raise InputError(f"the module {module} has no '{attribute}'") from None


def _look_here() -> None:
    if "" not in sys.path:
        sys.path.insert(0, "")
