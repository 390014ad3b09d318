"""Gathers what cards/weighted_bc.md tells of several studies into rows.parquet, and prints their means.

    python cards/weighted_bc/gather.py ROOT

ROOT holds answers/, errors/ and coverage/, folders of `presa study`, and limits/TASK-LIMIT.json and reachable/TASK.json, which
`presa evaluate --json` printed. Of a study that ROOT does not hold, the rows that are there stay.

Beside each coverage stands the highest return of an episode that keeps the limit among those that are left.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from safefeedback import find_task, sources
from safefeedback.feedback.coverage import COVERAGE, kept_episodes
from safefeedback.feedback.variants import parse
from safefeedback.randomness import stream

HERE = Path(__file__).parent
KEYS = ("study", "task", "column", "level", "cost_limit", "seed")


def rows_below(root: Path) -> list[dict[str, Any]]:
    """A row for each episode."""
    known = pq.read_table(HERE / "rows.parquet").to_pylist() if (HERE / "rows.parquet").is_file() else []
    rows = [row for row in known if not (root / row["study"]).is_dir()]
    for study in ("answers", "errors", "coverage"):
        for path in sorted((root / study / "cells").glob("*/rows.parquet")):
            cell = json.loads((path.parent / "cell.json").read_text())
            tags = {"study": study, "column": cell["column"], "level": cell["level"], "coverage": cell["data"].get("coverage")}
            rows += [{**row, **tags} for row in pq.read_table(path).to_pylist()]
    for study in ("limits", "reachable"):
        for path in sorted((root / study).glob("*.json")):
            tags = {"study": study, "column": study, "level": "", "coverage": None}
            rows += [{**row, **tags} for row in json.loads(path.read_text())["rows"]]
    return rows


def best_left(task_name: str, limit: float, coverage: str) -> float:
    """The highest normalised return of an episode that keeps the limit, among those a coverage leaves."""
    task = find_task(task_name)
    episodes = sources.load("recordings", task)
    kept = kept_episodes(episodes, parse(coverage, COVERAGE, "--coverage"), limit, stream(0, "coverage"))
    returns, costs = (np.add.reduceat(values, episodes.bounds[:-1]) for values in (episodes.rewards, episodes.costs))
    assert task.reference_returns is not None
    low, high = task.reference_returns
    return float((returns[kept & (costs <= limit)].max() - low) / (high - low))


def main(root: Path) -> None:
    """Writes the rows and prints a line for each cell."""
    rows = rows_below(root)
    names = (*KEYS, "coverage", "episode", "return", "cost", "length", "normalized_return", "normalized_cost")
    pq.write_table(pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows]), HERE / "rows.parquet",
                   compression="zstd")  # fmt: skip
    cells = defaultdict(list)
    for row in rows:
        cells[(*(row[key] for key in KEYS), row["coverage"])].append(row)
    for (*place, coverage), some in cells.items():
        reward, cost = (np.mean([row[name] for row in some]) for name in ("normalized_return", "normalized_cost"))
        best = f"  best left {best_left(place[1], place[4], coverage or 'all'):.3f}" if place[0] == "coverage" else ""
        print(*place, f" {reward:.3f} / {cost:.3f}{best}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    given = parser.parse_args()
    if not given.root.is_dir():
        parser.error(f"there is no folder {given.root}")
    main(given.root)
