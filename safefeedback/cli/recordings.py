"""The command `safefeedback recordings`; app.py registers it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from safefeedback.errors import InputError
from safefeedback.terminal import Json


def recordings(
    task: Annotated[str, typer.Option(help="A task whose recordings are shipped with this package, e.g. BallCircle.")],
    out: Annotated[Path | None, typer.Option(help="File to write (.hdf5). (default: named as DSRL names its)")] = None,
    as_json: Json = False,
) -> None:
    """Write the small recordings that are shipped here as a full file in DSRL's schema, for DSRL's loader, OSRL and others."""
    from safefeedback.recorder.bundle import export
    from safefeedback.recorder.plan import file_name
    from safefeedback.recorder.recording import read_recording, sums
    from safefeedback.sources import recordings_file
    from safefeedback.tasks import find_task, tasks

    found_task = find_task(task)
    source = recordings_file(found_task)
    if source is None:
        shipped = ", ".join(name for name, known in tasks().items() if recordings_file(known) is not None)
        raise InputError(f"no recordings of {found_task.name} are shipped; there are those of {shipped or 'no task'}")
    episodes, _ = read_recording(source)
    path = out or Path(file_name(found_task, sums(episodes)[1]))
    if path.exists():
        raise InputError(f"{path} exists already: give another --out")
    export(source, path)
    steps = sum(map(len, episodes))
    if as_json:
        print(json.dumps({"file": str(path), "task": found_task.name, "episodes": len(episodes), "steps": steps}))
        return
    print(f"{path}: {len(episodes)} episodes, {steps:,} steps of {found_task.name}, made by safefeedback: they are NOT DSRL's")
    print(f'load it with: gymnasium.make("{found_task.env_id}").unwrapped.get_dataset({str(path)!r})    (after `import dsrl`)')
