"""Opens or creates a study from a dataset's folder and the options of the command."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from safefeedback.annotate import wording
from safefeedback.annotate.frames import Frames
from safefeedback.annotate.live_study import LiveStudy
from safefeedback.annotate.material import Material
from safefeedback.annotate.page_content import PageContent
from safefeedback.annotate.store import Store, answers_file
from safefeedback.annotate.study import Study, update_study
from safefeedback.errors import InputError
from safefeedback.files import lock_file

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def open_study(
    folder: Path, name: str, given: dict[str, Any], open_to_others: bool = False
) -> tuple[LiveStudy, Study, Frames | None]:
    """The study of that name about a dataset, created if there is none.

    Args:
        folder: of the dataset.
        name: of the label set that the answers become.
        given: the choices of `Study` that are given now.
        open_to_others: whether people other than its owner will answer, who must be informed.

    Raises:
        InputError: if it cannot be opened, or the information page is not filled in.
    """
    material = Material(folder)
    path = answers_file(folder, name)
    replace(Study(), **given)  # refuses what cannot be used before a file is created
    store = Store.open(path) if path.exists() else Store.create(path, folder.resolve().name, material.content_sha256)
    if store.about["content_sha256"] != material.content_sha256:
        raise InputError(
            f"{path} holds answers about another dataset than {folder} is now (content {store.about['content_sha256'][:12]}, "
            f"not {material.content_sha256[:12]}): bring back that dataset, or choose another --name"
        )
    study = update_study(store, given)
    information = path.with_suffix(".md")
    sections: list[wording.Section] = []
    if not study.quick:
        wording.write_template(information)
        sections, blanks = wording.read_information(information)
        if blanks and open_to_others:
            raise InputError(
                f"{information} is what people read before they consent: fill in its {blanks} passages in [brackets], or add "
                "--quick for a trial without information, consent and practice"
            )
    frames = Frames.find(frames_folder(folder, material.content_sha256), material.length)
    limit = study.cost_limit if study.cost_limit is not None else material.manifest.recipe.limit
    described = frames.description if frames is not None else None
    return LiveStudy(store, PageContent(name, replace(study, cost_limit=limit), material, sections, described)), study, frames


def frames_folder(folder: Path, content_sha256: str) -> Path:
    """Where the frames of a dataset's segments are; another dataset in the same place has its own."""
    return answers_file(folder, f"frames-{content_sha256[:12]}").with_suffix("")


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Context of what only one process at a time may do with a file of answers: creating, serving, merging, deleting.

    Raises:
        InputError: if another does.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = lock_file(path.with_suffix(".lock"))
    except OSError as error:
        raise InputError(f"{path} cannot be made: {error.strerror}") from None
    if lock is None:
        raise InputError(f"{path} is being served by another process: stop that first")
    try:
        yield
    finally:
        os.close(lock)
