"""Label sets: more labels over a dataset's pairs, without copying a segment.

The pairs of the dataset are labelled again, from the returns and costs in its oracle. Choices that are not given are those of
the dataset, except that no filter is applied unless it is given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from safefeedback import sources
from safefeedback.dataset import card, store
from safefeedback.dataset.manifest import LabelSetManifest, Manifest
from safefeedback.dataset.reading import Folder, open_dataset
from safefeedback.errors import InputError
from safefeedback.feedback.recipe import Labelling, label
from safefeedback.files import file_sha256, new_folder
from safefeedback.types import Episodes, Feedback

LONGEST_NAME = 80
RESERVED = ("pairs", "oracle", "scalars", "default", "all")


def relabel(
    folder: Path,
    choices: Sequence[dict[str, Any]],
    name: str | None = None,
    source: Path | None = None,
    advantages: Path | None = None,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[LabelSetManifest]:
    """Adds a label set for each of several choices.

    Args:
        folder: of the dataset.
        choices: for each set the fields of `Labelling` that differ from the dataset's; filters are only those given here.
        name: of a single set; None names each after its choices.
        source: the recordings, for teachers who score single steps; None looks for them on this machine.
        advantages: file of advantages for the teacher "regret".
        overwrite: whether label sets of these names are replaced.
        on_progress: called with (sets done, sets in all).

    Returns:
        The manifests of the sets; those that the dataset holds already, made by the same choices, are kept as they are.

    Raises:
        InputError: if anything given cannot be used; sets made before it are kept.
    """
    if name is not None and len(choices) > 1:
        raise InputError(f"--name {name} is for one label set, but these choices make {len(choices)}: leave it out")
    opened = open_local(folder)
    base, manifest = opened.feedback(), opened.manifest
    needed_files = {"advantages": file_sha256(advantages)} if advantages is not None else {}
    own_choices = manifest.recipe.to_dict()
    labellings = [
        Labelling.from_dict({**own_choices, "filters": [], **needed_files, **choice}, manifest.task) for choice in choices
    ]
    names = [name or set_name(labelling, manifest.recipe.seed) for labelling in labellings]
    hashes = [store.recipe_hash(labelling, manifest.content_sha256) for labelling in labellings]
    before = {} if overwrite else opened.label_sets
    unchanged = {
        label_set
        for label_set, sha256 in zip(names, hashes, strict=True)
        if label_set in before and before[label_set].recipe_sha256 == sha256
    }
    for label_set in names:
        check_set_name(folder, label_set, overwrite or label_set in unchanged)
    episodes: Episodes | None = None
    label_sets = []
    with card_rewritten(folder, [label_set for label_set in names if label_set not in unchanged]):
        for done, (label_set, labelling, recipe_sha256) in enumerate(zip(names, labellings, hashes, strict=True)):
            on_progress(done, len(names))
            if label_set in unchanged:
                label_sets.append(before[label_set])
                continue
            if labelling.teacher_settings.needs_steps and episodes is None:
                episodes = sources.recover(manifest.task, manifest.source.fingerprint, source)
                if advantages is not None:
                    from safefeedback.sources.hdf5 import read_advantages

                    values = read_advantages(advantages, len(episodes.observations), needed_files["advantages"])
                    episodes = replace(episodes, advantages=values)
            feedback = label_again(base, labelling, manifest, episodes)
            origin = {"recipe": labelling.to_dict(), "recipe_sha256": recipe_sha256}
            label_sets.append(write_label_set(folder, label_set, manifest, feedback, origin, overwrite=overwrite))
    on_progress(len(names), len(names))
    return label_sets


def label_again(base: Feedback, labelling: Labelling, manifest: Manifest, episodes: Episodes | None = None) -> Feedback:
    """The pairs of a dataset labelled again; `episodes` are its recordings, for teachers who need them."""
    scores = labelling.teacher_settings.scores(episodes, base.pairs) if episodes is not None else None
    return label(base.pairs, base.returns, base.costs, labelling, manifest.longest_episode, scores)


@contextmanager
def card_rewritten(folder: Path, names: Sequence[str]) -> Iterator[None]:
    """Context of writing label sets: the card is updated when the block ends, so that it is true even if the process is
    killed."""
    before = open_dataset(folder)
    card.added_notes(folder / "README.md")
    if set(before.label_set_names()) & set(names):
        card.rewrite(before, without=names)
    try:
        yield
    finally:
        card.rewrite(open_dataset(folder))


def write_label_set(
    folder: Path,
    name: str,
    manifest: Manifest,
    feedback: Feedback,
    choices: dict[str, Any],
    answers: pa.Table | None = None,
    overwrite: bool = False,
) -> LabelSetManifest:
    """Writes one label set into its dataset's folder, within `card_rewritten`; returns the set's manifest."""
    with new_folder(folder / "labels" / name, overwrite, "--name") as partial:
        return store.write_labels(partial, name, manifest, feedback, choices, answers)


def open_local(folder: Path) -> Folder:
    """The dataset in a folder, to which label sets are added.

    Raises:
        InputError: if there is no such folder, or it holds several datasets.
    """
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}: label sets are added to a dataset's folder on this machine")
    return open_dataset(folder)


def set_name(labelling: Labelling, seed: int) -> str:
    """limit40-noise20, and whatever else differs from the defaults, cut short with a hash; `seed` is the dataset's."""
    words = [f"limit{labelling.limit:g}", f"noise{100 * labelling.noise:g}"]
    words += [f"preference-noise{100 * labelling.preference_noise:g}"] if labelling.preference_noise else []
    words += [labelling.teacher] if labelling.teacher != "oracle" else []
    words += [labelling.safety_noise] if labelling.safety_noise != "none" else []
    words += [f"horizon-{labelling.horizon}"] if labelling.horizon != "task" else []
    words += list(labelling.filters)
    words += [f"seed{labelling.seed}"] if labelling.seed != seed else []
    name = re.sub(r"[^\w.-]", "-", "-".join(words))
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 9]}-{store.recipe_hash(labelling, '')[:8]}"


def check_set_name(folder: Path, name: str, overwrite: bool) -> None:
    """Raises InputError if a label set cannot have that name, or exists and must not be replaced."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name) or len(name) > LONGEST_NAME:
        raise InputError(
            f"a label set cannot be called '{name}': take up to {LONGEST_NAME} letters, digits, dots, dashes, underscores"
        )
    if name in RESERVED or name.endswith(("-oracle", "-answers")):
        raise InputError(f"'{name}' is a name that datasets use themselves: choose another --name")
    if (folder / "labels" / name).exists() and not overwrite:
        raise InputError(f"{folder} has a label set '{name}' already: add --overwrite to replace it, or choose another --name")
