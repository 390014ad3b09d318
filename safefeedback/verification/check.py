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
    """

    name: str
    problems: tuple[str, ...]
    note: str
