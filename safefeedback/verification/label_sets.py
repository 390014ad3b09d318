"""Verifies the label sets of a dataset by recomputing them from the dataset's rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from safefeedback.dataset.answers import Answers, label_by_answers
from safefeedback.dataset.label_sets import label_again
from safefeedback.dataset.manifest import LabelSetManifest
from safefeedback.dataset.reading import Folder
from safefeedback.dataset.tables import label_tables
from safefeedback.errors import InputError
from safefeedback.types import Episodes, Feedback
from safefeedback.verification.check import Check
from safefeedback.verification.labels import StoredLabels, check_labels, read_stored
from safefeedback.verification.recordings import with_advantages
from safefeedback.verification.tables import schemas


@dataclass(frozen=True)
class LabelledDataset:
    """The dataset that a label set belongs to, and what its rows can be computed from.

    Attributes:
        folder: where it is.
        stored: its rows, None if they cannot be read.
        episodes: its recordings, if they are at hand.
        advantages: the file of advantages that was given, by its sha256.
    """

    folder: Folder
    stored: Feedback | None
    episodes: Episodes | None
    advantages: dict[str, Path]


def label_set_check(
    base: LabelledDataset, name: str, manifest: LabelSetManifest | None, problems: list[str], advance: Callable[[int], None]
) -> Check:
    """Checks one label set, of whose manifest some problems are known; `advance` is called with the number of rows compared."""
    if manifest is None or base.stored is None:
        lost = ["the dataset's own rows cannot be read"] if manifest is not None else []
        return Check(f"labels/{name}", (*problems, *lost), "its recipe.json")
    try:
        not_recomputed, *recomputed = _find_problems(base, name, manifest, advance)
    except (ValueError, OSError, pa.ArrowException) as error:
        return Check(f"labels/{name}", (*problems, str(error).splitlines()[0]), "its tables")
    wrong = [*problems, *(problem for kind in recomputed for problem in kind)]
    note = f"labels recomputed; {not_recomputed}" if not_recomputed else "every label, flip, mark and statistic made again"
    return Check(f"labels/{name}", tuple(wrong), note)


def _find_problems(
    base: LabelledDataset, name: str, manifest: LabelSetManifest, advance: Callable[[int], None]
) -> tuple[str, list[str], list[str], list[str], list[str]]:
    """Why not everything could be recomputed, and the problems of rows, tables, content and statistics."""
    folder, rows = base.folder.path / "labels" / name, base.stored
    assert rows is not None
    answers, labelling = _answers(folder, manifest) if manifest.by_people else None, manifest.labelling
    episodes, not_recomputed = with_advantages(base.episodes, labelling, base.advantages)

    def recompute() -> Feedback:
        if answers is not None and manifest.answers is not None:
            return label_by_answers(rows, answers, labelling, manifest.answers.consensus, base.folder.manifest)
        return label_again(rows, labelling, base.folder.manifest, episodes)

    stored, unreadable = read_stored(base.folder, name)
    tables = label_tables(answers.table() if answers is not None else None)
    claim = StoredLabels(
        folder=folder,
        manifest=manifest,
        base=base.folder.manifest,
        stored=stored,
        drawn=len(rows),
        columns=schemas(tables, labelling, rows.pairs.length),
        tables=tables,
        recompute=recompute,
        not_recomputed=not_recomputed,
    )
    return not_recomputed, unreadable, *check_labels(claim, advance)


def _answers(folder: Path, manifest: LabelSetManifest) -> Answers:
    """The answers that are stored with a label set."""
    names = sorted(name for name in manifest.files if name.startswith("answers/"))
    if not names:
        raise InputError("there are no answers")
    table = pa.concat_tables([pq.read_table(folder / name) for name in names])
    try:
        return Answers.of_table(table)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"its answers are invalid: {error}") from None
