"""Prints what must be the same on any machine, as JSON. FOLDER, a new folder, receives the datasets.

A content hash for a recipe of each sampler, teacher and annotator, for label sets over one of them, and the numbers that
`inspect` says; `verify` must find nothing wrong. tests/test_processors.py and tests/benchmarks/processors.py compare it between
processes.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from safefeedback import Recipe, build_dataset, find_task
from safefeedback.dataset.label_sets import relabel
from safefeedback.feedback.annotators import ANNOTATORS
from safefeedback.feedback.sampling import SAMPLERS
from safefeedback.feedback.teachers import TEACHERS
from safefeedback.files import file_sha256
from safefeedback.inspection.dataset import inspect_dataset
from safefeedback.sources import recordings_file
from safefeedback.verification.verify import verify

TASK = "BallRun"
PANEL = "panel:miss=0.1/0.2/0.3,false_alarm=0.1/0.2/0.3,consensus=dawid-skene"


def contents(folder: Path) -> dict[str, str]:
    """The hash of everything, by its name."""
    folder.mkdir()
    task = find_task(TASK)
    source = folder / "recordings.hdf5"
    with h5py.File(recordings_file(task), "r") as shipped:
        arrays = {name: shipped[name][:] for name in shipped}
    ends = np.flatnonzero(arrays["terminals"] | arrays["timeouts"])
    arrays["observations"][ends[:-1] + 1] = 0.0  # episodes with the same beginning, for the sampler same-start
    with h5py.File(source, "w") as file:
        for name, values in arrays.items():
            file[name] = values
    advantages = folder / "advantages.hdf5"
    with h5py.File(advantages, "w") as file:
        file["advantages"] = np.arange(len(arrays["rewards"])) * 7919 % 101 / 50 - 1
    judged = {"teacher": "regret", "advantages": file_sha256(advantages)}
    choices: dict[str, dict[str, Any]] = {f"sampler {name}": {"sampler": name} for name in SAMPLERS}
    choices |= {f"teacher {name}": judged if name == "regret" else {"teacher": name} for name in TEACHERS}
    choices |= {f"annotator {name}": {"safety_noise": name} for name in [*ANNOTATORS, PANEL]}
    choices["noise"] = {"noise": 0.2, "preference_noise": 0.1, "test_fraction": 0.25, "filters": ("drop-both-unsafe",)}
    found = {}
    for index, (name, choice) in enumerate(choices.items()):
        recipe = Recipe(task, pairs=60, length=16, cost_limit=20, seed=index, **choice)
        given = advantages if choice is judged else None
        out, manifest = build_dataset(recipe, str(source), folder / str(index), advantages=given)
        found[name] = manifest["content"]["sha256"]
    sets = relabel(out, [{"noise": 0.3}, {"cost_limit": 10.0, "teacher": "boltzmann:beta=2"}, {"safety_noise": PANEL}])
    found |= {f"label set {index}": made.content_sha256 for index, made in enumerate(sets)}
    problems = [problem for check in verify(out, source) for problem in check.problems]
    assert not problems, problems
    numbers = inspect_dataset(out)[0] | {"dataset": ""}
    return {**found, "inspect": hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()}


if __name__ == "__main__":
    print(json.dumps(contents(Path(sys.argv[1]))))
