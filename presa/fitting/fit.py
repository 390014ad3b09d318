"""The only training loop. It does not depend on any algorithm.

Everything random at a step is a function of (seed, stage, step) alone, so a run that continues from a snapshot draws the same
numbers as an uninterrupted one, and no generator state has to be saved.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from presa.algorithms.base import Algorithm, Examples, Step
from presa.fitting.batches import BatchSampler
from presa.networks.adam import Adam
from presa.networks.mlp import Parameters, segment_log_probability
from safefeedback.errors import InputError


@dataclass(frozen=True)
class Snapshot:
    """The state of a training stage.

    Attributes:
        step: how many of the stage's steps are done.
        parameters: of the policy.
        moments: Adam's, as "first/weight_0"; {} before the first step.
        state: what the algorithm carries.
        tally: sums and counts of its numbers since the last report, float64 [2] each; {} at a report.
    """

    step: int
    parameters: Parameters
    moments: dict[str, Tensor]
    state: dict[str, Tensor]
    tally: dict[str, Tensor] = field(default_factory=dict)


Outcome = tuple[Snapshot, dict[str, float] | None] | InputError
OnStep = Callable[[Sequence[int], int], bool]  # called with runs and how many steps they have done; returns whether to pause


def fit_runs(
    algorithm: Algorithm,
    examples: Sequence[Examples],
    starts: Sequence[Snapshot],
    seeds: Sequence[int],
    stage: str,
    report_every: int,
    on_step: OnStep = lambda runs, step: False,
) -> Iterator[Sequence[Outcome | None]]:
    """`fit_stack` in the fastest way for the device; None for a run that failed at an earlier report.

    On a CPU the runs are trained in turn, from one report to the next: the working set of one run fits in the processor's
    cache, that of a stack does not, and the numbers are bit-identical to those of the run alone. On other devices they are
    one stack.
    """
    if examples[0].observations.device.type != "cpu":
        yield from fit_stack(algorithm, examples, starts, seeds, stage, report_every, on_step)
        return

    def alone(run: int) -> Iterator[list[Outcome]]:
        def on_own_step(_: Sequence[int], step: int) -> bool:
            return on_step([run], step)

        return fit_stack(algorithm, [examples[run]], [starts[run]], [seeds[run]], stage, report_every, on_own_step)

    runs = [alone(run) for run in range(len(seeds))]
    for outcomes in itertools.zip_longest(*runs):
        yield [None if outcome is None else outcome[0] for outcome in outcomes]


def fit_stack(
    algorithm: Algorithm,
    examples: Sequence[Examples],
    starts: Sequence[Snapshot],
    seeds: Sequence[int],
    stage: str,
    report_every: int,
    on_step: OnStep = lambda runs, step: False,
) -> Iterator[list[Outcome]]:
    """Trains R runs side by side from `starts` to the algorithm's last step, each as if it were alone.

    Args:
        algorithm: see `presa.algorithms.base`.
        examples: what each run draws batches from; tensors may be shared.
        starts: the states to go on from, all at the same step; they are not changed.
        seeds: of the runs.
        stage: names the stage's random streams.
        report_every: steps between reports; numbers leave the device only then.
        on_step: called after every step; if it returns true, the runs pause: their states are yielded, with None between two
            reports, and the generator ends. A run that continues from there gives the same numbers.

    Yields:
        At every report and at the end, for each run: a copy of the state and the means of the algorithm's numbers since the
        last report, or an InputError that names the step if the loss, or a parameter after it, is not finite. Such a run does
        not affect the others; the loop ends when no run is left.
    """
    adam = Adam(_stacked([start.parameters for start in starts]), _stacked([start.moments for start in starts]))
    leaves = {name: value.requires_grad_() for name, value in adam.parameters.items()}
    batches = (_Stack if algorithm.stackable else _Alone)(algorithm, examples, seeds, stage, leaves)
    state = _stacked([start.state for start in starts])
    tally = Tally([start.tally for start in starts])
    shapes = [{name: value.shape for name, value in start.parameters.items()} for start in starts]
    everyone = range(len(seeds))
    failed = torch.full((len(seeds),), -1, dtype=torch.int64, device=examples[0].observations.device)
    for step in range(starts[0].step, algorithm.own_steps):
        loss, info, state = batches.losses(step, state)
        gradients = dict(zip(leaves, torch.autograd.grad(loss.sum(), list(leaves.values())), strict=True))
        adam.step(list(algorithm.gradients(gradients).values()), algorithm.rate(step), step + 1, algorithm.decay(step))
        failed = torch.where((failed < 0) & ~loss.detach().isfinite(), step, failed)
        tally.add({"loss": loss.detach(), **info})
        reports = (step + 1) % report_every == 0 or step + 1 == algorithm.own_steps
        paused = on_step(everyone, step + 1)
        if reports or paused:
            broken, sums = ~_finite(leaves), [{}] * len(seeds) if reports else tally.runs()
            means = tally.take() if reports else [None] * len(seeds)
            steps = torch.where((failed < 0) & broken, step, failed).tolist()
            yield [
                _not_finite(at, stage)
                if at >= 0
                else (
                    Snapshot(
                        step + 1,
                        _single_run(adam.parameters, run, shapes[run]),
                        _single_run(adam.moments, run, shapes[run]),
                        _single_run(state, run, shapes[run]),
                        sums[run],
                    ),
                    means[run],
                )
                for run, at in enumerate(steps)
            ]
            if min(steps) >= 0 or paused:
                return


class _Stack:
    """Batches of R runs and their networks."""

    def __init__(
        self, algorithm: Algorithm, examples: Sequence[Examples], seeds: Sequence[int], stage: str, parameters: Parameters
    ) -> None:
        self.algorithm, self.parameters = algorithm, parameters
        self.samplers = [
            BatchSampler(algorithm, run_examples, seed, stage) for run_examples, seed in zip(examples, seeds, strict=True)
        ]
        self.observations, self.actions = (
            _Table([getattr(run_examples, name) for run_examples in examples]) for name in ("observations", "actions")
        )
        self.labels = {name: _Table([run_examples.labels[name] for run_examples in examples]) for name in examples[0].labels}
        rows = self.samplers[0].size * math.prod(examples[0].observations.shape[1:-1])
        self.network = algorithm.network(parameters, rows)

    def losses(self, step: int, state: dict[str, Tensor]) -> Step:
        """The loss of every run [R], its numbers, and the state after the step."""
        states, actions, labels = self.batch(step)
        self.network.draw([sampler.generator for sampler in self.samplers])
        return run_losses(self.algorithm, self.network.scores(self.parameters, states, actions), labels, state)

    def batch(self, step: int) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """The observations [R, B, ..., O], actions and labels of a step's batches; seeds the generators."""
        index = torch.stack([sampler.batch(step) for sampler in self.samplers])
        labels = {name: table.rows(index) for name, table in self.labels.items()}
        return self.observations.rows(index), self.actions.rows(index), labels


