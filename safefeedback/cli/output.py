"""Terminal output after a command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safefeedback.terminal import screen_width

if TYPE_CHECKING:
    from safefeedback.dataset.manifest import Manifest

STAGES = {"read": "reading the recordings", "label": "drawing and labelling pairs", "write": "writing"}


def summary(folder: Path, manifest: Manifest, seconds: float) -> dict[str, Any]:
    """The result of a build as JSON-ready values."""
    return {
        "folder": str(folder),
        "recipe": manifest.recipe.to_dict(),
        "source": {"kind": manifest.source.kind, "sha256": manifest.source.fingerprint},
        "splits": manifest.splits,
        "history": list(manifest.history),
        "statistics": manifest.statistics,
        "content_sha256": manifest.content_sha256,
        "bytes": manifest.bytes,
        "seconds": round(seconds, 3),
    }


def print_built(result: dict[str, Any], manifest: Manifest) -> None:
    """Prints the main numbers of a build, and the line that loads the dataset."""
    from safefeedback.dataset.history import contradictions, describe_history
    from safefeedback.dataset.loading import load_line

    numbers, source = result["statistics"], manifest.source.file
    splits = ", ".join(f"{split} {rows:,}" for split, rows in result["splits"].items())
    shares = [
        f"{100 * numbers[name]:.1f}% {words}"
        for name, words in (("segments_safe", "of the segments"), ("pairs_both_unsafe", "of the pairs have no safe segment"))
        if numbers[name] is not None
    ]
    used = f"{numbers['episodes_used']:,} of {numbers['episodes_in_source']:,}"
    lines = [
        (
            "source",
            f"{source} ({result['source']['kind']}), {used} episodes used",
        ),
        *[("", line) for line in describe_history(result["history"])],
        ("pairs", splits),
        ("safe", "; ".join(shares)),
        ("labels", f"not the truth: {contradictions(numbers['safety_flipped'], numbers['preferences_flipped'])}"),
        ("size", f"{result['bytes'] / 1e6:,.1f} MB in {result['seconds']:.1f} s"),
        ("content", f"sha256 {result['content_sha256']}"),
    ]
    print_record(result["folder"], lines)
    print(f"load it with: {load_line(Path(result['folder']))}")


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Prints a table without breaking words; if the columns do not fit the screen, a block of lines for each row.

    Its width is that of the terminal, or COLUMNS; in a pipe, that of its contents.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    width = screen_width()
    widest = max((len(row[0]) for row in rows), default=0)
    if len(header[0]) > widest:  # a title, not the name of a column
        print(header[0])
        header = ("", *header[1:])
    columns = list(zip(header, *rows, strict=True))
    gaps = 2 * (len(columns) - 1)
    widths = _fit([_longest(column, str.splitlines) for column in columns], _least(columns), width - gaps)
    if widths is None:
        for row in rows:
            named = list(zip(header[1:], row[1:], strict=True))
            title = "  ".join([row[0], *(text for name, text in named if text and not name)])
            print_record(title, [pair for pair in named if pair[0]])
        return
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name, wide in zip(header, widths, strict=True):
        table.add_column(Text(name), width=wide)
    for row in rows:
        table.add_row(*map(Text, row))
    Console(width=sum(widths) + gaps).print(table)


def print_record(title: str, lines: Sequence[tuple[str, str]]) -> None:
    """A title and named values below it, wrapped between words; a name "" continues the line above."""
    from textwrap import wrap

    print(title)
    margin = 2 + max((len(name) for name, _ in lines), default=0) + 2
    room = max(20, screen_width() - margin)
    for name, text in lines:
        parts = wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
        for index, part in enumerate(parts):
            print(f"  {'' if index else name:<{margin - 2}}{part}".rstrip())


def _least(columns: Sequence[Sequence[str]]) -> list[int]:
    """How narrow each column may be: its longest word; the first is never wrapped."""
    return [_longest(columns[0], str.splitlines), *(_longest(column, str.split) for column in columns[1:])]


def _longest(texts: Sequence[str], parts: Callable[[str], list[str]]) -> int:
    from rich.cells import cell_len

    return max(1, *(cell_len(part) for text in texts for part in parts(text) or [""]))


def _fit(wanted: list[int], least: list[int], width: int) -> list[int] | None:
    """The widths of columns that share a width: what is left beyond the least goes evenly to those that want more, and no
    column gets more than it wants. None if even the least are too wide."""
    spare = width - sum(least)
    if spare < 0:
        return None
    widths = list(least)
    order = sorted(range(len(least)), key=lambda index: wanted[index] - least[index])
    for place, index in enumerate(order):
        more = min(wanted[index] - least[index], spare // (len(order) - place))
        widths[index] += more
        spare -= more
    return widths


def print_published(result: dict[str, Any], dry_run: bool) -> None:
    """Prints what was published, or would be."""
    repo, version, sizes = result["repo"], result["version"], result["sent"]
    if result["note"]:
        print(f"note: {result['note']}")
    if not sizes:
        print(f"{repo} holds this already, as {version}: nothing to send")
    else:
        for path, size in sorted(sizes.items()):
            print(f"  {size / 1e6:10,.3f} MB  {path}")
        for path in result["removed"]:
            print(f"     removed     {path}")
        visibility = "private" if result["private"] else "public"
        done = "would publish" if dry_run else "published"
        total = sum(sizes.values()) / 1e6
        sent = f"{len(sizes)} files, {total:,.2f} MB; {result['kept']} files are there already"
        print(f"{done} {repo} {version} ({visibility}): {sent}")
        print(f"changelog: {result['line']}")
    if not dry_run:
        print(f"see it at {result['url']}")
        if not result["private"]:
            print(
                f"for a DOI to cite: {result['url']}/settings, Generate DOI; your full name then goes to DataCite, and the "
                "repository can no longer be deleted or renamed (https://huggingface.co/docs/hub/doi)"
            )
