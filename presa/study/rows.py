"""The results of a study's cells, as one table: a row for each run and episode."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from presa.study.cells import RUN_SCHEMA, cell_folder
from presa.study.grid import Cell
from safefeedback.errors import InputError
from safefeedback.files import replacing

SCHEMA = pa.schema([("column", pa.string()), ("level", pa.string()), *RUN_SCHEMA])


def collect(root: Path, cells: Sequence[Cell]) -> pa.Table:
    """The rows of all finished cells, in the order of the cells, with where each stands in the study's table."""
    tables = []
    for cell in cells:
        path = cell_folder(root, cell) / "rows.parquet"
        if path.is_file() and (path.parent / "result.json").is_file():
            try:
                rows = pq.read_table(path)
            except (OSError, pa.ArrowException):
                raise InputError(f"{path} is damaged: delete {path.parent}, and the same command does the cell again") from None
            place = [pa.array([value] * len(rows), pa.string()) for value in (cell.column, cell.level)]
            tables.append(pa.table([*place, *rows.columns], SCHEMA))
    return pa.concat_tables(tables) if tables else SCHEMA.empty_table()


def write_rows(root: Path, study: str, table: pa.Table) -> Path:
    """Writes <study>.parquet whole."""
    place = root / f"{study}.parquet"
    with replacing(place) as partial:  # jobs of an array end at the same time
        pq.write_table(table, partial, compression="zstd")
    return place
