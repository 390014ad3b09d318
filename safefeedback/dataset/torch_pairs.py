"""A dataset for PyTorch's loaders: shaped tensors, pair by pair."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from safefeedback.dataset.reading import Folder, open_dataset
from safefeedback.imports import require_packages

if TYPE_CHECKING:
    from torch import Tensor


class TorchPairs:
    """The pairs of one split as a map-style dataset, in memory, which the workers of a `DataLoader` share.

    Each item is a dictionary: `pair_id` int64 [], `observations` float32 [2, L, O], `actions` float32 [2, L, A], `preference`
    float32 [] and `safe` float32 [2]. An unanswered label is NaN, so that every batch can be stacked:
    `known = ~batch["preference"].isnan()`.
    """

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.tensors = tensors

    def __len__(self) -> int:
        return len(self.tensors["pair_id"])

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        return {name: values[row] for name, values in self.tensors.items()}


def torch_dataset(
    source: str | Path | Folder, labels: str | None = None, split: str = "train", revision: str | None = None
) -> TorchPairs:
    """Reads a split as tensors for `torch.utils.data.DataLoader`, with any number of workers.

    Args:
        source: a dataset's folder, or a Hub repository, as `safefeedback.read` takes it.
        labels: a label set; None for the published labels.
        split: "train" or "test".
        revision: branch, tag or commit of a repository.

    Returns:
        Of each pair: pair_id, observations [2, L, O], actions [2, L, A], preference and safe [2].

    Raises:
        InputError: as `safefeedback.read` does, and if PyTorch is not installed.
    """
    require_packages("torch_dataset", "torch")
    import torch

    data = open_dataset(source, revision).pairs(labels, split)
    names = ("pair_id", "observations", "actions", "preference", "safe")
    return TorchPairs({name: torch.from_numpy(getattr(data, name)) for name in names})
