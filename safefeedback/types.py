"""The data types of the toolkit: episodes, pairs and feedback; all conventions about them are stated here and only here.

N pairs, two sides to a pair, L steps to a segment, E episodes, T steps in all, O and A observation and action dims.

- A segment is L consecutive steps inside ONE episode, named by (episode, start). `episode` counts every episode of the
  source file in order, those too short to be used as well; `start` counts steps from that episode's first. Both from 0.
- The side (segment 0 or 1 of a pair) is an array axis.
- A preference reads as the index of the better segment: 0.0 is segment 0, 1.0 is segment 1, 0.5 a tie, values between
  are soft labels, NaN is unanswered.
- A safety label is 1.0 for safe, 0.0 for unsafe, NaN for unanswered.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from safefeedback.errors import InputError
from safefeedback.tasks import Task


@dataclass(frozen=True)
class Source:
    """Where recordings came from.

    Attributes:
        kind: one of `safefeedback.sources.KINDS`.
        file: the file's name, without its folder; of a dataset of another project, what `--source` calls it.
        fingerprint: sha256 of the file's bytes, or of several files, as hex.
        license, author, citation: the terms and the people behind the recordings; empty where nothing is stated.
        credit: whose work the recordings build on.
        converted: what was converted when it was read, e.g. "observations from float64 to float32".
    """

    kind: str
    file: str
    fingerprint: str
    license: str = ""
    author: str = ""
    citation: str = ""
    credit: str = ""
    converted: tuple[str, ...] = ()


@dataclass(frozen=True)
class Episodes:
    """Whole recorded episodes of one task, back to back.

    Attributes:
        task: the task that was recorded.
        observations: float32 [T, O].
        actions: float32 [T, A].
        rewards: float64 [T], reward of each step.
        costs: float64 [T], cost of each step, never negative.
        bounds: int64 [E + 1]; episode e is rows bounds[e] to bounds[e + 1].
        source: where they came from.
        advantages: float64 [T], advantage of each step's action, where they were given.
        observation_names, action_names: what each dim is called, O and A of them, where the source says so; else empty.

    Raises:
        InputError: if the arrays do not agree in length, or the bounds do not fit them.
    """

    task: Task
    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    costs: np.ndarray
    bounds: np.ndarray
    source: Source
    advantages: np.ndarray | None = None
    observation_names: tuple[str, ...] = ()
    action_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        steps = len(self.observations)
        for name in ("actions", "rewards", "costs"):
            if len(getattr(self, name)) != steps:
                raise InputError(f"{name} has {len(getattr(self, name))} steps but observations has {steps}")
        bounds = self.bounds
        if len(bounds) < 2 or bounds[0] != 0 or bounds[-1] > steps or (np.diff(bounds) <= 0).any():
            raise InputError("episode bounds must start at 0, increase, and end within the recorded steps")

    def __len__(self) -> int:
        return len(self.bounds) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each episode, int64 [E]."""
        return np.diff(self.bounds)


@dataclass(frozen=True)
class UnlabelledEpisodes:
    """Whole recorded episodes without feedback: observations and actions, but neither rewards nor costs.

    Attributes:
        observations: float32 [T, O].
        actions: float32 [T, A].
        bounds: int64 [E + 1]; episode e is rows bounds[e] to bounds[e + 1].
        file: the file's name, without its folder.
        fingerprint: sha256 of the file's bytes, as hex.
    """

    observations: np.ndarray
    actions: np.ndarray
    bounds: np.ndarray
    file: str
    fingerprint: str

    def __len__(self) -> int:
        return len(self.bounds) - 1


@dataclass(frozen=True)
class Pairs:
    """Which segments are compared.

    Attributes:
        episode: int64 [N, 2], the episode of each segment.
        start: int64 [N, 2], the first step of each segment, counted from its episode's first.
        length: L, steps in every segment.
        pair_id: int64 [N], the index of the draw; a filter leaves gaps, and an id is never used again.
        test: bool [N], the pairs of held-out episodes.
    """

    episode: np.ndarray
    start: np.ndarray
    length: int
    pair_id: np.ndarray
    test: np.ndarray

    def __len__(self) -> int:
        return len(self.pair_id)

    def rows(self, episodes: Episodes) -> np.ndarray:
        """The source row where each segment starts, int64 [N, 2]."""
        return episodes.bounds[self.episode] + self.start

    def take(self, keep: np.ndarray | slice) -> Pairs:
        """The pairs selected by a mask, by indices or by a slice, in their order."""
        return Pairs(self.episode[keep], self.start[keep], self.length, self.pair_id[keep], self.test[keep])


@dataclass(frozen=True)
class Feedback:
    """The labels of pairs, and the truth about them.

    Attributes:
        pairs: the N compared pairs.
        returns: float64 [N, 2], undiscounted return of each segment.
        costs: float64 [N, 2], cost of each segment.
        clean_preference: float32 [N], the preference before noise.
        clean_safe: float32 [N, 2], the safety labels before noise.
        preference: float32 [N], the published preference.
        safe: float32 [N, 2], the published safety labels.
        history: what was done to the pairs and labels, in order, as JSON-ready entries.
        marks: what simulated teachers and annotators did, row by row: name -> [N] or, a side each, [N, 2, ...].
    """

    pairs: Pairs
    returns: np.ndarray
    costs: np.ndarray
    clean_preference: np.ndarray
    clean_safe: np.ndarray
    preference: np.ndarray
    safe: np.ndarray
    history: tuple[dict, ...] = ()
    marks: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def preference_flipped(self) -> np.ndarray:
        """Where the published preference names the other segment than the clean one, bool [N]."""
        return (self.preference - 0.5) * (self.clean_preference - 0.5) < 0

    @property
    def safe_flipped(self) -> np.ndarray:
        """Where a published safety label is the other than the clean one, bool [N, 2]."""
        return (self.safe - 0.5) * (self.clean_safe - 0.5) < 0

    def take(self, keep: np.ndarray | slice) -> Feedback:
        """The rows selected by a mask, by indices or by a slice, which copies nothing; the history stays."""
        return replace(
            self,
            pairs=self.pairs.take(keep),
            returns=self.returns[keep],
            costs=self.costs[keep],
            clean_preference=self.clean_preference[keep],
            clean_safe=self.clean_safe[keep],
            preference=self.preference[keep],
            safe=self.safe[keep],
            marks={name: values[keep] for name, values in self.marks.items()},
        )
