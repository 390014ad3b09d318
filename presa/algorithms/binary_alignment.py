"""Binary Alignment: one good-or-bad label per segment, then eq. 9 (baseline of section 6, arXiv 2512.20173)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from presa.algorithms.base import Examples, pair_examples
from presa.algorithms.safety import Safety, require_both_classes
from presa.data.pairs import Data


@dataclass(frozen=True)
class BinaryAlignment(Safety):
    """A segment is good iff it is safe and preferred; the safety loss on these labels, counted anew, and nothing else."""

    def examples(self, data: Data) -> Examples:
        good = good_segments(data.train.preference, data.train.safe)
        require_both_classes(good, "(here: safe and preferred) segment")
        return pair_examples(data, safe=good)


def good_segments(preference: Tensor, safe: Tensor) -> Tensor:
    """1.0 where a segment is safe and preferred, 0.0 where it is not, NaN where that cannot be known; [N, 2].

    Both sides of a tie are 0. A segment known to be unsafe, or not preferred, is 0 whatever the other label says.

    Args:
        preference: [N].
        safe: [N, 2].
    """
    preferred = torch.stack([preference < 0.5, preference > 0.5], -1)
    unanswered = preference.isnan()[:, None]
    good = torch.where(preferred, safe, torch.where(unanswered & (safe != 0), torch.nan, 0.0))
    return good.to(safe.dtype)
