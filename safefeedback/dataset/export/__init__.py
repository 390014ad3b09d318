"""A dataset in the formats of other projects: one file of this folder and one line of FORMATS each.

Importing this is light; a format's file is imported when it is used.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """A format and what it can hold; the user decides about what it cannot hold.

    Attributes:
        writer: `package.module:function`, called as `function(folder, pairs: ExportedPairs) -> ExportResult`.
        description: what is written, for help texts and documentation.
        rewards: whether it has a reward for each step.
        preferences: whether it holds preferences: unanswered pairs are left out, and ties must be decided upon.
        ties: whether a preference can be a tie.
        safety: whether it holds safety labels alone: pairs without any are left out.
        text: whether segments are written out as text, for language models.
        video: whether a view from above can be added.
    """

    writer: str
    description: str
    rewards: bool = False
    preferences: bool = False
    ties: bool = False
    safety: bool = False
    text: bool = False
    video: bool = False


FORMATS = {
    "cpl": Format(
        "safefeedback.dataset.export.cpl:write_cpl",
        "train.npz for the FeedbackBuffer of Contrastive Preference Learning (jhejna/cpl)",
        rewards=True,
        preferences=True,
        ties=True,
    ),
    "d4rl": Format(
        "safefeedback.dataset.export.d4rl:write_d4rl",
        "train.hdf5 in the schema of D4RL and DSRL, each segment as an episode",
        rewards=True,
    ),
    "lerobot": Format(
        "safefeedback.dataset.export.lerobot:write_lerobot",
        "a LeRobot dataset (v3), each segment as an episode, with the pairs beside it",
        rewards=True,
        video=True,
    ),
    "minari": Format(
        "safefeedback.dataset.export.minari:write_minari", "a Minari dataset, each segment as an episode", rewards=True
    ),
    "trl-paired": Format(
        "safefeedback.dataset.export.trl:write_trl_paired",
        "train.parquet with prompt, chosen, rejected: TRL's preference format, from the preferences",
        preferences=True,
        text=True,
    ),
    "trl-unpaired": Format(
        "safefeedback.dataset.export.trl:write_trl_unpaired",
        "train.parquet with prompt, completion, label: TRL's unpaired format (KTO), from the safety labels",
        safety=True,
        text=True,
    ),
}


def formats_with(feature: str) -> str:
    """The names of the formats for which an attribute of Format is true, for help texts."""
    return ", ".join(name for name, description in FORMATS.items() if getattr(description, feature))
