"""Simulated teachers who give preferences (B-Pref, arXiv 2111.03026, section 3; same names).

A teacher is a frozen dataclass of its settings, called as `teacher(scores, returns, rng, safe)`.

--teacher oracle                        the larger return is preferred (PreSa)
--teacher boltzmann:beta=2              answers by chance, P = sigmoid(beta * difference)
--teacher halo:halo=0.5                 prefers the safe side of a pair half of the time, whatever it earns
--teacher mistake:eps_mistake=0.2       any setting can be added to any of the names: they only differ in defaults
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from safefeedback.errors import InputError
from safefeedback.feedback.labels import prefer_by_return, window_sum
from safefeedback.feedback.variants import check_share
from safefeedback.randomness import uniforms
from safefeedback.types import Episodes, Pairs

DECIMALS = 6  # of stored probabilities, which hides that exp differs in its last bit from machine to machine


Answers = tuple[np.ndarray, dict[str, np.ndarray], dict[str, Any]]


@dataclass(frozen=True)
class Teacher:
    """How a teacher answers.

    Attributes:
        beta: rationality: segment 1 is preferred with probability sigmoid(beta * (score_1 - score_0)); inf always
            prefers the larger score.
        gamma: the step k before the segment's last counts gamma^k of its reward: a myopic teacher sees the end best.
        eps_mistake: probability that an answer is flipped.
        eps_skip: pairs without a good segment are skipped (null); see `unit`.
        eps_equal: pairs whose returns are closer than this are called equal (0.5); see `unit`.
        unit: "differences": scores are measured in the root mean square of the dataset's score differences; a pair is
            equal if |difference| < eps_equal, and skipped if both returns lie more than 1 - eps_skip below the mean.
            "reward": in the task's own reward, as in B-Pref: equal if |difference| < eps_equal * the mean return of a
            segment, skipped if both returns are below eps_skip * that mean.
        score: "return"; "advantage", the sum of the advantages given for every recorded step, the regret preference model
            (arXiv 2206.02231); or "speed", how far the observation moves from step to step, summed over the segment: a viewer
            who takes speed for progress.
        halo: where one segment of a pair is safe and the other is not, probability that the safe one is preferred whatever
            the scores (halo effect: Thorndike, 1920).
    """

    beta: float = math.inf
    gamma: float = 1.0
    eps_mistake: float = 0.0
    eps_skip: float = 0.0
    eps_equal: float = 0.0
    unit: str = "differences"
    score: str = "return"
    halo: float = 0.0

    def __post_init__(self) -> None:
        if not self.beta >= 0:
            raise InputError(f"beta must be 0 or more, not {self.beta}")
        if not 0 < self.gamma <= 1:
            raise InputError(f"gamma must be more than 0 and at most 1, not {self.gamma}")
        check_share("eps_mistake", self.eps_mistake)
        check_share("halo", self.halo)
        for name in ("eps_skip", "eps_equal"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name} must be 0 or more, not {getattr(self, name)}")
        for name, allowed in (("unit", ("differences", "reward")), ("score", ("return", "advantage", "speed"))):
            if getattr(self, name) not in allowed:
                raise InputError(f"{name} must be {' or '.join(allowed)}, not '{getattr(self, name)}'")

    @property
    def needs_steps(self) -> bool:
        """Whether the score is more than the segment's return, so that the recorded steps are needed."""
        return self.gamma < 1 or self.score != "return"

    @property
    def needs_advantages(self) -> bool:
        """Whether the advantage of every recorded step is needed."""
        return self.score == "advantage"

    def scores(self, episodes: Episodes, pairs: Pairs) -> np.ndarray | None:
        """The teacher's scores, float64 [N, 2], or None if they are the returns.

        Raises:
            InputError: if it judges by advantages and the recordings have none.
        """
        if not self.needs_steps:
            return None
        known = {
            "return": lambda: episodes.rewards,
            "advantage": lambda: episodes.advantages,
            "speed": lambda: speeds(episodes),
        }
        values = known[self.score]()
        if values is None:
            raise InputError("--teacher regret needs --advantages FILE: the advantage of every recorded step")
        return window_sum(values, pairs.rows(episodes), pairs.length, self.gamma)

    def __call__(
        self, scores: np.ndarray, returns: np.ndarray, rng: np.random.Generator, safe: np.ndarray | None = None
    ) -> Answers:
        """The teacher's answers about pairs.

        A tie of scores stays a tie, whatever the teacher; of the rest, a skipped pair is not answered, an equal one is a tie.

        Args:
            scores: float64 [N, 2], the teacher's scores.
            returns: float64 [N, 2], by which it skips and calls equal.
            rng: the stream to draw from, two numbers a pair, three with halo.
            safe: float32 [N, 2], which segments are safe; None where that is unknown, and halo does nothing.

        Returns:
            The preferences, float32 [N]; row by row, what was done: `preference_probability` float32 (that segment 1 is
            preferred, before halo and mistakes), `preference_mistaken`, `preference_skipped`, `preference_equal` and, with
            halo, `preference_halo` bool; and counts and scales for the history.

        Raises:
            InputError: if the unit is "reward" and the mean return is not positive, which leaves B-Pref's margins undefined.
        """
        drawn = uniforms(rng, len(scores), 3 if self.halo else 2)
        difference, scale = _difference(scores, self.unit)
        tie = difference == 0
        probability = np.round(_sigmoid(self.beta, difference / scale), DECIMALS).astype(np.float32)
        preference = np.where(tie, 0.5, drawn[:, 0] < probability) if self.beta < math.inf else prefer_by_return(scores)
        swayed = np.zeros(len(scores), bool)
        if self.halo and safe is not None:
            swayed = ~tie & (safe[:, 0] + safe[:, 1] == 1) & (drawn[:, 2] < self.halo)
            preference = np.where(swayed, safe[:, 1], preference)
        mistaken = ~tie & (drawn[:, 1] < self.eps_mistake)
        preference = np.where(mistaken, 1 - preference, preference)
        equal, skipped, margin = _margins(self, returns)
        preference = np.where(equal, 0.5, preference)
        preference = np.where(skipped, np.nan, preference).astype(np.float32)
        marks = {
            "preference_probability": probability,
            "preference_mistaken": mistaken & ~equal & ~skipped,
            "preference_skipped": skipped,
            "preference_equal": equal & ~skipped,
            **({"preference_halo": swayed & ~equal & ~skipped} if self.halo else {}),
        }
        facts = {name.removeprefix("preference_"): int(marks[name].sum()) for name in list(marks)[1:]}
        return preference, marks, {**facts, "scale": scale, "margin": margin}


