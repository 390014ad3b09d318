"""Fetches published datasets into folders of this machine, whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from safefeedback import places
from safefeedback.errors import InputError
from safefeedback.files import file_sha256, new_folder
from safefeedback.network import ask, snapshot
from safefeedback.reading import label_sets, read_manifest


def fetch(
    source: str, out: Path | None = None, revision: str | None = None, overwrite: bool = False
) -> tuple[Path, dict[str, dict[str, Any]], str]:
    """Brings a published dataset to this machine, whole or not at all; what arrived in an earlier try is not fetched again.

    Args:
        source: user/name, or user/name/dataset for one of several; either may end in @revision.
        out: the folder; None makes one here, named as the dataset or the repository.
        revision: a tag, branch or commit; None for the latest.
        overwrite: whether a dataset there is replaced.

    Returns:
        The folder, the manifests in it by the name of their folder ("" for a dataset by itself), and the commit.

    Raises:
        InputError: if it cannot be had, or arrived damaged.
    """
    from huggingface_hub import HfApi

    place = places.parse(source, revision)
    if place is None:
        raise InputError(f"'{source}' does not name a repository of the Hub: it must read user/name")
    named = f"{place.repo}{f' at {place.revision}' if place.revision else ''}"
    failure = f"cannot fetch {named}"
    info = ask(failure, lambda: HfApi().repo_info(place.repo, repo_type="dataset", revision=place.revision))
    out = out or Path(place.dataset or place.repo.split("/")[1])
    with new_folder(out, overwrite) as partial:
        wanted = [places.INDEX, f"{place.dataset}/*"] if place.dataset else None
        cached = snapshot(failure, "dataset", place.repo, info.sha, wanted)
        names = [""] if place.dataset else places.indexed(cached, place.repo) or [""]
        folder = places.one_of(cached, place) if place.dataset else cached
        for name in names:
            if not (folder / name / "recipe.json").is_file():
                inside = place.dataset or name
                within = f", {inside}," if inside else ""
                raise InputError(f"{named}{within} is not a dataset of safefeedback: it holds no recipe.json")
        shutil.copytree(folder, partial, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".gitattributes"))
        if bad := [Path(name, path) for name in names for path in damaged(partial / name)]:
            for path in bad:
                (folder / path).resolve().unlink(missing_ok=True)
            raise InputError(
                f"{named} arrived damaged ({bad[0].as_posix()} is not the file that its recipe.json names): fetch it again"
            )
        manifests = {name: read_manifest(partial / name) for name in names}
    return out, manifests, str(info.sha)


def damaged(folder: Path) -> list[str]:
    """The files of a dataset's folder that are missing, or are not those that its manifests name by sha256."""
    manifests = {"": read_manifest(folder), **{f"labels/{name}/": sets for name, sets in label_sets(folder).items()}}
    named = {f"{prefix}{path}": facts["sha256"] for prefix, one in manifests.items() for path, facts in one["files"].items()}
    return [path for path, sha256 in named.items() if not (folder / path).is_file() or file_sha256(folder / path) != sha256]
