"""Writes cards/tasks/<Task>.md: the card of a dataset of each of the eight Bullet tasks, from the recordings that are shipped.

    python cards/tasks.py

What stands below the line in each file is written by hand, and kept.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from safefeedback import Recipe, build_dataset, find_task
from safefeedback.dataset.card import NOTES_MARKER, render
from safefeedback.dataset.manifest import Manifest

HERE = Path(__file__).parent / "tasks"
TASKS = ("BallRun", "CarRun", "DroneRun", "AntRun", "BallCircle", "CarCircle", "DroneCircle", "AntCircle")
PAIRS, NOISE = 500, 0.1


def card(task: str) -> str:
    """The card of a small dataset of a task, up to and including the line below which people write."""
    with tempfile.TemporaryDirectory() as folder:
        recipe = Recipe(find_task(task), pairs=PAIRS, noise=NOISE)
        _, manifest = build_dataset(recipe, "recordings", Path(folder) / "data")
    return render(Manifest.parse(manifest))


def main() -> None:
    HERE.mkdir(exist_ok=True)
    for task in TASKS:
        path = HERE / f"{task}.md"
        notes = path.read_text(encoding="utf-8").partition(NOTES_MARKER)[2] if path.is_file() else ""
        path.write_text(card(task) + notes, encoding="utf-8")


if __name__ == "__main__":
    main()
