"""The kinds of sources: one line each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """The properties of one kind of source.

    Attributes:
        description: what the recordings are, for the card.
        own: whether they are the user's own: `Source.file` then names them for `--source`, and the user may state their terms.
        module: for datasets given as `--source KIND:NAME`, the module that reads them. It has `read(name, task, cost_key)`,
            which returns Episodes, `read_unlabelled(name, task)` and `fingerprint(name)`; it is imported when such a source is
            read.
    """

    description: str
    own: bool = True
    module: str | None = None


KINDS = {
    "dsrl": Kind("the recordings of the DSRL benchmark", own=False),
    "recordings": Kind("recordings made by safefeedback in the real simulator (not DSRL's)", own=False),
    "file": Kind("the recordings in a file given by whoever built it"),
    "lerobot": Kind("the recordings in a LeRobot dataset given by whoever built it", module="safefeedback.sources.lerobot"),
    "minari": Kind("the recordings in a Minari dataset given by whoever built it", module="safefeedback.sources.minari"),
}
BUILT_IN = tuple(name for name, kind in KINDS.items() if not kind.own)  # sources that need no path or name


def source_help() -> str:
    """The values of `--source`, for help texts."""
    prefixed = [f"{name}:NAME" for name, kind in KINDS.items() if kind.module is not None]
    names = ", ".join([*BUILT_IN, *prefixed])
    return f"auto (DSRL's file, cached or downloaded, or else recordings), {names}, or the path of a file."
