"""Verifies the recordings that a dataset was built from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from safefeedback import sources
from safefeedback.dataset.manifest import Manifest
from safefeedback.errors import InputError
from safefeedback.feedback.recipe import Labelling
from safefeedback.files import file_sha256
from safefeedback.sources import dsrl
from safefeedback.sources.hdf5 import read_advantages
from safefeedback.types import Episodes, Source


def recordings(manifest: Manifest, source: Path | None) -> tuple[Episodes | None, list[str], str]:
    """The given recordings, or those found on this machine; their problems; a note.

    Raises:
        InputError: if a file that was given cannot be read.
    """
    task, fingerprint = manifest.task, manifest.source.fingerprint
    if source is None and sources.find_file(task, fingerprint) is None:
        return None, [], "the recordings are not at hand: name their file with --source FILE to compare every window"
    try:
        episodes = sources.recover(task, fingerprint, source)
    except sources.OtherRecordingsError as error:
        return None, [str(error)], "other recordings"
    place = f"{source}" if source is not None else f"{episodes.source.file}, found on this machine"
    return episodes, _terms(manifest.source, episodes), f"{place}: sha256 {fingerprint[:12]}..."


def with_advantages(
    episodes: Episodes | None, labelling: Labelling, advantages: dict[str, Path]
) -> tuple[Episodes | None, str]:
    """The recordings with the advantages that a teacher needs, and why labels cannot be recomputed, if so.

    Args:
        episodes: the recordings, if they are at hand.
        labelling: of the labels.
        advantages: the file of advantages that was given, by its sha256.
    """
    if not labelling.teacher_settings.needs_steps:
        return episodes, ""
    if episodes is None:
        return None, f"what the teacher {labelling.teacher} said was not, which needs the recordings"
    if not labelling.teacher_settings.needs_advantages:
        return episodes, ""
    if labelling.advantages not in advantages:
        return episodes, f"what the teacher {labelling.teacher} said was not, which needs its --advantages FILE"
    values = read_advantages(advantages[labelling.advantages], len(episodes.observations), labelling.advantages)
    return replace(episodes, advantages=values), ""


def _terms(stated: Source, episodes: Episodes) -> list[str]:
    """Licence and credit that differ from the recordings'; the user may have stated others for his or her own file."""
    source = episodes.source
    known = {
        "dsrl": {"license": dsrl.LICENSE, "author": dsrl.AUTHOR, "citation": dsrl.CITATION},
        "recordings": {key: getattr(source, key) for key in ("license", "author", "citation", "credit")},
    }.get(stated.kind, {})
    return [f"recipe.json: source.{key} is not that of the recordings" for key in known if getattr(stated, key) != known[key]]


def sha256(file: Path) -> str:
    """The sha256 of a file that was given.

    Raises:
        InputError: if there is none.
    """
    if not file.is_file():
        raise InputError(f"there is no file {file}")
    return file_sha256(file)
