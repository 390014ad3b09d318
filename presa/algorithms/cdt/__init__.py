"""The Constrained Decision Transformer (Liu et al., arXiv 2302.07351), from true rewards and costs."""

from __future__ import annotations

from presa.algorithms.cdt.cdt import CDT

__all__ = ["CDT"]
