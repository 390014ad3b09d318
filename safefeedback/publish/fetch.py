"""Fetches published datasets into folders of this machine, whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

from safefeedback.dataset import card
from safefeedback.dataset.loading import check_loadable
from safefeedback.dataset.manifest import Manifest
from safefeedback.dataset.reading import open_dataset
from safefeedback.dataset.structure import ManifestError
from safefeedback.errors import InputError
from safefeedback.files import check_target, file_sha256, new_folder
from safefeedback.hub import places
from safefeedback.hub.client import retry, snapshot
from safefeedback.publish.release import json_object


def fetch(
    source: str, out: Path | None = None, revision: str | None = None, overwrite: bool = False
) -> tuple[Path, dict[str, Manifest], str]:
    """Fetches a published dataset, whole or not at all; files that arrived in an earlier try are not fetched again.

    Args:
        source: user/name, or user/name/dataset for one of several; either may end in @revision. Where the repository holds
            labels alone, their dataset comes with them.
        out: the folder; None makes one here, named as the dataset or the repository.
        revision: a tag, branch or commit; None for the latest.
        overwrite: whether a dataset there is replaced.

    Returns:
        The folder, the manifests in it by the name of their folder ("" for a dataset by itself), and the commit.

    Raises:
        InputError: if it cannot be fetched, or arrived damaged.
    """
    from huggingface_hub import HfApi

    place = places.parse(source, revision)
    if place is None:
        raise InputError(f"'{source}' does not name a repository of the Hub: it must read user/name")
    out = out or Path(place.dataset or place.repo.split("/")[1])
    check_loadable(out)
    named = f"{place.repo}{f' at {place.revision}' if place.revision else ''}"
    failure = f"cannot fetch {named}"
    info = retry(failure, lambda: HfApi().repo_info(place.repo, repo_type="dataset", revision=place.revision))
    with new_folder(out, overwrite, fetched=True) as partial:
        patterns = [places.INDEX, places.BASE, f"{place.dataset}/*"] if place.dataset else None
        cached = snapshot(failure, "dataset", place.repo, info.sha, patterns)
        if not place.dataset and (cached / places.BASE).is_file():
            names = _join(cached, named, partial)
        else:
            names = _copy(cached, place, named, partial)
        check_target(out, overwrite, several=names != [""], new=partial)
        manifests = {name: open_dataset(partial / name).manifest for name in names}
    return out, manifests, str(info.sha)


def _copy(cached: Path, place: places.Place, named: str, target: Path) -> list[str]:
    """Copies what a place names out of its repository's files into an empty folder; returns the names of the datasets."""
    names = [""] if place.dataset else places.indexed_datasets(cached, place.repo) or [""]
    folder = cached if names != [""] else places.dataset_folder(cached, place)
    for name in names:
        if not (folder / name / "recipe.json").is_file():
            within = f", {place.dataset or name}," if place.dataset or name else ""
            raise InputError(f"{named}{within} is not a dataset of safefeedback: it holds no recipe.json")
    shutil.copytree(folder, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".gitattributes"))
    for name in names:
        _check_arrived(target / name, folder / name, named)
    return names


def _join(cached: Path, named: str, target: Path) -> list[str]:
    """Puts labels that were published alone beside their dataset, fetched as well, into an empty folder.

    Raises:
        InputError: if the dataset is not the one that was labelled.
    """
    stored = json_object((cached / places.BASE).read_bytes())
    words = [str(stored.get(key, "")) for key in ("labels", "base", "commit", "content_sha256")]
    name, base, commit, content_sha256 = words
    place = places.parse(base)
    if place is None or not places.is_dataset_name(name):
        raise InputError(f"{named}: its {places.BASE} does not say which dataset was labelled")
    failure = f"cannot fetch {base}, which {named} labels"
    patterns = [places.INDEX, places.BASE, f"{place.dataset}/*"] if place.dataset else None
    _copy(snapshot(failure, "dataset", place.repo, commit, patterns), place, base, target)
    if not (cached / "labels" / name / "recipe.json").is_file():
        raise InputError(f"{named} does not hold the labels {name}, which its {places.BASE} names")
    shutil.rmtree(target / "labels" / name, ignore_errors=True)
    shutil.copytree(cached / "labels" / name, target / "labels" / name)
    _check_arrived(target, cached, named)
    joined = open_dataset(target)
    labelled = joined.label_set(name).base_content_sha256
    if not joined.manifest.content_sha256 == content_sha256 == labelled:
        raise InputError(f"{named} does not fit: {base} is not the dataset that was labelled, whose content is {labelled}")
    card.rewrite(joined)
    return [""]


def _check_arrived(folder: Path, cached: Path, named: str) -> None:
    try:
        bad = damaged_files(folder)
    except ManifestError as error:
        raise InputError(f"{named} is not a dataset that can be used: {error.problems[0]}") from None
    if bad:
        for path in bad:
            (cached / path).resolve().unlink(missing_ok=True)
        raise InputError(f"{named} arrived damaged ({bad[0]} is not the file that its recipe.json names): fetch it again")


def damaged_files(folder: Path) -> list[str]:
    """The files of a dataset's folder that are missing, or are not those that its manifests name by sha256.

    Raises:
        InputError: if a manifest is not one; what it names may then lie anywhere on this machine, and is not touched.
    """
    opened = open_dataset(folder)
    named = dict(opened.manifest.files)
    for name, label_set in opened.label_sets.items():
        named |= {f"labels/{name}/{path}": file for path, file in label_set.files.items()}
    return [path for path, file in named.items() if not (folder / path).is_file() or file_sha256(folder / path) != file.sha256]
