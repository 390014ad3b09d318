"""Segments as text, in the formats of TRL, Hugging Face's trainers of language models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from safefeedback.dataset.export.interface import ExportedPairs, ExportResult, TextOptions
from safefeedback.dataset.parquet import SIDES

Row = dict[str, Any]
ROWS = 1000  # written at once
CHARACTERS_A_TOKEN = 2.0  # of digits, roughly: tokenizers cut numbers into pieces of one to three digits
README = """
`{file}` has the columns {columns}, which TRL documents as its {kind} format.

```python
import datasets

dataset = datasets.load_dataset("{reader}", data_files="{file}", split="train")
```

A segment is text, step by step, observation and action of a step together, so that a text that is cut off is still a segment:

    [[observation], [action]], [[observation], [action]], ...

as JSON, with {digits}{stride}. It is about {characters:,} characters long, roughly {tokens:,} tokens: set the trainer's
`max_length` (TRL's default is 1,024) above that, or export fewer digits (`--digits 3`) and steps (`--stride 4`).
"""


def write_trl_paired(folder: Path, work: ExportedPairs) -> ExportResult:
    """A row per pair: the better segment is chosen, the other one rejected."""
    better = (work.data.preference > 0.5).astype(int)
    template = _Template(work)
    prompt = _prompt(work)
    rows = (
        {"prompt": prompt, "chosen": template.write(row, better[row]), "rejected": template.write(row, 1 - better[row])}
        for row in range(len(work.data))
    )
    return _write(folder, work, rows, "preference", ("prompt", "chosen", "rejected"), template)


def write_trl_unpaired(folder: Path, work: ExportedPairs) -> ExportResult:
    """A row per segment whose safety is known: true is safe."""
    safe = work.data.safe
    template = _Template(work)
    prompt = _prompt(work)
    rows = (
        {"prompt": prompt, "completion": template.write(row, side), "label": bool(safe[row, side])}
        for row in range(len(work.data))
        for side in SIDES
        if not np.isnan(safe[row, side])
    )
    answered = safe[~np.isnan(safe)]
    only = (
        f"every label is {bool(answered[0])}: a trainer of two classes has nothing to tell apart"
        if np.ptp(answered) == 0
        else None
    )
    return _write(folder, work, rows, "unpaired preference", ("prompt", "completion", "label"), template, only)


class _Template:
    """Writes segments out: a text with a place for each number, filled from the observations and actions of its steps."""

    def __init__(self, work: ExportedPairs) -> None:
        self.data, self.text = work.data, work.text
        self.steps = range(0, work.length, work.text.stride)
        number = "%s" if work.text.digits is None else f"%.{work.text.digits}g"
        parts = (", ".join([number] * values.shape[3]) for values in (self.data.observations, self.data.actions))
        step = "[" + ", ".join(f"[{part}]" for part in parts) + "]"
        self.whole = "[" + ", ".join([step] * len(self.steps)) + "]"

    def write(self, row: int, side: int) -> str:
        """A segment, float32; without `digits` its numbers read back are the same to the bit."""
        values = np.concatenate(
            [part[row, side, :: self.text.stride] for part in (self.data.observations, self.data.actions)], axis=1
        ).reshape(-1)
        return self.whole % tuple((values.astype(str) if self.text.digits is None else values).tolist())


def _prompt(work: ExportedPairs) -> str:
    return f"{work.task.name}, {work.length} steps" + (f", every {work.text.stride}th" if work.text.stride > 1 else "")


def _write(
    folder: Path,
    work: ExportedPairs,
    rows: Iterator[Row],
    kind: str,
    columns: tuple[str, ...],
    template: _Template,
    warning: str | None = None,
) -> ExportResult:
    text = work.text
    file = f"{work.split}.{'jsonl' if text.jsonl else 'parquet'}"
    count = (_write_lines if text.jsonl else _write_parquet)(folder / file, rows)
    characters = len(template.write(0, 0))
    tokens = round(characters / CHARACTERS_A_TOKEN, -2 if characters > 1000 else -1)
    readme = README.format(
        file=file,
        columns=", ".join(f"`{name}`" for name in columns),
        kind=kind,
        reader="json" if text.jsonl else "parquet",
        digits="numbers that read back as the same float32" if text.digits is None else f"{text.digits} significant digits",
        stride=f", one step in {text.stride}" if text.stride > 1 else "",
        characters=characters,
        tokens=int(tokens),
    )
    return ExportResult(count, readme, tuple(filter(None, (_length_note(text, characters, int(tokens)), warning))))


def _length_note(text: TextOptions, characters: int, tokens: int) -> str:
    shorter = "" if text.digits and text.stride > 1 else "; --digits and --stride make them shorter"
    return f"a segment is about {characters:,} characters, roughly {tokens:,} tokens (TRL keeps 1,024 by default){shorter}"


def _write_parquet(path: Path, rows: Iterator[Row]) -> int:
    count, writer = 0, None
    while batch := list(islice(rows, ROWS)):
        table = pa.Table.from_pylist(batch)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
        count += len(batch)
    if writer is not None:
        writer.close()
    return count


def _write_lines(path: Path, rows: Iterator[Row]) -> int:
    count = 0
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")
            count += 1
    return count
