"""The kinds of recordings, as they stand in a dataset's manifest, and what is true of each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """What is true of every source of a kind.

    Attributes:
        words: what the recordings are, for the card.
        own: whether they are the user's: `Source.file` names them for `--source`, and their terms may be given.
    """

    words: str
    own: bool = True


KINDS = {
    "dsrl": Kind("the recordings of the DSRL benchmark", own=False),
    "recordings": Kind("recordings made by safefeedback in the real simulator (not DSRL's)", own=False),
    "file": Kind("the recordings in a file given by whoever built it"),
    "lerobot": Kind("the recordings in a LeRobot dataset given by whoever built it"),
    "minari": Kind("the recordings in a Minari dataset given by whoever built it"),
}
