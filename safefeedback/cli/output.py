"""What a person reads on the terminal after a command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    """The numbers a person needs after a build, and the line that loads it."""
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
    print(result["folder"])
    for name, text in lines:
        print(f"  {name:<8}{text}")
    print(f"load it with: {load_line(Path(result['folder']))}")


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout, as wide as its contents when it is not a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    for index, name in enumerate(header):
        table.add_column(name, no_wrap=index == 0, overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console()
    Console(width=None if console.is_terminal else max(console.width, 160)).print(table)


def print_published(result: dict[str, Any], dry_run: bool) -> None:
    """What a publish did, or would do, for people."""
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
        seen = "private" if result["private"] else "public"
        done = "would publish" if dry_run else "published"
        total = sum(sizes.values()) / 1e6
        print(
            f"{done} {repo} {version} ({seen}): {len(sizes)} files, {total:,.2f} MB; {result['kept']} files are there already"
        )
        print(f"changelog: {result['line']}")
    if not dry_run:
        print(f"see it at {result['url']}")
