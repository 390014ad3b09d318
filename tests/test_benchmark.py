"""The frozen benchmark: its recipes give the recorded content hashes, and its splits share no episode."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from safefeedback import InputError, build_dataset, find_task, read
from safefeedback.dataset.benchmark import benchmark
from safefeedback.sources import recordings_file


@pytest.mark.parametrize("task", ["BallRun", "CarRun"])
def test_its_recipes_give_what_is_written_down(task: str, tmp_path: Path) -> None:
    frozen = benchmark(1)
    folder, manifest = build_dataset(frozen.recipe(task), source="recordings", out=tmp_path / task)
    assert manifest["content"]["sha256"] == frozen.content[task]
    assert manifest["source"]["sha256"] == frozen.recordings[task]
    train, test = read(folder), read(folder, split="test")
    assert (len(train), len(test)) == (9000, 1000)
    assert not set(np.unique(train.episode)) & set(np.unique(test.episode))


def test_every_task_has_shipped_recordings_and_a_simulator_to_be_judged_in() -> None:
    frozen = benchmark()
    assert len(frozen.content) >= 12 and frozen.reporting_seed not in frozen.development_seeds
    for name in frozen.content:
        assert recordings_file(find_task(name)) is not None and len(find_task(name).cost_limits) == 3
        assert frozen.command(name).startswith(f"safefeedback build --task {name} --source recordings --pairs 10000")
    with pytest.raises(InputError, match="no version 9"):
        benchmark(9)
    with pytest.raises(InputError, match="has no task 'Maze'"):
        frozen.recipe("Maze")


def test_the_recordings_are_those_that_are_shipped() -> None:
    """Other recordings are a new version; until the first is released, `.ci/freeze_benchmark.py` prints its lines."""
    for name, digest in benchmark().recordings.items():
        assert hashlib.sha256(Path(str(recordings_file(find_task(name)))).read_bytes()).hexdigest() == digest, name
