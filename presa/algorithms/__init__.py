"""Finds an algorithm by its name, and configures it from a preset and settings."""

from __future__ import annotations

import hashlib
import inspect
import sys
import types
import typing
from contextlib import suppress
from dataclasses import asdict, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from presa.algorithms.base import Algorithm
from presa.choices import ALGORITHMS, PRESETS
from safefeedback.errors import InputError
from safefeedback.files import file_sha256
from safefeedback.imports import load_object


def find_algorithm(name: str) -> type[Algorithm]:
    """The algorithm of that name, or a custom class `package.module:Class`, which may lie in the working folder.

    Raises:
        InputError: if there is none.
    """
    if name in ALGORITHMS:
        algorithm: type[Algorithm] = load_object(ALGORITHMS[name])
        return algorithm
    if ":" not in name:
        close = get_close_matches(name, ALGORITHMS, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise InputError(f"there is no algorithm '{name}': {hint}choose from {', '.join(ALGORITHMS)}, or give module:Class")
    own = load_object(name)
    if not (isinstance(own, type) and issubclass(own, Algorithm) and is_dataclass(own)):
        raise InputError(f"{name} is not an algorithm: it must be a dataclass that extends presa.algorithms.base.Algorithm")
    has_settings = any("ClassVar" not in str(annotation) for annotation in inspect.get_annotations(own).values())
    if has_settings and "__dataclass_fields__" not in own.__dict__:
        raise InputError(
            f"{name} has settings but is not a dataclass, so that they would be ignored: write @dataclass(frozen=True) above it"
        )
    return own


def code_sha256(name: str) -> str | None:
    """The sha256 of the source of the module that a custom algorithm is from, or of the methods of one that was typed into a
    notebook; None for the algorithms of this package."""
    module, _, attribute = name.partition(":")
    if name in ALGORITHMS or module not in sys.modules:
        return None
    file = getattr(sys.modules[module], "__file__", None)
    if file is not None and Path(file).is_file():
        return file_sha256(Path(file))
    typed = []
    for one in vars(getattr(sys.modules[module], attribute)).values():
        with suppress(OSError):  # made by dataclass, or typed where nothing remembers it
            typed += [inspect.getsource(one)] if inspect.isfunction(one) else []
    return hashlib.sha256("".join(typed).encode()).hexdigest() if typed else None


def configure(name: str, preset: str | None = None, settings: dict[str, Any] | None = None) -> Algorithm:
    """An algorithm configured by the defaults, overridden by the preset, overridden by the given settings.

    Args:
        name: as in `find_algorithm`.
        preset: one of PRESETS, or None.
        settings: field -> value; a text is read as the field's type. If `steps` is given without `bc_steps` or `model_steps`,
            cloning and the models keep their default shares of it.

    Raises:
        InputError: if a name is unknown or a value is impossible.
    """
    algorithm = find_algorithm(name)
    types = typing.get_type_hints(algorithm)
    types = {field.name: types[field.name] for field in fields(algorithm)}
    if preset is not None and preset not in PRESETS:
        raise InputError(f"there is no preset '{preset}': choose from {', '.join(PRESETS)}")
    if preset is not None and not algorithm.takes_presets:
        raise InputError(f"--preset is Table 4, the settings of PreSa; {name} has its own paper's as defaults")
    values = {key: value for key, value in PRESETS.get(preset or "", {}).items() if key in types}
    for key, value in (settings or {}).items():
        if key not in types:
            close = get_close_matches(key, types, n=1)
            hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(types)}"
            raise InputError(f"algorithm {name} has no setting '{key}': {hint}")
        if isinstance(value, str):
            value = parse(key, value, types[key])
        values[key] = tuple(value) if isinstance(value, list) else value  # JSON has lists for tuples
    usual = {field.name: field.default for field in fields(algorithm)} | PRESETS.get(preset or "", {})
    for part in ("bc_steps", "model_steps", "delta_steps"):
        if part in types and "steps" in (settings or {}) and part not in (settings or {}):
            members = values.get("members", usual.get("members", 0)) if part == "model_steps" else 0
            least = members if isinstance(members, int) else 0  # each member is fitted for a step
            values[part] = max(least, values["steps"] * usual[part] // usual["steps"])
    return algorithm(**values)


def parse(name: str, text: str, kind: Any) -> Any:
    """A setting's value from text: a number, a name, true or false, none, or numbers with commas between.

    Raises:
        InputError: if the text does not read as the kind, or the kind cannot be read from text.
    """
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        options = typing.get_args(kind)
        if type(None) in options and text.lower() == "none":
            return None
        kind = next(option for option in options if option is not type(None))
    many = typing.get_origin(kind) is tuple and typing.get_args(kind)[1:] == (...,)
    item_type = typing.get_args(kind)[0] if many else kind
    if item_type not in (bool, int, float, str) or (many and item_type not in (int, float)):
        raise InputError(f"setting {name} cannot be given as text: its kind is {kind}")
    try:
        if many:
            return tuple(item_type(part) for part in text.split(","))
        return {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        allowed = {bool: "true or false", int: "a whole number", float: "a number"}[item_type]
        if many:
            allowed = {int: "whole numbers with commas", float: "numbers with commas"}[item_type]
        raise InputError(f"setting {name} must be {allowed}, not '{text}'") from None


def configuration(algorithm: Algorithm) -> dict[str, Any]:
    """The settings as JSON-ready values."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(algorithm).items()}


def changed(algorithm: Algorithm) -> dict[str, str]:
    """The settings that differ from the defaults, as `parse` reads them."""
    settings = (
        (field.name, getattr(algorithm, field.name))
        for field in fields(algorithm)
        if getattr(algorithm, field.name) != field.default
    )
    return {name: ",".join(map(str, value)) if isinstance(value, tuple) else str(value) for name, value in settings}
