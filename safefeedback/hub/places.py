"""The place of a dataset: a local folder, or a repository of the Hub that holds it alone or with others."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from safefeedback.errors import InputError
from safefeedback.hub.client import is_repo_name, snapshot

INDEX = "datasets.json"  # in a repository of several datasets: their names, and what each one is
BASE = "base.json"  # in a repository of labels alone: the dataset they are about


@dataclass(frozen=True)
class Place:
    """A place on the Hub: user/name, user/name@v1.0.0, user/name/BallRun or user/name/BallRun@v1.0.0.

    Attributes:
        repo: user/name.
        dataset: which of a repository's several datasets; "" where it is one, or all are meant.
        revision: branch, tag or commit; None for the latest.
    """

    repo: str
    dataset: str
    revision: str | None


def parse(text: str, revision: str | None = None) -> Place | None:
    """The place on the Hub that a text names, None if it names none.

    Raises:
        InputError: if a revision is in the text, and another one is asked for.
    """
    name, at, named = text.partition("@")
    if at and revision is not None:
        raise InputError(f"{text} names a revision already, and another is asked for: {revision}")
    user, _, rest = name.partition("/")
    repo_name, slash, dataset = rest.partition("/")
    if not is_repo_name(f"{user}/{repo_name}") or (at and not named) or (slash and not is_dataset_name(dataset)):
        return None
    return Place(f"{user}/{repo_name}", dataset, revision or named or None)


def is_dataset_name(name: str) -> bool:
    """Whether a dataset of a repository of several can have that name."""
    return re.fullmatch(r"[A-Za-z0-9][\w.-]*", name) is not None


def open_place(source: str | Path, revision: str | None, patterns: Sequence[str]) -> tuple[Path, Place | None]:
    """The local folder of a dataset, and where on the Hub it lies; None for a folder.

    Args:
        source: a folder, or a place on the Hub.
        revision: of a place on the Hub.
        patterns: the files of a repository that are fetched, or found in the cache.

    Returns:
        The folder, and the place at the one commit that the revision names now.

    Raises:
        InputError: if there is none, or if there are several and none is named.
    """
    folder = Path(source)
    if folder.is_dir():
        if revision is not None:
            raise InputError(f"{folder} is a folder and has no revision '{revision}'; revisions belong to Hub repositories")
        if not (folder / "recipe.json").is_file() and (several := datasets_in(folder)):
            raise _several(str(source), several)
        return folder, None
    place = parse(str(source), revision)
    if place is None:
        raise InputError(f"there is no folder {source}, and it does not name a Hub repository like user/name")
    snapshot = _snapshot(place, patterns, f"{source} is not a folder here and cannot be fetched from the Hub")
    return dataset_folder(snapshot, place), replace(place, revision=snapshot.name)  # the cache names folders after commits


def fetch_files(place: Place, patterns: Sequence[str]) -> None:
    """Brings the files that match into the local folder of a place that was opened.

    Raises:
        InputError: if they can be neither fetched nor found in the cache.
    """
    _snapshot(place, patterns, f"cannot read {place.repo}")


def _snapshot(place: Place, patterns: Sequence[str], failure: str) -> Path:
    paths = [f"{place.dataset}/{pattern}" if place.dataset else pattern for pattern in patterns]
    return snapshot(failure, "dataset", place.repo, place.revision, [INDEX, BASE, *paths])


def whole_dataset(source: str | Path) -> Path:
    """The local folder of a dataset with all of its files; a folder here is taken as it is.

    Raises:
        InputError: as `open_place` does.
    """
    folder, place = Path(source), parse(str(source))
    return folder if folder.exists() or place is None else open_place(source, None, ["*"])[0]


def dataset_folder(found: Path, place: Place) -> Path:
    """The folder of the dataset that a place names, in that of its repository.

    Raises:
        InputError: if it names none of several, one that is not there, or labels alone.
    """
    if (found / BASE).is_file():
        raise InputError(f"{place.repo} holds labels alone: `safefeedback fetch {place.repo}` joins them with their dataset")
    names = indexed_datasets(found, place.repo)
    if not place.dataset and names:
        raise _several(place.repo, names)
    if place.dataset and place.dataset not in names:
        known = f"has {', '.join(names)}" if names else "is not a repository of several"
        raise InputError(f"{place.repo} has no dataset '{place.dataset}'; it {known}")
    return found / place.dataset


def datasets_in(folder: Path) -> list[str]:
    """The names of the datasets that lie side by side in a folder."""
    return sorted(path.parent.name for path in folder.glob("*/recipe.json") if not path.parent.name.startswith("."))


def indexed_datasets(folder: Path, name: str) -> list[str]:
    """The names of a repository's datasets, [] where it is a single one; `name` is the repository's, for errors."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise InputError(f"{name}: {INDEX} cannot be read: {str(error).splitlines()[0]}") from None
    if not isinstance(index, dict) or not all(is_dataset_name(key) for key in index):
        raise InputError(f"{name}: {INDEX} does not name datasets")
    return sorted(index)


def _several(source: str, names: list[str]) -> InputError:
    return InputError(
        f"{source} is not a dataset of safefeedback but holds {', '.join(names)}: name one, such as {source}/{names[0]}"
    )
