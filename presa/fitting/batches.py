"""The random choices of a run at each step, a function of (seed, stage, step) alone: a batch, and the generator's seed."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from presa.algorithms.base import Algorithm, Examples
from safefeedback.randomness import derived_seed, stream, uniforms

BLOCK = 256  # steps whose weighted draws are made at once


class BatchSampler:
    """Draws one run's batches, independently of the runs trained beside it; all other randomness comes from `generator`."""

    def __init__(self, algorithm: Algorithm, examples: Examples, seed: int, stage: str) -> None:
        self.seed, self.stage, device = seed, stage, examples.observations.device
        self.size = algorithm.batch_size * examples.per_pair
        self.seeds_generator = algorithm.dropout > 0 or not algorithm.stackable
        if examples.weight is None:
            self.batches: ShuffledBatches | WeightedBatches = ShuffledBatches(len(examples), self.size, seed, stage, device)
        else:
            self.batches = WeightedBatches(examples.weight, self.size, seed, stage, device)
        self.generator = torch.Generator(device)

    def batch(self, step: int) -> Tensor:
        """The batch's examples, int64 [size]; seeds the generator for that step."""
        if self.seeds_generator:
            self.generator.manual_seed(derived_seed(self.seed, f"{self.stage}-step-{step}"))
        return self.batches.index(step)


class ShuffledBatches:
    """Indices of M examples, each once in every epoch, in a new order."""

    def __init__(self, count: int, size: int, seed: int, stage: str, device: torch.device | str = "cpu") -> None:
        self.count, self.size, self.seed, self.stage, self.device = count, size, seed, stage, torch.device(device)
        self.epoch, self.order = -1, torch.empty(0, dtype=torch.int64)

    def index(self, step: int) -> Tensor:
        """The examples of one step, int64 [size]; a batch may reach into the next epoch."""
        parts, begin, end = [], step * self.size, (step + 1) * self.size
        while begin < end:
            epoch, first = divmod(begin, self.count)
            part = self._permutation(epoch)[first : first + end - begin]
            parts.append(part)
            begin += len(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _permutation(self, epoch: int) -> Tensor:
        if epoch != self.epoch:
            self.epoch = epoch
            drawn = uniforms(stream(self.seed, f"{self.stage}-epoch-{epoch}"), self.count)
            if self.device.type == "cpu":
                self.order = torch.from_numpy(np.argsort(drawn, kind="stable"))
            else:
                self.order = to_device(drawn, self.device).argsort(stable=True)
        return self.order


class WeightedBatches:
    """Indices of M examples, drawn with replacement in proportion to their weights [M], evenly spread within a batch."""

    def __init__(self, weight: np.ndarray, size: int, seed: int, stage: str, device: torch.device | str = "cpu") -> None:
        self.size, self.seed, self.stage, self.device = size, seed, stage, torch.device(device)
        cumulative = np.cumsum(weight, dtype=np.float64)
        self.last = int(np.flatnonzero(weight)[-1])
        self.cumulative = to_device(cumulative / cumulative[-1], self.device)
        self.block, self.indices = -1, torch.empty(0, dtype=torch.int64)

    def index(self, step: int) -> Tensor:
        """The examples of one step, int64 [size]."""
        block, row = divmod(step, BLOCK)
        if block != self.block:
            self.block = block
            drawn = uniforms(stream(self.seed, f"{self.stage}-weighted-{block}"), BLOCK, self.size)
            points = to_device((drawn + np.arange(self.size)) / self.size, self.device)
            self.indices = torch.searchsorted(self.cumulative, points, right=True).clamp(max=self.last)
        return self.indices[row]


def to_device(values: np.ndarray, device: torch.device) -> Tensor:
    """A copy on the device, made asynchronously."""
    tensor = torch.from_numpy(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
