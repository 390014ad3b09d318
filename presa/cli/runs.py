"""The command `presa runs`; app.py registers it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from safefeedback.terminal import Json

UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def runs(
    folders: Annotated[list[Path], typer.Argument(help="Folders of runs, or folders that hold runs.")],
    as_json: Json = False,
) -> None:
    """List runs: the progress and the result of each, and when it last changed."""
    from presa.runs.listing import list_runs
    from safefeedback.cli.output import print_table

    rows = list_runs(folders)
    if as_json:
        print(json.dumps(rows))
        return
    shown = []
    for row in rows:
        scores = [row["normalized_return"], row["normalized_cost"]]  # no score of the return where a task has no reference
        result = " / ".join("-" if one is None else f"{one:.2f}" for one in scores) if scores != [None, None] else "-"
        known = row["algorithm"] is not None
        description = f"{row['algorithm']}, {row['task']}, limit {row['cost_limit']:g}, seed {row['seed']}" if known else "-"
        safe = "" if row["safe"] is None else "safe" if row["safe"] else "UNSAFE"
        shown.append((row["run"], description, row["state"], result, safe, age(row["age"])))
    print_table(("run", "what", "state", "reward / cost", "", "age"), shown)


def age(seconds: float) -> str:
    """12 s, 5 min, 3 h, 2 d"""
    size, unit = next((size, unit) for size, unit in UNITS if seconds >= size or size == 1)
    return f"{int(seconds // size)} {unit}"
