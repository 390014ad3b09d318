"""Safe-RLHF (Dai et al., arXiv 2310.12773): step-wise reward and cost models, and a transformer trained on their
predictions."""

from __future__ import annotations

from presa.algorithms.safe_rlhf.safe_rlhf import SafeRLHF, SafeRLHFBinary

__all__ = ["SafeRLHF", "SafeRLHFBinary"]
