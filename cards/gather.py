"""Joins what `presa evaluate --json` printed into one Parquet file, and prints a line for each.

    python cards/gather.py OUT NAME=FILE...        such as cards/caps/rows.parquet 11800=BallCircle.json

NAME says how the policy was trained; the limit it was told stands in each row.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def main(out: str, words: list[str]) -> None:
    """Writes the rows."""
    rows = []
    for word in words:
        name, _, file = word.partition("=")
        told = json.loads(Path(file).read_text())
        rows += [{"training": name, **row} for row in told["rows"]]
        done = told["summary"]
        print(name, done["task"], done["cost_limit"], f"{done['normalized_return']:.2f} / {done['normalized_cost']:.2f}")
    pq.write_table(pa.Table.from_pylist(rows), out, compression="zstd")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
