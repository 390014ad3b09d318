"""The algorithms by name, Table 4 as presets, and how a configuration is made from both."""

from __future__ import annotations

import types
import typing
from dataclasses import asdict, fields, is_dataclass
from difflib import get_close_matches
from typing import Any

from presa.algorithms.base import Training
from presa.algorithms.binary_alignment import BinaryAlignment
from presa.algorithms.cdt.cdt import CDT
from presa.algorithms.cloning import BCAll, BCSafe, BCSafeSeg
from presa.algorithms.preference import Preference
from presa.algorithms.presa import Presa
from presa.algorithms.safe_rlhf.safe_rlhf import SafeRLHF, SafeRLHFBinary
from presa.algorithms.safety import Safety
from presa.algorithms.trac import Trac, TracFeedback
from presa.algorithms.unified_comparison import UnifiedComparison
from presa.algorithms.weighted_bc.weighted_bc import WeightedBC
from safefeedback.errors import InputError
from safefeedback.objects import load_object

ALGORITHMS: dict[str, type[Training]] = {
    "presa": Presa,
    "preference": Preference,
    "safety": Safety,
    "binary-alignment": BinaryAlignment,
    "bc-safe-seg": BCSafeSeg,
    "unified-comparison": UnifiedComparison,
    "weighted-bc": WeightedBC,
    "trac-feedback": TracFeedback,
    "bc-all": BCAll,
    "bc-safe": BCSafe,
    "trac": Trac,
    "cdt": CDT,
    "safe-rlhf-cdt": SafeRLHF,
    "safe-rlhf-cdt-binary": SafeRLHFBinary,
}

# Table 4 of arXiv 2512.20173, and "anchored", a PreSa whose multiplier is fixed and which is held to the data (cards/presa.md);
# an algorithm takes the lines it has a setting for.
PRESETS: dict[str, dict[str, Any]] = {
    "paper-bullet": {
        "steps": 100_000,
        "bc_steps": 30_000,
        "batch_size": 32,
        "hidden": (256, 256),
        "dropout": 0.1,
        "learning_rate": 1e-4,
        "alpha": 0.2,
        "beta": 1.0,
        "discount": 1.0,
        "eta": 0.1,
        "delta": 0.95,
        "nu_learning_rate": 0.005,
    },
    "paper-safetygym": {
        "steps": 200_000,
        "bc_steps": 60_000,
        "batch_size": 96,
        "hidden": (256, 256),
        "dropout": 0.25,
        "learning_rate": 1e-4,
        "alpha": 0.2,
        "beta": 0.2,
        "discount": 1.0,
        "eta": 2.0,
        "delta": 0.9,
        "nu_learning_rate": 0.0005,
    },
    "anchored": {
        "steps": 9_000,
        "bc_steps": 5_000,
        "normalize_observations": True,
        "bc_learning_rate": 1e-3,
        "bc_schedule": "linear",
        "rate_after_bc": "flat",
        "eta": 1.0,
        "nu_initial": 2.0,
        "nu_learning_rate": 0.0,
        "anchor": 3.0,
    },
}


def find_algorithm(name: str) -> type[Training]:
    """The algorithm of that name, or the class `package.module:Class` of one's own, looked up from the working folder too.

    Raises:
        InputError: if there is none.
    """
    if name in ALGORITHMS:
        return ALGORITHMS[name]
    if ":" not in name:
        close = get_close_matches(name, ALGORITHMS, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise InputError(f"there is no algorithm '{name}': {hint}choose from {', '.join(ALGORITHMS)}, or give module:Class")
    found = load_object(name)
    if not (isinstance(found, type) and issubclass(found, Training) and is_dataclass(found)):
        raise InputError(f"{name} is not an algorithm: it must be a dataclass that extends presa.algorithms.base.Training")
    return found


def configure(name: str, preset: str | None = None, settings: dict[str, Any] | None = None) -> Training:
    """An algorithm with its configuration: defaults, then the preset's lines, then the settings given by name.

    Args:
        name: as in `find_algorithm`.
        preset: one of PRESETS, or None.
        settings: field -> value; a text is read as the field's type. Of `steps` that are given, cloning takes its usual share
            unless `bc_steps` is given too.

    Raises:
        InputError: if a name is unknown or a value is impossible.
    """
    algorithm = find_algorithm(name)
    known = typing.get_type_hints(algorithm)
    known = {field.name: known[field.name] for field in fields(algorithm)}
    if preset is not None and preset not in PRESETS:
        raise InputError(f"there is no preset '{preset}': choose from {', '.join(PRESETS)}")
    if preset is not None and not algorithm.takes_presets:
        raise InputError(f"--preset is Table 4, the settings of PreSa; {name} has its own paper's as defaults")
    values = {key: value for key, value in PRESETS.get(preset or "", {}).items() if key in known}
    for key, value in (settings or {}).items():
        if key not in known:
            close = get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(known)}"
            raise InputError(f"algorithm {name} has no setting '{key}': {hint}")
        if isinstance(value, str):
            value = parse(key, value, known[key])
        values[key] = tuple(value) if isinstance(value, list) else value  # as JSON has tuples
    if "bc_steps" in known and "steps" in (settings or {}) and "bc_steps" not in (settings or {}):
        usual = {field.name: field.default for field in fields(algorithm)} | PRESETS.get(preset or "", {})
        values["bc_steps"] = values["steps"] * usual["bc_steps"] // usual["steps"]
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
    one = typing.get_args(kind)[0] if many else kind
    if one not in (bool, int, float, str) or (many and one not in (int, float)):
        raise InputError(f"setting {name} cannot be given as text: its kind is {kind}")
    try:
        if many:
            return tuple(one(part) for part in text.split(","))
        return {"true": True, "false": False}[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        wanted = {bool: "true or false", int: "a whole number", float: "a number"}[one]
        if many:
            wanted = {int: "whole numbers with commas", float: "numbers with commas"}[one]
        raise InputError(f"setting {name} must be {wanted}, not '{text}'") from None


def configuration(algorithm: Training) -> dict[str, Any]:
    """The settings as JSON-ready values."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(algorithm).items()}


def changed(algorithm: Training) -> dict[str, str]:
    """The settings that differ from the defaults, as `parse` reads them."""
    settings = (
        (field.name, getattr(algorithm, field.name))
        for field in fields(algorithm)
        if getattr(algorithm, field.name) != field.default
    )
    return {name: ",".join(map(str, value)) if isinstance(value, tuple) else str(value) for name, value in settings}
