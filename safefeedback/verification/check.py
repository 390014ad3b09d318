"""The result of a check."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One check of a dataset.

    Attributes:
        name: what was checked: "manifest", "files", "tables", "rows", "labels", "source", "card" or "labels/<set>".
        problems: what is wrong and where, a sentence each; empty if it holds.
        note: what was compared, or why something was not.
        differs: whether the note tells of a difference that is no problem.
    """

    name: str
    problems: tuple[str, ...]
    note: str
    differs: bool = False
