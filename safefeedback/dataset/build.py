"""Builds a dataset's folder from a recipe: read, label, write; the folder gets its name last."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from safefeedback import sources
from safefeedback.dataset import card, store
from safefeedback.dataset.loading import check_loadable
from safefeedback.errors import InputError
from safefeedback.feedback.recipe import Recipe, build
from safefeedback.files import check_target, new_folder
from safefeedback.sources.hdf5 import read_advantages
from safefeedback.sources.kinds import KINDS
from safefeedback.types import Source


def build_dataset(
    recipe: Recipe,
    source: str = "auto",
    out: str | Path | None = None,
    overwrite: bool = False,
    terms: dict[str, str] | None = None,
    on_progress: Callable[[str, int, int | None], None] = lambda stage, done, total: None,
    advantages: Path | None = None,
    pairs_from: Path | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Makes a dataset's folder.

    Args:
        recipe: every choice that shapes it.
        source: as `safefeedback build --source`: "auto", "dsrl", "recordings", a file, or "lerobot:NAME" or "minari:NAME".
        out: its folder; None makes one in the working folder, named after the recipe.
        overwrite: whether an existing dataset there is replaced.
        terms: license, author and citation of recordings of one's own.
        on_progress: called with (stage, done, total or None if unknown); stages are "read", "label" and "write".
        advantages: the HDF5 file of advantages whose sha256 the recipe names, for the teacher "regret".
        pairs_from: the CSV file of pairs whose sha256 the recipe names, in place of a sampler.

    Returns:
        The folder, and the manifest as in recipe.json.

    Raises:
        InputError: if anything given cannot be used; nothing is left behind.
    """
    out = None if out is None else Path(out)
    if out is not None:
        check_loadable(out)
        check_target(out, overwrite)
    on_progress("read", 0, None)
    episodes = sources.load(source, recipe.task)
    episodes = replace(episodes, source=with_terms(episodes.source, terms or {}))
    if advantages is not None:
        values = read_advantages(advantages, len(episodes.observations), recipe.advantages)
        episodes = replace(episodes, advantages=values)
    chosen_pairs = None
    if pairs_from is not None:
        chosen_pairs, pairs_sha256 = sources.read_pairs(pairs_from, recipe.length, recipe.pairs)
        if pairs_sha256 != recipe.pairs_from:
            raise InputError(f"{pairs_from} (sha256 {pairs_sha256[:12]}...) is not the file that the recipe names")
        sources.check_inside(chosen_pairs, episodes)
    out = out or Path(folder_name(recipe, episodes.source))
    check_target(out, overwrite)
    on_progress("label", 0, None)
    feedback = build(episodes, recipe, chosen_pairs)
    done, total = 0, 2 * len(feedback)  # both tables

    def advance(rows: int) -> None:
        nonlocal done
        done += rows
        on_progress("write", done, total)

    with new_folder(out, overwrite) as folder:
        manifest = store.write(folder, episodes, feedback, recipe, card.render, advance)
    return out, manifest.raw


def with_terms(source: Source, terms: dict[str, str]) -> Source:
    """The source with the licence, author and citation that were given.

    Raises:
        InputError: unless it is a file of one's own; the terms of DSRL's and of our recordings stand.
    """
    stated: dict[str, Any] = {key: value for key, value in terms.items() if value}
    for key, text in {**stated, "source": source.file}.items():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InputError(f"--{key} {text!r} is not Unicode, and could not be written into the card") from None
    if stated and not KINDS[source.kind].own:
        raise InputError(
            f"--{next(iter(stated))} is for recordings of your own; these are {source.license} and credited as such"
        )
    return replace(source, **stated)


def folder_name(recipe: Recipe, source: Source) -> str:
    """Task, pairs, length, limit, noise, source if not DSRL, and eight digits of the recipe's hash."""
    words = [recipe.task.name, f"{recipe.pairs}x{recipe.length}", f"limit{recipe.limit:g}", f"noise{recipe.noise:g}"]
    if source.kind != "dsrl":
        name = Path(source.file).stem if source.kind == "file" else source.file
        words.append(re.sub(r"[^\w.-]", "_", name) if KINDS[source.kind].own else source.kind)
    return "-".join([*words, store.recipe_hash(recipe, source.fingerprint)[:8]])
