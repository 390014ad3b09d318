"""The experiments as studies.toml declares them: columns, and levels that change labels or data for every column."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from safefeedback.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Column:
    """One column of a study's table.

    Attributes:
        name: as it is printed.
        algorithm: as `presa train --algorithm`.
        set: settings of the algorithm, over the preset of the task's domain.
        data: fields of the dataset's recipe that differ.
        labels: fields of the labels' recipe that differ; see `safefeedback.feedback.recipe.Labelling`.
        pairs: how many of the pairs to train on; None for all.
        unlabelled: whether the steps of all recordings are cloned, without their rewards and costs.
        paper: the paper's name of the column; None for the same name, False where the paper has none.
    """

    name: str
    algorithm: str
    set: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, Any] = field(default_factory=dict)
    pairs: int | None = None
    unlabelled: bool = False
    paper: str | bool | None = None

    @property
    def paper_name(self) -> str | None:
        """The paper's name of it, None if it has none."""
        if self.paper is None:
            return self.name
        return self.paper if isinstance(self.paper, str) else None


@dataclass(frozen=True)
class Level:
    """A change for every column: of the labels, such as a share of noise, or of fields of the dataset's recipe."""

    name: str = ""
    labels: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Study:
    """A grid; `paper` names the paper's tables that hold the same cells, `sweep` what its columns or levels sweep over,
    `compare` the column that every other is tested against."""

    name: str
    title: str
    columns: tuple[Column, ...]
    levels: tuple[Level, ...] = (Level(),)
    paper: tuple[str, ...] = ()
    sweep: str | None = None
    compare: str | None = None


def find_study(name: str) -> Study:
    """The study of that name.

    Raises:
        InputError: if there is none.
    """
    if name not in studies():
        close = get_close_matches(name, studies(), n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise InputError(f"there is no study '{name}': {hint}choose from {', '.join(studies())}")
    return studies()[name]


@cache
def studies() -> dict[str, Study]:
    """Every study by name, in the order of studies.toml."""
    with Path(__file__).with_name("studies.toml").open("rb") as file:
        return {name: _study(name, entry) for name, entry in tomllib.load(file).items()}


def _study(name: str, entry: dict[str, Any]) -> Study:
    paper = entry.get("paper", ())
    return Study(
        name=name,
        title=entry["title"],
        columns=tuple(Column(**column) for column in entry["columns"]),
        levels=tuple(Level(**level) for level in entry.get("levels", [{}])),
        paper=(paper,) if isinstance(paper, str) else tuple(paper),
        sweep=entry.get("sweep"),
        compare=entry.get("compare"),
    )
