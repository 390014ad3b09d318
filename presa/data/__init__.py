"""A dataset as tensors."""

from __future__ import annotations

from presa.data.pairs import Data, Examples, Split, load_data

__all__ = ["Data", "Examples", "Split", "load_data"]
