"""The numbers that arXiv 2512.20173 printed, and where they do not agree with themselves (paper.json)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple


class PaperResult(NamedTuple):
    """Normalised reward and cost as printed in the paper."""

    reward: float
    cost: float


def paper_result(tables: Sequence[str], task: str, level: str, column: str | None) -> PaperResult | None:
    """The cell of the first of the tables that has it; None where none does."""
    results = (_paper()["tables"][table]["tasks"].get(task, {}).get(level, {}).get(column) for table in tables)
    return _first(results)


def paper_average(tables: Sequence[str], domain: str, column: str | None) -> PaperResult | None:
    """The average over a domain's tasks, as printed."""
    averages = (_paper()["tables"][table]["averages"].get(domain, {}).get(column) for table in tables)
    return _first(averages)


def footnotes(tables: Sequence[str]) -> list[str]:
    """What is known to be wrong with those tables."""
    return [note["text"] for note in _paper()["notes"] if set(note["tables"]) & set(tables)]


def _first(results: Any) -> PaperResult | None:
    return next((PaperResult(*pair) for pair in results if pair is not None and None not in pair), None)


@cache
def _paper() -> dict[str, Any]:
    return json.loads(Path(__file__).with_name("paper.json").read_text(encoding="utf-8"))
