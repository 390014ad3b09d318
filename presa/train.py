"""The only training loop. It knows no algorithm's name.

Everything random at a step is a function of (seed, stage, step) alone, so a run that goes on from a snapshot draws what an
uninterrupted one draws, and no generator's state has to be kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from presa.algorithms.base import Examples, Training
from presa.networks import Parameters, log_probability, mean_action
from safefeedback.errors import InputError
from safefeedback.randomness import stream, uniforms

CHUNK_STEPS = 1 << 16  # steps of segments evaluated in one go outside of training
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
    parameters = {name: value.detach().clone().requires_grad_() for name, value in start.parameters.items()}
    moments = {name: value.clone() for name, value in (start.moments or adam_start(start.parameters)).items()}
    batches = Batches(len(examples), algorithm.batch_size * examples.per_pair, seed, stage)
    generator = torch.Generator(device)
    state = start.state
    tally = Tally()
    failed = torch.full((), -1, dtype=torch.int64, device=device)
    for step in range(start.step, algorithm.own_steps):
        index = torch.from_numpy(batches.index(step)).to(device)
        generator.manual_seed(_word(seed, stage, step))
        loss, info, state = algorithm.objective(parameters, examples, index, generator, state)
        gradients = dict(zip(parameters, torch.autograd.grad(loss, list(parameters.values())), strict=True))
        adam_step(parameters, algorithm.gradients(gradients), moments, algorithm.rate(step), step + 1, algorithm.decay(step))
        failed = torch.where((failed < 0) & ~loss.detach().isfinite(), step, failed)
        tally.add({"loss": loss.detach(), **info})
        if (step + 1) % report_every == 0 or step + 1 == algorithm.own_steps:
            if (at := int(failed)) >= 0:
                raise InputError(
                    f"the loss was not finite at step {at + 1} of stage {stage}: lower learning_rate or look at the data"
                )
            yield Snapshot(step + 1, _copy(parameters), _copy(moments), state), tally.take()


def adam_start(parameters: Parameters) -> dict[str, Tensor]:
    """Adam's moments before the first step: zeros."""
    return {f"{moment}/{name}": torch.zeros_like(value) for moment in ("first", "second") for name, value in parameters.items()}


@torch.no_grad()
def adam_step(
    parameters: Parameters, gradients: Parameters, moments: dict[str, Tensor], rate: float, step: int, decay: float = 0.0
) -> None:
    """One step of Adam (arXiv 1412.6980, algorithm 1), the only function here that changes its arguments.

    Written out because `torch.optim` takes seconds to load; being elementwise, it allows runs stacked in front.

    Args:
        parameters, moments: changed in place.
        gradients: of the loss, by the parameters' names.
        rate: learning rate.
        step: counted from 1.
        decay: share of every parameter that is taken off first (AdamW, arXiv 1711.05101).
    """
    first_scale, second_scale = (1 - share**step for share in DECAYS)
    for name, gradient in gradients.items():
        first, second = moments[f"first/{name}"], moments[f"second/{name}"]
        first.lerp_(gradient, 1 - DECAYS[0])
        second.mul_(DECAYS[1]).addcmul_(gradient, gradient, value=1 - DECAYS[1])
        if decay:
            parameters[name].mul_(1 - decay)
        parameters[name].sub_(first / first_scale / ((second / second_scale).sqrt() + EPSILON) * rate)


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
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, Tensor] = {}

    def add(self, numbers: dict[str, Tensor]) -> None:
        for name, value in numbers.items():
            self.sums[name] = self.sums.get(name, 0.0) + value.nan_to_num(0.0)
            self.counts[name] = self.counts.get(name, 0) + ~value.isnan()

    def take(self) -> dict[str, float]:
        """The means, NaN where nothing was counted; starts anew."""
        if not self.sums:
            return {}
        means = (torch.stack([s.double() for s in self.sums.values()]) / torch.stack(list(self.counts.values()))).tolist()
        names = list(self.sums)
        self.sums, self.counts = {}, {}
        return dict(zip(names, means, strict=True))


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


def _copy(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in tensors.items()}


def _word(seed: int, stage: str, step: int) -> int:
    return int(stream(seed, f"{stage}-step-{step}").bit_generator.random_raw() >> 1)