class _Table:
    """A tensor [M, ...] of each of R runs, stored once where runs share it; one gather takes the rows of all runs."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        distinct = {id(tensor): tensor for tensor in tensors}
        begins = dict(zip(distinct, itertools.accumulate(map(len, distinct.values()), initial=0), strict=False))
        own = list(distinct.values())  # rows may be as wide as those of the widest run, and each run has its own number of them
        self.values = own[0] if len(own) == 1 else torch.cat(_filled(own, min(1, own[0].ndim - 1)))
        self.begin = torch.tensor([begins[id(tensor)] for tensor in tensors], device=self.values.device)[:, None]

    def rows(self, index: Tensor) -> Tensor:
        """[R, B, ...] of the rows [R, B] of each run's own tensor."""
        flat = index.flatten() if len(index) == 1 else (index + self.begin).flatten()
        return self.values.index_select(0, flat).unflatten(0, index.shape)


class _Alone:
    """Batches of one run of an algorithm with its own network."""

    def __init__(
        self, algorithm: Algorithm, examples: Sequence[Examples], seeds: Sequence[int], stage: str, parameters: Parameters
    ) -> None:
        (self.examples,), (seed,) = examples, seeds
        self.algorithm, self.parameters = algorithm, parameters
        self.sampler = BatchSampler(algorithm, self.examples, seed, stage)

    def losses(self, step: int, state: dict[str, Tensor]) -> Step:
        """As `_Stack.losses`, of one run."""
        index, generator = self.sampler.batch(step), self.sampler.generator
        return _stacked_step(self.algorithm.objective(_first(self.parameters), self.examples, index, generator, _first(state)))


