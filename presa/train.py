"""The only training loop. It knows no algorithm's name.

Everything random at a step is a function of (seed, stage, step) alone, so a run that goes on from a snapshot draws what an
uninterrupted one draws, and no generator's state has to be kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from presa.algorithms.base import Examples, Training
from presa.backprop import Backprop
from presa.networks import Parameters, log_probability, mean_action
from safefeedback.errors import InputError
from safefeedback.randomness import stream, uniforms

CHUNK_STEPS = 1 << 12  # steps of segments evaluated in one go outside of training, so that they fit the cache
DECAYS, EPSILON = (0.9, 0.999), 1e-8  # of Adam


@dataclass(frozen=True)
class Snapshot:
    """Where a stage stands.

    Attributes:
        step: how many of the stage's steps are done.
        parameters: of the policy.
        moments: Adam's, as "first/weight_0"; {} before the first step.
        state: what the algorithm carries.
    """

    step: int
    parameters: Parameters
    moments: dict[str, Tensor]
    state: dict[str, Tensor]


def fit(
    algorithm: Training, examples: Examples, start: Snapshot, seed: int, stage: str, report_every: int
) -> Iterator[tuple[Snapshot, dict[str, float]]]:
    """Trains from `start` to the algorithm's last step.

    Args:
        algorithm: see `presa.algorithms.base`.
        examples: what to draw batches from.
        start: the state to go on from; it is not changed.
        seed: of the run.
        stage: names the stage's random streams.
        report_every: steps between reports; numbers leave the device only then.

    Yields:
        At every report and at the end: a copy of the state, and the means of the algorithm's numbers since the last report.

    Raises:
        InputError: naming the step, if the loss is not finite.
    """
    device = examples.observations.device
    size = algorithm.batch_size * examples.per_pair
    adam = Adam(start.parameters, start.moments)
    leaves = {name: value[None].requires_grad_() for name, value in adam.parameters.items()}
    network = Backprop(leaves, size * math.prod(examples.observations.shape[1:-1]), algorithm.dropout)
    batches = Batches(len(examples), size, seed, stage)
    generator = torch.Generator(device)
    state = start.state
    tally = Tally()
    failed = torch.full((), -1, dtype=torch.int64, device=device)
    for step in range(start.step, algorithm.own_steps):
        index = torch.from_numpy(batches.index(step)).to(device)
        actions = examples.actions.index_select(0, index)
        states = examples.observations.index_select(0, index)
        network.draw([generator.manual_seed(_word(seed, stage, step))])
        mean = network.mean_action(leaves, states.flatten(0, -2)[None])
        scores = log_probability(mean.view_as(actions), actions)
        labels = {name: label.index_select(0, index) for name, label in examples.labels.items()}
        loss, info, state = algorithm.loss(scores, labels, state)
        adam.step(torch.autograd.grad(loss, list(leaves.values())), algorithm.rate(step), step + 1)
        failed = torch.where((failed < 0) & ~loss.detach().isfinite(), step, failed)
        tally.add({"loss": loss.detach(), **info})
        if (step + 1) % report_every == 0 or step + 1 == algorithm.own_steps:
            if (at := int(failed)) >= 0:
                raise InputError(
                    f"the loss was not finite at step {at + 1} of stage {stage}: lower learning_rate or look at the data"
                )
            yield Snapshot(step + 1, _copy(adam.parameters), _copy(adam.moments), state), tally.take()


class Adam:
    """Adam (arXiv 1412.6980, algorithm 1) over one vector of all parameters, of which `parameters` and `moments` are views.

    Written out because `torch.optim` takes seconds to load and steps tensor by tensor.
    """

    def __init__(self, parameters: Parameters, moments: dict[str, Tensor]) -> None:
        """Copies the parameters, and the moments "first/weight_0" and so on; {} for those before the first step."""
        self.vector, self.first, self.second = (torch.cat([p.flatten() for p in parameters.values()]) for _ in range(3))
        self.spare, self.gradient = torch.empty_like(self.vector), torch.empty_like(self.vector)
        self.parameters = _views(self.vector, parameters)
        self.moments = {
            f"{moment}/{name}": view
            for moment in ("first", "second")
            for name, view in _views(getattr(self, moment), parameters).items()
        }
        for name, view in self.moments.items():
            view.copy_(moments[name]) if moments else view.zero_()

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rate: float, step: int) -> None:
        """One step, counted from 1, along the gradients of the parameters in their order; changes parameters and moments."""
        first_scale, second_scale = (1 - decay**step for decay in DECAYS)
        torch.cat([gradient.flatten() for gradient in gradients], out=self.gradient)
        self.first.lerp_(self.gradient, 1 - DECAYS[0])
        self.second.mul_(DECAYS[1]).addcmul_(self.gradient, self.gradient, value=1 - DECAYS[1])
        torch.sqrt(self.second, out=self.spare).mul_(second_scale**-0.5).add_(EPSILON).mul_(first_scale)
        self.vector.addcdiv_(self.first, self.spare, value=-rate)


class Batches:
    """Indices of M examples, every one once in each epoch, in an order of its own."""

    def __init__(self, count: int, size: int, seed: int, stage: str) -> None:
        self.count, self.size, self.seed, self.stage = count, size, seed, stage
        self.epoch, self.order = -1, np.empty(0, np.int64)

    def index(self, step: int) -> np.ndarray:
        """The examples of one step, int64 [size]; a batch may reach into the next epoch."""
        parts, begin, end = [], step * self.size, (step + 1) * self.size
        while begin < end:
            epoch, first = divmod(begin, self.count)
            part = self._permutation(epoch)[first : first + end - begin]
            parts.append(part)
            begin += len(part)
        return np.concatenate(parts)

    def _permutation(self, epoch: int) -> np.ndarray:
        if epoch != self.epoch:
            self.epoch = epoch
            self.order = np.argsort(uniforms(stream(self.seed, f"{self.stage}-epoch-{epoch}"), self.count), kind="stable")
        return self.order


class Tally:
    """Sums of numbers, kept on the device until they are taken; those that are NaN are not counted."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.sums, self.counts = torch.empty(0), torch.empty(0)

    def add(self, numbers: dict[str, Tensor]) -> None:
        """Counts one step's numbers, which are of the same names every time."""
        values = torch.stack(list(numbers.values())).double()
        if not self.names:
            self.names = list(numbers)
            self.sums, self.counts = torch.zeros_like(values), torch.zeros_like(values)
        self.counts += values == values
        self.sums += values.nan_to_num_(0.0, math.inf, -math.inf)

    def take(self) -> dict[str, float]:
        """The means, NaN where nothing was counted; starts anew."""
        if not self.names:
            return {}
        means = dict(zip(self.names, (self.sums / self.counts).tolist(), strict=True))
        self.names = []
        return means


@torch.no_grad()
def segment_log_probability(parameters: Parameters, observations: Tensor, actions: Tensor) -> Tensor:
    """log pi of every recorded action, without dropout: [M, ...] of [M, ..., O] and [M, ..., A]."""
    size = max(1, CHUNK_STEPS // max(1, observations[0, ..., 0].numel()))
    pieces = zip(observations.split(size), actions.split(size), strict=True)
    return torch.cat([log_probability(mean_action(parameters, states), act) for states, act in pieces])


def with_reference(examples: Examples, parameters: Parameters) -> Examples:
    """The examples with the label `reference`: log pi_ref of every action, computed once and frozen."""
    reference = segment_log_probability(parameters, examples.observations, examples.actions)
    return replace(examples, labels={**examples.labels, "reference": reference})


def _views(vector: Tensor, like: Parameters) -> Parameters:
    """A vector cut and shaped as the parameters."""
    parts = vector.split([value.numel() for value in like.values()])
    return {name: part.view_as(value) for part, (name, value) in zip(parts, like.items(), strict=True)}


def _copy(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in tensors.items()}


def _word(seed: int, stage: str, step: int) -> int:
    return int(stream(seed, f"{stage}-step-{step}").bit_generator.random_raw() >> 1)
