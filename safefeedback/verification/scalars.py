"""Verifies the table `scalars` against the stored labels and truth."""

from __future__ import annotations

import pyarrow as pa

from safefeedback.dataset.parquet import open_parquet
from safefeedback.dataset.reading import Folder
from safefeedback.dataset.store import by_split
from safefeedback.dataset.structure import SCALARS
from safefeedback.dataset.tables import scalars_table
from safefeedback.errors import InputError
from safefeedback.types import Feedback
from safefeedback.verification.check import Check


def scalars_check(folder: Folder, stored: Feedback | None) -> Check:
    """Compares the table with the one that the rows give.

    Args:
        folder: a dataset that has the table.
        stored: its rows, None if they cannot be read.
    """
    if stored is None:
        return Check("scalars", (), "not compared, since the rows cannot be read")
    problems = []
    for split, rows in by_split(stored).items():
        try:
            table = pa.concat_tables(open_parquet(file).read() for file in folder.files(SCALARS, split))
        except (InputError, pa.ArrowException, OSError) as error:
            problems.append(f"{SCALARS}/{split} cannot be read: {str(error).splitlines()[0]}")
            continue
        expected = scalars_table(rows)
        if not table.schema.remove_metadata().equals(expected.schema) or len(table) != len(expected):
            problems.append(f"{SCALARS}/{split} has other columns or another number of rows than the labels and the truth give")
            continue
        different = [name for name in expected.column_names if not table[name].equals(expected[name])]
        problems += [f"{SCALARS}/{split}: {name} is not what the labels and the truth give" for name in different]
    return Check("scalars", tuple(problems), "made again from the labels and the truth")
