"""Verifies the rows of a dataset against the recordings and the recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from safefeedback.dataset.reading import Folder
from safefeedback.dataset.tables import LIGHT_BYTES, Table, labels_table, oracle_table, tables
from safefeedback.feedback.recipe import build, label
from safefeedback.types import Episodes, Feedback
from safefeedback.verification.check import Check
from safefeedback.verification.labels import StoredLabels, check_labels, read_stored
from safefeedback.verification.recordings import with_advantages
from safefeedback.verification.rows import row_problems
from safefeedback.verification.tables import dataset_schemas


def dataset_checks(
    folder: Folder,
    episodes: Episodes | None,
    advantages: dict[str, Path],
    advance: Callable[[int], None],
) -> tuple[Feedback | None, list[Check]]:
    """Checks the tables `pairs` and `oracle`.

    Args:
        folder: the dataset.
        episodes: the recordings, if they are at hand.
        advantages: the file of advantages that was given, by its sha256.
        advance: called with the number of rows compared.

    Returns:
        The rows as they are stored, None if they cannot be read, and the checks.
    """
    manifest = folder.manifest
    recipe, source = manifest.recipe, manifest.source_entry
    stored, rows = read_stored(folder, None)
    if stored is not None:
        rows += row_problems(stored, manifest, episodes)
    episodes, not_recomputed = with_advantages(episodes, recipe, advantages)
    if episodes is None and recipe.filters and not not_recomputed:
        not_recomputed = "noise was not, because filters removed pairs and the recordings are not at hand"

    def recompute() -> Feedback:
        if episodes is not None:
            return build(episodes, recipe, stored.pairs if recipe.pairs_from and stored is not None else None)
        assert stored is not None
        test = int(stored.pairs.test.sum())
        drawn = {"stage": "sample", "sampler": recipe.sampler, "pairs": recipe.pairs, "pairs_test": test}
        if recipe.coverage != "all":
            sampling = next(entry for entry in manifest.history if entry["stage"] == "sample")  # only the recordings allow more
            drawn |= {"coverage": recipe.coverage, "episodes_left_out": sampling.get("episodes_left_out")}
        longest, done = manifest.longest_episode, (source, drawn)
        return label(stored.pairs, stored.returns, stored.costs, recipe, longest, history=done)

    light: dict[str, tuple[Table, int]] = {"pairs": (labels_table, LIGHT_BYTES), "oracle": (oracle_table, LIGHT_BYTES)}
    windows = episodes is not None and not (not_recomputed and rows)  # a window that is not in the recordings cannot be cut out
    claim = StoredLabels(
        folder=folder.path,
        manifest=manifest,
        base=manifest,
        stored=stored,
        drawn=recipe.pairs,
        columns=dataset_schemas(recipe, manifest.has_episode_lengths),
        tables=tables(episodes, recipe, manifest.has_episode_lengths) if episodes is not None and windows else light,
        recompute=recompute if stored is not None or (episodes is not None and not recipe.pairs_from) else None,
        not_recomputed=not_recomputed,
    )
    problems, differences, numbers = check_labels(claim, advance)
    labels = f"labels recomputed; {not_recomputed}" if not_recomputed else "every label, flip and mark made again"
    again = "every window bit for bit, " if windows else ""
    again += "which pairs they are taken from the rows, as a file gave them, " if recipe.pairs_from else ""
    return stored, [
        Check("tables", tuple(problems), "columns, number of rows, their order, content hash"),
        Check("rows", tuple(rows), "pairs as drawn, none lost or twice; windows within episodes; no episode in two splits"),
        Check("content", tuple(differences), f"{again}{labels}"),
        Check("statistics", tuple(numbers), "statistics and history"),
    ]
