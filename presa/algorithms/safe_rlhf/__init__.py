"""Safe-RLHF (Dai et al., arXiv 2310.12773) with models of single steps, and a transformer on what they say."""

from __future__ import annotations

from presa.algorithms.safe_rlhf.safe_rlhf import SafeRLHF, SafeRLHFBinary

__all__ = ["SafeRLHF", "SafeRLHFBinary"]
