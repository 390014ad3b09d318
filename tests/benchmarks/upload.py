"""What an upload of a new version sends, beside what the version holds, for several ways to cut the files into pages.

    python tests/benchmarks/upload.py [--task DroneCircle] [--pairs 3000] [--source recordings]

The Hub's own client (hf_xet) cuts files into chunks and uploads those that the store does not have. The store is a folder here,
new for each change: the first version goes up, then the changed one, and what the client then says it sent is printed.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import hf_xet
import numpy as np

from safefeedback import sources
from safefeedback.dataset import card, store
from safefeedback.dataset.label_sets import relabel
from safefeedback.feedback.recipe import Recipe, build
from safefeedback.tasks import find_task
from safefeedback.types import Episodes, Feedback

AS_WRITTEN = store._encoding


def pages() -> dict[str, Any]:
    """Ways to write tables, by name."""

    def changed(**choices: Any) -> Any:
        return lambda schema: {**AS_WRITTEN(schema), **choices}

    small = {"min_chunk_size": 256 << 10, "max_chunk_size": 1 << 20}
    return {
        "by rows": changed(use_content_defined_chunking=False, data_page_size=1 << 20),
        "as written": AS_WRITTEN,
        "256 KiB to 1 MiB": changed(use_content_defined_chunking=small),
    }


def versions(recipe: Recipe, episodes: Episodes) -> Iterator[tuple[str, Recipe, Feedback]]:
    """The first version and its changes: what, recipe, labelled pairs."""
    first = build(episodes, recipe)
    yield "first", recipe, first
    for name, changes in {
        "other noise": {"noise": 0.1, "preference_noise": 0.1},
        "a tenth more pairs": {"pairs": recipe.pairs * 11 // 10},
        "a test split": {"test_fraction": 0.1},
        "a filter": {"filters": ("drop-preferred-unsafe",)},
    }.items():
        yield name, replace(recipe, **changes), build(episodes, replace(recipe, **changes))
    for name, share in {"one pair gone": 0, "1 in 1,000 gone": 0.001, "1 in 100 gone": 0.01}.items():
        keep = np.random.default_rng(0).random(len(first)) >= share
        keep[len(first) // 10] = False
        yield name, recipe, first.take(keep)


def send(folders: list[Path], place: Path) -> tuple[int, int]:
    """The bytes of the last folder's tables, and how many of them were sent when the other folders had already been sent."""
    place.mkdir()
    session = hf_xet.XetSession()
    for folder in folders:
        commit = session.new_upload_commit(endpoint=f"local://{place}")
        for file in sorted(folder.rglob("*.parquet")):
            commit.start_upload_file(str(file))
        metrics = commit.wait_to_finish().dedup_metrics
    return metrics.total_bytes, metrics.xorb_bytes_uploaded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="DroneCircle")
    parser.add_argument("--pairs", type=int, default=3000)
    parser.add_argument("--source", default="recordings")
    given = parser.parse_args()
    recipe = Recipe(find_task(given.task), pairs=given.pairs)
    episodes = sources.load(given.source, recipe.task)
    with tempfile.TemporaryDirectory() as work:
        os.environ["HF_XET_CACHE"] = f"{work}/cache"
        for row, (name, encoding) in enumerate(pages().items()):
            store._encoding = encoding
            folders: dict[str, Path] = {}
            for index, (change, of, feedback) in enumerate(versions(recipe, episodes)):
                folders[change] = Path(work, f"{row}-{index}")
                folders[change].mkdir()
                store.write(folders[change], episodes, feedback, of, card.render)
            for index, (change, folder) in enumerate(folders.items()):
                before = [] if change == "first" else [folders["first"]]
                report(name, change, send([*before, folder], Path(work, f"store-{row}-{index}")))
            relabel(folders["other noise"], [{"cost_limit": 40.0}], "limit40")
            sets = folders["other noise"] / "labels"
            report(name, "a label set", send([folders["first"], sets], Path(work, f"store-{row}-labels")))


def report(name: str, change: str, sent: tuple[int, int]) -> None:
    total, new = sent
    print(f"{name:18} {change:20} {total / 1e6:8.2f} MB, sent {new / 1e6:8.3f} MB ({new / total:6.1%})", flush=True)


if __name__ == "__main__":
    main()
