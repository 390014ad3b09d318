"""The datasets and label sets that a study's cells learn from: made once, found again by their folder's name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from presa.study.grid import Cell
from safefeedback.dataset.build import build_dataset
from safefeedback.dataset.label_sets import relabel, set_name
from safefeedback.errors import InputError
from safefeedback.feedback.recipe import Labelling, Recipe
from safefeedback.tasks import find_task

SEED = 0  # of every dataset


def dataset_folder(root: Path, cell: Cell) -> Path:
    """Where a cell's dataset is, below the study's folder."""
    words = [cell.task, *(f"{name}{value}" for name, value in sorted(cell.data.items()))]
    return root / "datasets" / re.sub(r"[^\w.-]", "-", "-".join(words))


def label_set_name(cell: Cell, cost_limit: float) -> str | None:
    """The name of the labels of a cell at one limit; None for the published ones."""
    labelling = _labelling(cell, cost_limit)
    return None if labelling == _labelling(cell) else set_name(labelling, SEED)


def _labelling(cell: Cell, cost_limit: float | None = None) -> Labelling:
    """The labels at a limit, with the cell's changes; without a limit, the published labels."""
    task = find_task(cell.task)
    if cost_limit is None:
        return Labelling(task, seed=SEED)
    return Labelling.from_dict({**Labelling(task, seed=SEED).to_dict(), "cost_limit": cost_limit, **cell.labels}, task)


def prepare(root: Path, cells: Sequence[Cell], on_progress: Callable[[int, int, str], None]) -> dict[str, str]:
    """Builds what is missing; what cannot be built does not stop the rest.

    Args:
        root: the study's folder.
        cells: all of them.
        on_progress: called with (datasets done, in all, the present one).

    Returns:
        Why cells have no data, by their hash.
    """
    failures: dict[str, str] = {}
    needed: dict[Path, list[Cell]] = {}
    for cell in cells:
        needed.setdefault(dataset_folder(root, cell), []).append(cell)
    for done, (folder, users) in enumerate(needed.items()):
        on_progress(done, len(needed), f"dataset {folder.name}")
        try:
            if not folder.is_dir():
                recipe = Recipe(find_task(users[0].task), seed=SEED, **users[0].data)
                build_dataset(recipe, users[0].source, folder)
        except InputError as error:
            failures |= {cell.hash: f"its dataset: {error}" for cell in users}
            continue
        missing: dict[str, tuple[dict[str, Any], list[Cell]]] = {}  # label sets: their choices, and who needs them
        for cell in users:
            for limit in cell.trained_limits:
                if (name := label_set_name(cell, limit)) is not None and not (folder / "labels" / name).is_dir():
                    missing.setdefault(name, ({"cost_limit": limit, **cell.labels}, []))[1].append(cell)
        for name, (choice, needing) in missing.items():
            try:
                relabel(folder, [choice])
            except InputError as error:
                failures |= {cell.hash: f"its labels {name}: {error}" for cell in needing}
    on_progress(len(needed), len(needed), "datasets")
    return failures
