"""Unified Comparison: safety and reward in one preference, then CPL-KL (appendix C.3, arXiv 2512.20173)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from presa.algorithms.base import Examples, pair_examples, require_preferences
from presa.algorithms.preference import Preference
from presa.data.pairs import Data


@dataclass(frozen=True)
class UnifiedComparison(Preference):
    """A safe segment beats an unsafe one, equals are compared by reward: our reading of "high-reward and safe preferred"."""

    def examples(self, data: Data) -> Examples:
        preference = unified_preference(data.train.preference, data.train.safe)
        require_preferences(preference)
        return pair_examples(data, preference=preference)


def unified_preference(preference: Tensor, safe: Tensor) -> Tensor:
    """The one preference [N]; NaN where a safety label, or a preference between equals, is unanswered.

    Args:
        preference: [N].
        safe: [N, 2].
    """
    first, second = safe[:, 0], safe[:, 1]
    unanswered = first.isnan() | second.isnan()
    return torch.where(unanswered, torch.nan, torch.where(first == second, preference, second)).to(preference.dtype)
