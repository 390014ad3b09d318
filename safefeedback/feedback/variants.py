"""Parses choices of the form NAME:SETTING=VALUE, such as `boltzmann:beta=2,gamma=0.9`.

A table names frozen dataclasses whose values are the defaults: `{"boltzmann": Teacher(beta=1.0), ...}`. What a recipe stores
is the text that names only the settings that differ from the table's, so a default in a table never changes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from safefeedback.errors import InputError


def parse(text: str, table: Mapping[str, Any], option: str) -> Any:
    """The variant that a text chooses, its settings replaced by those given.

    Args:
        text: "name" or "name:setting=value,...", several numbers as one value joined by slashes: "miss=0.1/0.2".
        table: name -> frozen dataclass.
        option: as which the text was given, for messages.

    Raises:
        InputError: if there is no such variant or setting, or the value cannot be one.
    """
    if not isinstance(text, str):  # a recipe.json may hold anything
        raise InputError(f"{option} must be a text, not {text}")
    name, _, rest = text.strip().partition(":")
    if name not in table:
        raise InputError(f"{option} has no '{name}': choose from {', '.join(table)}")
    chosen = table[name]
    kinds = {field.name: getattr(chosen, field.name) for field in fields(chosen)}
    settings: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or key not in kinds:
            allowed = ", ".join(kinds) or "no settings"
            raise InputError(f"{option} {name} takes settings as name=value, not '{part}': it has {allowed}")
        if key in settings:
            raise InputError(f"{option} {name} sets {key} twice")
        settings[key] = _value(value.strip(), kinds[key], f"{option} {name}: {key}")
    try:
        return replace(chosen, **settings)
    except InputError as error:
        raise InputError(f"{option} {name}: {error}") from None


def canonical(text: str, table: Mapping[str, Any], option: str) -> str:
    """The one text for a choice: settings in their order, those at the table's value left out.

    Raises:
        InputError: as `parse` does.
    """
    chosen, name = parse(text, table, option), text.strip().partition(":")[0]
    settings = [
        f"{field.name}={_text(getattr(chosen, field.name))}"
        for field in fields(chosen)
        if getattr(chosen, field.name) != getattr(table[name], field.name)
    ]
    return f"{name}:{','.join(settings)}" if settings else name


def describe(table: Mapping[str, Any]) -> str:
    """The variants of a table for a help text, each with its settings in brackets: those that differ from its class, where
    several names share one, or else all of them. No word is longer than a narrow column."""
    classes = [type(variant) for variant in table.values()]
    words = []
    for name, variant in table.items():
        shared = classes.count(type(variant)) > 1
        chosen = [field for field in fields(variant) if not (shared and getattr(variant, field.name) == field.default)]
        settings = ", ".join(f"{field.name}={_text(getattr(variant, field.name))}" for field in chosen)
        words.append(f"{name} ({settings})" if settings else name)
    return ", ".join(words)


def check_share(name: str, value: float) -> None:
    """Raises InputError unless the value lies in [0, 1]."""
    if not 0 <= value <= 1:
        raise InputError(f"{name} must lie in [0, 1], not {value}")


def _value(text: str, like: Any, where: str) -> Any:
    if isinstance(like, str):
        return text
    try:
        if isinstance(like, tuple):
            return tuple(_number(part) for part in text.split("/"))
        return int(text) if isinstance(like, int) else _number(text)
    except ValueError:
        allowed = (
            "numbers joined by /" if isinstance(like, tuple) else "a whole number" if isinstance(like, int) else "a number"
        )
        raise InputError(f"{where} must be {allowed}, not '{text}'") from None


def _number(text: str) -> float:
    value = float(text)
    if math.isnan(value):
        raise ValueError(text)
    return value


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return "/".join(map(_text, value))
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