def run_losses(algorithm: Algorithm, scores: Tensor, labels: dict[str, Tensor], state: dict[str, Tensor]) -> Step:
    """The algorithm's loss of every run: all tensors have a leading axis of runs, and the algorithm is called for one run."""
    if len(scores) > 1:
        try:
            return torch.vmap(algorithm.loss)(scores, labels, state)
        except RuntimeError as error:
            if "vmap" not in str(error):
                raise
            why = f"the loss of {type(algorithm).__name__} cannot be computed for many runs at once"
            raise InputError(f"{why} ({str(error).splitlines()[0]}): set stackable = False on it") from None
    return _stacked_step(algorithm.loss(scores[0], _first(labels), _first(state)))


def _stacked_step(step: Step) -> Step:
    """A step of one run with the axis of the runs in front."""
    loss, info, after = step
    return loss[None], {name: value[None] for name, value in info.items()}, {name: value[None] for name, value in after.items()}


class Tally:
    """Running sums on the device, from which means are taken at a report; NaN is not counted."""

    def __init__(self, initial: Sequence[dict[str, Tensor]] = ()) -> None:
        """`initial` is what `runs` returned for each run, to continue from."""
        self.names: list[str] = list(initial[0]) if initial and all(initial) else []
        self.resumed = bool(self.names)  # then the names are in the file's order, which may be any
        self.sums, self.counts = torch.empty(0), torch.empty(0)
        if self.names:
            self.sums, self.counts = torch.stack([torch.stack(list(run.values())) for run in initial]).permute(2, 1, 0)

    def add(self, numbers: dict[str, Tensor]) -> None:
        """Counts one step's numbers, [R] each and of the same names every time."""
        values = torch.stack(list(numbers.values())).double()
        if not self.names:
            self.names = list(numbers)
            self.sums, self.counts = torch.zeros_like(values), torch.zeros_like(values)
        elif self.resumed:
            order = [self.names.index(name) for name in numbers]
            self.names, self.sums, self.counts = list(numbers), self.sums[order], self.counts[order]
            self.resumed = False
        self.counts += values == values
        self.sums += values.nan_to_num_(0.0, math.inf, -math.inf)

    def runs(self) -> list[dict[str, Tensor]]:
        """The sum and the count of each run's numbers, float64 [2]."""
        both = torch.stack([self.sums, self.counts]).permute(2, 1, 0)
        return [{name: value.clone() for name, value in zip(self.names, run, strict=True)} for run in both]

    def take(self) -> list[dict[str, float]]:
        """The means of each run, NaN where nothing was counted; resets the sums."""
        means = [dict(zip(self.names, run, strict=True)) for run in (self.sums / self.counts).T.tolist()]
        self.names = []
        return means


def with_reference(examples: Examples, parameters: Parameters) -> Examples:
    """The examples with the label `reference`: log pi_ref of every action, computed once and frozen."""
    reference = segment_log_probability(parameters, examples.observations, examples.actions)
    return replace(examples, labels={**examples.labels, "reference": reference})


def _stacked(runs: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """One tensor of each name, the runs in front. Those of runs with fewer observation or action dims are padded with zeros,
    as their batches are: these weights have no gradient and stay zero."""
    return {name: torch.stack(_filled([run[name] for run in runs])) for name in runs[0]}


def _filled(tensors: Sequence[Tensor], last: int | None = None) -> list[Tensor]:
    """The tensors padded with zeros at the end of their axes, or of the last ones, to the size of the largest."""
    axes = range(-1, -1 - (tensors[0].ndim if last is None else last), -1)
    missing = [[max(other.shape[axis] for other in tensors) - tensor.shape[axis] for axis in axes] for tensor in tensors]
    return [
        pad(tensor, [count for lack in lacks for count in (0, lack)]) if any(lacks) else tensor
        for tensor, lacks in zip(tensors, missing, strict=True)
    ]


def _first(stacked: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value[0] for name, value in stacked.items()}


def _single_run(stacked: dict[str, Tensor], run: int, shapes: dict[str, torch.Size]) -> dict[str, Tensor]:
    """A copy of one run's part without the padding; parameters and their moments have the given shapes."""
    parts = {name: value[run] for name, value in stacked.items()}
    kept = {name: shapes.get(name.rpartition("/")[2], part.shape) for name, part in parts.items()}
    return {name: part[tuple(map(slice, kept[name]))].detach().clone() for name, part in parts.items()}


def _finite(stacked: dict[str, Tensor]) -> Tensor:
    """Whether every number of each run is finite: bool [R]."""
    return torch.stack([value.detach().reshape(len(value), -1).isfinite().all(1) for value in stacked.values()]).all(0)


def _not_finite(step: int, stage: str) -> InputError:
    return InputError(f"the loss was not finite at step {step + 1} of stage {stage}: lower learning_rate or look at the data")
