"""The command `safefeedback inspect`; app.py registers it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from safefeedback.errors import InputError
from safefeedback.terminal import Json

if TYPE_CHECKING:
    from safefeedback.plots.view import View


def inspect(
    source: Annotated[
        str,
        typer.Argument(
            help="A dataset's folder or Hub repository (user/name), or recordings: an HDF5 file, lerobot:NAME or minari:NAME."
        ),
    ],
    task: Annotated[str | None, typer.Option(help="The task of the recordings (default: as the file says).")] = None,
    labels: Annotated[str | None, typer.Option(help="A label set of the dataset, instead of the published labels.")] = None,
    length: Annotated[int | None, typer.Option(help="Steps in a window of recordings (default: 64).")] = None,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Whether to draw plots.")] = True,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the plots (default: plots in a dataset's folder, or else NAME-plots here).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what decides whether training can work, as numbers and plots: safe share, margins, conflicts, coverage."""
    from safefeedback.cli.output import print_table
    from safefeedback.imports import install_command
    from safefeedback.inspection.tables import dataset_table, recordings_table
    from safefeedback.plots import available, draw_all
    from safefeedback.terminal import say

    result, view, folder = _inspect(source, task, labels, length, quiet=as_json)
    if not as_json:
        print_table(*(recordings_table if "file" in result else dataset_table)(result))
        for line in result.get("people", ()):
            say(line)
    drawn: list[dict[str, str]] = []
    if plots and available():
        place = out or folder
        try:
            drawn = [{"file": str(place / name), "caption": caption} for name, caption in draw_all(view, place)]
        except InputError as error:
            if out is not None:
                raise
            print(f"note: {error}", file=sys.stderr)
        if drawn and place == Path(source) / "plots":
            _show_in_card(Path(source))
    elif plots:
        print(f"note: plots need matplotlib: {install_command('plots')}", file=sys.stderr)
    if as_json:
        print(json.dumps({**result, "plots": drawn}, allow_nan=False))
        return
    for picture in drawn:
        say(f"{picture['file']}: {picture['caption']}")


def _show_in_card(folder: Path) -> None:
    """Shows the best of the pictures in the card of the dataset in whose folder they were drawn, if it is our card."""
    from safefeedback.dataset.card import NOTES_MARKER, rewrite
    from safefeedback.dataset.reading import open_dataset

    try:
        if NOTES_MARKER in (folder / "README.md").read_text(encoding="utf-8"):
            rewrite(open_dataset(folder))
    except (InputError, OSError, ValueError) as error:
        print(f"note: the card does not show the plots: {error}", file=sys.stderr)


def _inspect(
    source: str, task: str | None, labels: str | None, length: int | None, quiet: bool
) -> tuple[dict[str, Any], View, Path]:
    """The numbers, the contents of the plots, and their default folder."""
    from safefeedback.sources import is_dataset_name
    from safefeedback.terminal import Progress

    path, named = Path(source), is_dataset_name(source)
    is_file = named or path.is_file() or (path.suffix in (".hdf5", ".h5") and not path.is_dir())
    for name, value, fits in (("task", task, is_file), ("length", length, is_file), ("labels", labels, not is_file)):
        if value is not None and not fits:
            kind = "a dataset" if is_file else "recordings"
            raise InputError(f"--{name} is for {kind}; {source} {'is not one' if is_file else 'holds none'}")
    with Progress("looking at the recordings" if is_file else "looking at the pairs", quiet) as progress:
        if is_file:
            from safefeedback.inspection.recordings import inspect_recordings

            stem = source.partition(",cost=")[0].rpartition("/")[2].rpartition(":")[2] if named else path.stem
            return *inspect_recordings(source, task, length if length is not None else 64), Path(f"{stem}-plots")
        from safefeedback.inspection.dataset import inspect_dataset

        result, view = inspect_dataset(source, labels, lambda done, total: progress(done, total))
    folder = path / "plots" if path.is_dir() else Path(f"{path.name}-plots")
    return result, view, folder / labels if labels else folder