TEACHERS = {
    "oracle": Teacher(),
    "boltzmann": Teacher(beta=1.0),
    "myopic": Teacher(gamma=0.9),
    "mistake": Teacher(eps_mistake=0.1),
    "skip": Teacher(eps_skip=0.1),
    "equal": Teacher(eps_equal=0.1),
    "regret": Teacher(score="advantage"),
    "speed": Teacher(score="speed"),
    "halo": Teacher(halo=0.25),
    # B-Pref's six, with its own parameters and units
    "bpref-oracle": Teacher(unit="reward"),
    "bpref-stochastic": Teacher(beta=1.0, unit="reward"),
    "bpref-myopic": Teacher(gamma=0.9, unit="reward"),
    "bpref-mistake": Teacher(eps_mistake=0.1, unit="reward"),
    "bpref-skip": Teacher(eps_skip=0.1, unit="reward"),
    "bpref-equal": Teacher(eps_equal=0.1, unit="reward"),
}


def speeds(episodes: Episodes) -> np.ndarray:
    """How far the observation of each step lies from the one before, in units of each dimension's largest absolute value; 0 at
    an episode's first step; float64 [T]."""
    total = np.zeros(len(episodes.observations))
    for column in episodes.observations.T.astype(np.float64):  # one after another: the same sum on every processor
        moved = np.diff(column, prepend=column[:1]) / (np.abs(column).max() or 1.0)
        total += moved * moved
    distance = np.sqrt(total)
    distance[episodes.bounds[:-1]] = 0.0
    return distance


def _difference(values: np.ndarray, unit: str) -> tuple[np.ndarray, float]:
    """The second side minus the first [N], and the unit it is measured in."""
    difference = values[:, 1] - values[:, 0]
    scale = math.sqrt(math.fsum((difference * difference).tolist()) / len(difference)) if unit == "differences" else 1.0
    return difference, scale or 1.0


def _margins(teacher: Teacher, returns: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Which pairs are equal, which are skipped (bool [N] each), and the margin that eps is a share of."""
    nowhere = np.zeros(len(returns), bool)
    difference, margin = _difference(returns, teacher.unit)
    if teacher.eps_equal == 0 == teacher.eps_skip:
        return nowhere, nowhere, margin
    mean = math.fsum(returns.ravel().tolist()) / returns.size
    if teacher.unit == "reward":
        if mean <= 0:
            raise InputError(
                f"the mean return of a segment is {mean:g}, and B-Pref's margins are shares of it: take unit=differences"
            )
        margin = mean
    equal = np.abs(difference) < teacher.eps_equal * margin
    skipped = (returns.max(axis=1) - mean < (teacher.eps_skip - 1) * margin) if teacher.eps_skip else nowhere
    return equal & (difference != 0), skipped, margin


def _sigmoid(beta: float, difference: np.ndarray) -> np.ndarray:
    if beta == math.inf:
        return 0.5 + 0.5 * np.sign(difference)
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-beta * difference))
