"""Prints the lines of benchmark.toml of tasks whose shipped recordings are not those it names, or of the tasks given."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from pathlib import Path

from safefeedback import build_dataset, find_task
from safefeedback.dataset.benchmark import benchmark
from safefeedback.sources import recordings_file

frozen = benchmark()
names = sys.argv[1:] or [
    name
    for name, digest in frozen.recordings.items()
    if hashlib.sha256(Path(str(recordings_file(find_task(name)))).read_bytes()).hexdigest() != digest
]
for name in names:
    with tempfile.TemporaryDirectory() as folder:
        made = build_dataset(frozen.recipe(name), source="recordings", out=Path(folder) / name)[1]
    found = {"recordings": made["source"]["sha256"], "content": made["content"]["sha256"]}
    print(f"[v{frozen.version}.tasks.{name}]", *(f'{key} = "{value}"' for key, value in found.items()), "", sep="\n")
