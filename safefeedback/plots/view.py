"""The input of the plots, from datasets and recordings alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from safefeedback.feedback.labels import segment_cost_limit


@dataclass(frozen=True)
class Clip:
    """Two segments drawn beside each other.

    Attributes:
        name: of the two together.
        sides: a name for each.
        observations: float32 [2, L, O].
        preference: the index of the better one, 0.5 a tie, NaN if unanswered or not asked.
        safe: float [2], NaN unanswered.
        flipped: bool [2], whether noise flipped the safety label.
        returns, costs: float64 [2], NaN where unknown.
    """

    name: str
    sides: tuple[str, str]
    observations: np.ndarray
    preference: float
    safe: np.ndarray
    flipped: np.ndarray
    returns: np.ndarray
    costs: np.ndarray


@dataclass(frozen=True)
class View:
    """M segments with their truth, and a few to look at. Arrays are empty where the truth is not at hand.

    Attributes:
        title: what is shown.
        task: the task's name.
        length: L, steps in a segment.
        horizon: steps the cost limit belongs to, or None.
        cost_limit: of an episode, or None.
        cost_limits: the task's limits.
        returns, costs: float64 [M].
        safe, clean_safe: [M], the safety labels as published and before noise.
        margins: float64 [P], |difference of returns| of each pair.
        agrees: [P], whether the published preference is the clean one; NaN if unanswered.
        clips: pairs to draw.
        names: what each observation dim is called, or empty.
    """

    title: str
    task: str
    length: int
    horizon: int | None
    cost_limit: float | None
    cost_limits: tuple[float, ...]
    returns: np.ndarray
    costs: np.ndarray
    safe: np.ndarray
    clean_safe: np.ndarray
    margins: np.ndarray
    agrees: np.ndarray
    clips: tuple[Clip, ...]
    names: tuple[str, ...] = ()

    @property
    def segment_cost_limit(self) -> float | None:
        """The cost limit of a segment, or None."""
        if self.cost_limit is None or self.horizon is None:
            return None
        return segment_cost_limit(self.cost_limit, self.length, self.horizon)
