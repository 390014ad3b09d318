"""Builds one recipe for several tasks: a dataset for each in one folder, each in a separate `safefeedback build` process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from safefeedback.cli.output import summary
from safefeedback.dataset.loading import check_loadable
from safefeedback.dataset.reading import open_dataset
from safefeedback.dataset.reproduce import build_options
from safefeedback.errors import InputError
from safefeedback.feedback.recipe import Recipe
from safefeedback.files import check_target
from safefeedback.parallel import run_locally, run_on_cluster
from safefeedback.sources.kinds import BUILT_IN

Outcome = dict[str, Any]
SOURCES = ("auto", *BUILT_IN)


def unbuilt_recipes(recipes: Sequence[Recipe], source: str, folder: Path, overwrite: bool) -> list[Recipe]:
    """The recipes whose dataset is not in the folder yet.

    Raises:
        InputError: if something else is in the place of one, unless it is to be overwritten.
    """
    check_loadable(folder)
    left = [recipe for recipe in recipes if overwrite or not _built(folder / recipe.task.name, recipe, source)]
    for recipe in left:
        check_target(folder / recipe.task.name, overwrite)
    return left


def build_all(
    recipes: Sequence[Recipe],
    source: str,
    folder: Path,
    overwrite: bool,
    processes: int,
    address: str | None,
    on_done: Callable[[str, Outcome], None],
) -> None:
    """Builds a dataset of each recipe; what fails does not stop the rest.

    Args:
        recipes: for one task each.
        source: auto, dsrl or recordings.
        folder: of the datasets, each named after its task.
        overwrite: as in `safefeedback.build_dataset`.
        processes: how many at once on this machine.
        address: of a Ray cluster whose nodes share the folder, in place of this machine; None for none.
        on_done: called with the task, and the output of `safefeedback build --json` or {"failed": why}; with {"warnings":
            [...]}.

    Raises:
        InputError: if there is no such cluster.
    """
    commands = [_command(recipe, source, folder.resolve() / recipe.task.name, overwrite) for recipe in recipes]

    def report_result(index: int, ended: tuple[int, str, str] | InputError) -> None:
        task = recipes[index].task.name
        result = {"failed": str(ended)} if isinstance(ended, InputError) else _read(*ended)
        if "failed" in result and address is not None and not overwrite and _built(folder / task, recipes[index], source):
            result = summary(
                folder / task, open_dataset(folder / task).manifest, 0.0
            )  # its worker was lost, and the build continued without it
        on_done(task, result)

    if address is None:
        run_locally(commands, processes, report_result)
    else:
        run_on_cluster(_run, [(words[3:],) for words in commands], address, report_result)


def _command(recipe: Recipe, source: str, out: Path, overwrite: bool) -> list[str]:
    words = [*build_options(recipe, recipe.task.name, source), "--out", str(out), "--json"]
    return [sys.executable, "-m", "safefeedback", "build", *words, *(["--overwrite"] if overwrite else [])]


def _built(folder: Path, recipe: Recipe, source: str) -> bool:
    """Whether the dataset of that recipe exists, from that source if one was named."""
    try:
        manifest = open_dataset(folder).manifest
        return manifest.recipe == recipe and source in ("auto", manifest.source.kind)
    except InputError:
        return False


def _read(code: int, out: str, err: str) -> Outcome:
    """The result of a finished command."""
    lines = err.strip().splitlines()
    warned = [line for line in lines if line.startswith("warning: ")]
    if code:
        last = lines[-1] if lines else f"it ended with code {code} and said nothing"
        return {"failed": last.removeprefix("error: "), "warnings": warned}
    return {**json.loads(out), "warnings": warned}


def _run(words: list[str]) -> tuple[int, str, str]:
    """One command of safefeedback, in a process of a cluster's node."""
    done = subprocess.run([sys.executable, "-m", "safefeedback", *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr
