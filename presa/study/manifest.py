"""The folder of studies: its datasets and cells are shared by every study in it.

studies.json         which recordings: DSRL's or our own, never both
<study>.json         what was requested, and its cells
<study>.parquet      what was found so far
<study>/             the report
datasets/ cells/ cache/
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from presa.files import write_json
from presa.study.grid import Cell, Scope
from presa.study.studies import Study, find_study, studies
from safefeedback.errors import InputError, command_line
from safefeedback.files import is_system_file

FORMAT_VERSION = 1

STUDIES_FILE = "studies.json"


def open_root(root: Path, source: str) -> None:
    """Makes the folder, or finds studies of the same recordings in it.

    Raises:
        InputError: if something else is there.
    """
    path = root / STUDIES_FILE
    expected = {"format_version": FORMAT_VERSION, "source": source}
    if path.is_file():
        if (stored := _read(path)) != expected:
            raise InputError(f"{root} holds studies of source {stored.get('source')}, not {source}: choose another --out")
        return
    if root.exists() and (
        not root.is_dir() or any(not path.name.startswith(".") and not is_system_file(path.name) for path in root.iterdir())
    ):
        raise InputError(f"{root} exists and is not a folder of studies: choose another --out")
    try:
        root.mkdir(parents=True, exist_ok=True)
        write_json(path, expected)  # first: a folder with anything in it is known as one of studies
        (root / "cells").mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {root}: {error.strerror}") from None


def write_study(root: Path, study: Study, scope: Scope, cells: Sequence[Cell]) -> bool:
    """Records what is requested; returns whether it replaces another scope, whose cells are kept."""
    path = root / f"{study.name}.json"
    before = {**asdict(Scope((), "")), **_read(path).get("scope", {})} if path.is_file() else asdict(scope)
    replaces = json.loads(json.dumps(before)) != json.loads(json.dumps(asdict(scope)))
    write_json(path, {"study": study.name, "scope": asdict(scope), "cells": [asdict(cell) for cell in cells]})
    return replaces


def read_study(root: Path, name: str) -> tuple[Study, Scope, list[Cell]]:
    """A study that was asked for in that folder.

    Raises:
        InputError: if it was not.
    """
    path = root / f"{name}.json"
    if not path.is_file():
        known = studies_in(root)
        holding = f"it holds {', '.join(known)}" if known else "it holds none"
        make = command_line("presa", "study", name, "--source", source_of(root), "--out", root)
        raise InputError(f"{root} holds no study {name} ({holding}): `{make}` makes it")
    stored = _read(path)
    try:
        return find_study(name), Scope(**_tuples(stored["scope"])), [cell_from(cell) for cell in stored["cells"]]
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} is not what `presa study` wrote ({error}): run the study again") from None


def cell_from(fields: dict[str, Any]) -> Cell:
    """A cell from its fields as JSON has them."""
    return Cell(**_tuples(fields))


def studies_in(root: Path) -> list[str]:
    """Names of the studies in a folder, in the order of studies.toml.

    Raises:
        InputError: if it is not a folder of studies.
    """
    if not (root / STUDIES_FILE).is_file():
        raise InputError(f"{root} is not a folder of `presa study`")
    return [name for name in studies() if (root / f"{name}.json").is_file()]


def source_of(root: Path) -> str:
    """Which recordings the studies of a folder are about: "dsrl" or "recordings"."""
    return _read(root / STUDIES_FILE)["source"]


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a dataclass of ours as JSON has them, with tuples for lists."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
