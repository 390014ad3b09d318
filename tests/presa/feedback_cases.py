"""Small datasets, written by the toolkit itself, and small settings, for the tests of presa."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from running import run_cli

from safefeedback.dataset.build import build_dataset
from safefeedback.feedback.recipe import Recipe
from safefeedback.tasks import find_task

TINY = {"steps": 60, "bc_steps": 20, "batch_size": 8, "hidden": (16, 16), "warm_up_steps": 20, "learning_rate": 1e-2}

TINY_WORDS = [
    "--steps",
    60,
    "--bc-steps",
    20,
    "--set",
    "hidden=16,16",
    "--set",
    "batch_size=8",
    "--report-every",
    20,
    "--device",
    "cpu",
]


def write_dataset(folder: Path, recordings: Path, **changes: Any) -> Path:
    """60 pairs of 8 steps over BallCircle's dims, a quarter of them held out; a segment is safe if it costs nothing."""
    values = {"pairs": 60, "length": 8, "cost_limit": 20, "test_fraction": 0.25, **changes}
    return build_dataset(Recipe(task=find_task("BallCircle"), **values), str(recordings), folder)[0]


def set_column(folder: Path, name: str, values: list, split: str = "train") -> None:
    """Replaces a column of the published pairs in the real Parquet files."""
    (file,) = (folder / "pairs").glob(f"{split}-*.parquet")
    table = pq.read_table(file)
    column = table.schema.get_field_index(name)
    pq.write_table(table.set_column(column, name, pa.array(values, table.schema.field(name).type)), file)


def presa(*words: object, cwd: Path, fresh: bool = False, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs `presa` with its own cache; `fresh`: in its own process."""
    return run_cli(*words, cwd=cwd, env={"PRESA_CACHE": str(cwd / "cache"), **env}, program="presa", fresh=fresh)
