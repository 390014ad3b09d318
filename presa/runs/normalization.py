"""Observations shifted and scaled to mean 0 and deviation 1: over every known step once where steps are cloned, or else over
the training pairs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from presa.algorithms.base import Algorithm
from presa.data.pairs import Data


class Normalization:
    """The normalisation shared by runs over the same segments; it caches its results, so that runs share these as well.

    Attributes:
        shift, scale: [O], or None where observations are not normalised.
    """

    def __init__(self, algorithm: Algorithm, data: Data) -> None:
        self.shift: Tensor | None = None
        self.scale: Tensor | None = None
        self.cached: list[tuple[Tensor, Tensor]] = []
        if algorithm.normalize_observations:
            by_steps = getattr(algorithm, "cloning", None) == "steps"
            flat = data.steps.observations if by_steps else data.train.observations.flatten(0, -2)
            self.shift, self.scale = flat.mean(0), flat.std(0).clamp(min=1e-3)

    def __call__(self, values: Any) -> Any:
        """Split or Examples with its observations shifted and scaled, if the algorithm asks for it; None stays None. Columns
        that an algorithm puts after the observations' own stay as they are."""
        if values is None or self.shift is None or self.scale is None:
            return values
        normalized = next((after for before, after in self.cached if before is values.observations), None)
        if normalized is None:
            observed, more = values.observations.tensor_split([len(self.shift)], -1)
            normalized = (observed - self.shift) / self.scale
            normalized = torch.cat([normalized, more], -1) if more.shape[-1] else normalized
            self.cached.append((values.observations, normalized))
        return replace(values, observations=normalized)
