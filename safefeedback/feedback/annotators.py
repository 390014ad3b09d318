"""Simulated annotators who judge whether segments are safe.

    --safety-noise rates:miss=0.2,false_alarm=0.05
    --safety-noise boundary:scale=1.5
    --safety-noise panel:miss=0.1/0.2/0.3,false_alarm=0.1/0.1/0.1,consensus=dawid-skene
    --safety-noise lenient:factor=1.5
    --safety-noise drift:end=0.5,over=10000

A miss calls an unsafe segment safe; a false alarm calls a safe one unsafe. An annotator is a frozen dataclass of its
settings, called as `annotator(clean, costs, segment_limit, rng) -> labels, marks`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from safefeedback.errors import InputError
from safefeedback.feedback.consensus import CONSENSUS
from safefeedback.feedback.labels import safe_by_cost
from safefeedback.feedback.teachers import DECIMALS
from safefeedback.feedback.variants import check_share
from safefeedback.randomness import uniforms

Judgement = tuple[np.ndarray, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Exact:
    """Every label is true."""

    def __call__(self, clean: np.ndarray, costs: np.ndarray, segment_limit: float, rng: np.random.Generator) -> Judgement:
        return clean, {}


@dataclass(frozen=True)
class Rates:
    """One annotator with a rate of misses and a rate of false alarms."""

    miss: float = 0.1
    false_alarm: float = 0.1

    def __post_init__(self) -> None:
        check_share("miss", self.miss)
        check_share("false_alarm", self.false_alarm)

    def __call__(self, clean: np.ndarray, costs: np.ndarray, segment_limit: float, rng: np.random.Generator) -> Judgement:
        return _err(clean, np.where(clean == 1, self.false_alarm, self.miss), rng)


@dataclass(frozen=True)
class Boundary:
    """Errors are more likely near the limit: P(error) = Phi(-|cost - limit| / scale), as if cost were seen with Gaussian
    noise of that scale (a probit), in units of cost."""

    scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.scale < math.inf:
            raise InputError(f"scale must be 0 or more, not {self.scale}")

    def __call__(self, clean: np.ndarray, costs: np.ndarray, segment_limit: float, rng: np.random.Generator) -> Judgement:
        if self.scale == 0:
            return _err(clean, np.zeros(clean.shape), rng)
        distance, index = np.unique(np.abs(costs - segment_limit), return_inverse=True)
        error = np.array([round(0.5 * math.erfc(value / self.scale / math.sqrt(2)), DECIMALS) for value in distance.tolist()])
        return _err(clean, error[index].reshape(clean.shape), rng)


@dataclass(frozen=True)
class Panel:
    """Several annotators, each with rates of its own, and one label from them by `consensus`; a split vote is null."""

    miss: tuple[float, ...] = (0.1, 0.2, 0.3)
    false_alarm: tuple[float, ...] = (0.1, 0.2, 0.3)
    consensus: str = "majority"

    def __post_init__(self) -> None:
        if len(self.miss) != len(self.false_alarm):
            raise InputError(
                f"miss and false_alarm need a rate for each annotator, not {len(self.miss)} and {len(self.false_alarm)}"
            )
        for name in ("miss", "false_alarm"):
            for rate in getattr(self, name):
                check_share(name, rate)
        if self.consensus not in CONSENSUS:
            raise InputError(f"consensus must be {' or '.join(CONSENSUS)}, not '{self.consensus}'")

    def __call__(self, clean: np.ndarray, costs: np.ndarray, segment_limit: float, rng: np.random.Generator) -> Judgement:
        votes = np.where(clean == 1, 1, 0)[..., None]
        error = np.where(votes == 1, self.false_alarm, self.miss)
        votes = np.where(uniforms(rng, *error.shape) < error, 1 - votes, votes).astype(np.float32)
        labels = CONSENSUS[self.consensus](votes.reshape(-1, len(self.miss))).reshape(clean.shape)
        return np.where(np.isnan(clean), np.nan, labels).astype(np.float32), {"is_safe_votes": votes}


def _check_factor(name: str, value: float) -> None:
    """Raises InputError unless the value can be a share of the limit."""
    if not 0 <= value <= 1e6:
        raise InputError(f"{name} must be 0 or a positive share of the limit, not {value}")


@dataclass(frozen=True)
class Threshold:
    """One annotator who draws the line elsewhere (severity and leniency of raters): a segment is called safe if its cost is at
    most `factor` times the limit; at 0 any violation is unsafe."""

    factor: float = 1.0

    def __post_init__(self) -> None:
        _check_factor("factor", self.factor)

    def __call__(self, clean: np.ndarray, costs: np.ndarray, segment_limit: float, rng: np.random.Generator) -> Judgement:
        return safe_by_cost(costs, self.factor * segment_limit), {}


@dataclass(frozen=True)
class Drift:
    """One annotator whose line moves while labelling (rater drift): from `start` times the limit at the first pair to `end`
    times the limit after `over` pairs, in the order of the draw, and there it stays."""

    start: float = 1.0
    end: float = 0.5
    over: int = 10_000

    def __post_init__(self) -> None:
        _check_factor("start", self.start)
        _check_factor("end", self.end)
        if self.over < 1:
            raise InputError(f"over must be at least 1 pair, not {self.over}")

    def __call__(self, clean: np.ndarray, costs: np.ndarray, segment_limit: float, rng: np.random.Generator) -> Judgement:
        passed = np.minimum(np.arange(len(costs)) / self.over, 1.0)
        factor = self.start + (self.end - self.start) * passed
        return (costs <= factor[:, None] * segment_limit).astype(np.float32), {}


Annotator = Callable[[np.ndarray, np.ndarray, float, np.random.Generator], Judgement]
ANNOTATORS: dict[str, Annotator] = {
    "none": Exact(),
    "rates": Rates(),
    "boundary": Boundary(),
    "panel": Panel(),
    "any-violation": Threshold(0.0),
    "strict": Threshold(0.5),
    "lenient": Threshold(2.0),
    "drift": Drift(),
}


def _err(clean: np.ndarray, error: np.ndarray, rng: np.random.Generator) -> Judgement:
    """Flips each label with its probability; all [N, 2]."""
    labels = np.where(uniforms(rng, *clean.shape) < error, 1 - clean, clean).astype(np.float32)
    return labels, {"is_safe_error_probability": error.astype(np.float32)}
