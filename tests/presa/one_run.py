"""One training run by itself, for tests and benchmarks."""

from __future__ import annotations

from collections.abc import Iterator

from presa.algorithms.base import Algorithm, Examples
from presa.fitting.fit import Snapshot, fit_stack
from safefeedback.errors import InputError


def fit(
    algorithm: Algorithm, examples: Examples, start: Snapshot, seed: int, stage: str, report_every: int
) -> Iterator[tuple[Snapshot, dict[str, float]]]:
    """`fit_stack` of one run; raises its InputError."""
    for (outcome,) in fit_stack(algorithm, [examples], [start], [seed], stage, report_every):
        if isinstance(outcome, InputError):
            raise outcome
        assert outcome[1] is not None  # nothing pauses it
        yield outcome[0], outcome[1]
