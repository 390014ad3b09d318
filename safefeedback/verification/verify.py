"""Runs all checks of a dataset."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from safefeedback.dataset.manifest import AnyManifest
from safefeedback.dataset.reading import open_dataset
from safefeedback.errors import InputError
from safefeedback.verification import dataset, files, label_sets, recordings
from safefeedback.verification.card import card_check
from safefeedback.verification.check import Check
from safefeedback.verification.manifests import load_dataset_manifest, load_label_sets
from safefeedback.verification.scalars import scalars_check

__all__ = ["Check", "verify"]


def verify(
    folder: Path,
    source: Path | None = None,
    advantages: Path | None = None,
    on_progress: Callable[[int, int | None, str], None] = lambda done, total, doing: None,
) -> list[Check]:
    """Checks a dataset's folder against its manifests; nothing is written, and no network is used.

    Args:
        folder: of the dataset.
        source: the file of the recordings; None looks for it on this machine, by its sha256.
        advantages: the file of advantages, for labels by the teacher "regret".
        on_progress: called with (done, total, what is being done).

    Returns:
        Every check, in order; it holds where there are no problems.

    Raises:
        InputError: if there is no dataset in the folder, or a file that was given cannot be read.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: give a dataset's folder, or a Hub repository user/name")
    if not (folder / "recipe.json").is_file():
        raise InputError(f"{folder} is not a dataset of safefeedback: it holds no recipe.json")
    advantage_files = {recordings.sha256(advantages): advantages} if advantages is not None else {}
    opened = open_dataset(folder)
    manifest, problems = load_dataset_manifest(opened)
    checks = [Check("manifest", tuple(problems), "recipe.json: structure, recipe, hashes")]
    if manifest is None:
        return checks  # the other checks need the manifest
    sets = load_label_sets(opened)
    usable = {name: made for name, (made, _) in sets.items() if made is not None}
    named: dict[str, AnyManifest] = {"": manifest}
    named |= {f"labels/{name}": made for name, made in usable.items()}
    count_files = _counter(on_progress, sum(len(made.files) for made in named.values()), "checking files")
    checks.append(files.files_check(folder, named, count_files))
    episodes, wrong, note = recordings.recordings(manifest, source)
    checks.append(Check("source", tuple(wrong), note))
    rows = 2 * sum(made.pairs for made in named.values()) + sum(made.pairs for made in usable.values() if made.by_people)
    compared = _counter(on_progress, rows, "comparing rows")
    stored, dataset_results = dataset.dataset_checks(opened, episodes, advantage_files, compared)
    checks += [*dataset_results, *([scalars_check(opened, stored)] if manifest.has_scalars else [])]
    for name, (label_set, problems) in sets.items():
        base = label_sets.LabelledDataset(opened, stored, episodes, advantage_files)
        checks.append(label_sets.label_set_check(base, name, label_set, problems, compared))
    return [*checks, card_check(folder, manifest, usable)]


def _counter(on_progress: Callable[[int, int | None, str], None], total: int, doing: str) -> Callable[[int], None]:
    """A callback that adds up its argument and reports the total."""
    done = 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        on_progress(done, max(done, total), doing)

    return advance
