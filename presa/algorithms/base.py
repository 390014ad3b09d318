"""The interface between an algorithm and the training loop, and the settings that algorithms share.

An algorithm is a frozen dataclass: its fields are its configuration, its methods define the training examples and the loss. A
custom algorithm is a subclass of Algorithm or FromReference in any importable file, given as `--algorithm
package.module:Class`. The methods:

    examples(data) -> Examples                          what batches are drawn from
    state(examples) -> dict of tensors                  what it carries from step to step, such as nu; {} if nothing
    loss(log_probability, batch, state) -> loss, info, state

`log_probability` [B, ...] is of the batch's actions under the policy, `batch` is a dict of the labels of the B examples,
including `reference`, the log-probabilities [B, ...] under the frozen reference. `info` holds scalar tensors without gradient
that are averaged until the next report. Nothing may be mutated.

Batches are drawn evenly, or in proportion to `Examples.weight`. A stackable algorithm whose network is not a policy overrides
`network`, whose `scores` then replace the log-probability.

The loss of several runs is computed at once by `torch.vmap`, which supports neither indexing by a mask nor branching on a
value: write `(loss * mask).sum() / mask.sum()`, or set `stackable = False`.

The policy is a tanh MLP on one state. An algorithm with a network of its own sets `stackable = False` and defines
`initial_parameters`, `objective` in place of `loss`, `report`, and `policy_facts` as well; see Algorithm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from presa.algorithms.ranges import AT_LEAST_ONE, BELOW_ONE, POSITIVE, UP_TO_ONE, Range, check_settings
from presa.data.pairs import Data, Examples, Split
from presa.data.steps import Steps
from presa.networks.backprop import Backprop
from presa.networks.mlp import Parameters, initial_parameters
from presa.offline import action_statistics, held_out_accuracy
from safefeedback.errors import InputError
from safefeedback.values import convert_fields

Step = tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]


class Network(Protocol):
    """The networks of R runs in training, as the loss uses them."""

    def draw(self, generators: Sequence[torch.Generator]) -> None:
        """Draws the random numbers of a step."""

    def scores(self, parameters: Parameters, observations: Tensor, actions: Tensor) -> Tensor:
        """The input of `loss` for every step: [R, B, ...] of [R, B, ..., O] and [R, B, ..., A]."""


@dataclass(frozen=True)
class Algorithm:
    """Settings of every algorithm; defaults are Table 4, column BulletGym, and our own choice where the paper is silent.

    Attributes:
        steps: gradient steps in all.
        batch_size: pairs in a batch; algorithms that train on segments or steps draw as many of them as that many pairs hold.
        hidden: widths of the hidden layers.
        dropout: share of the hidden units dropped in training.
        learning_rate: of Adam.
        normalize_observations: whether observations are shifted and scaled to mean 0 and deviation 1 over the training pairs.
        selection: "last" takes the last policy; "best" the one that did best in `--evaluate-every`'s rollouts, which makes
            the run no longer offline.
        precision: of the matrix products in training: "fp32", or "bf16" where the processor has them.
    """

    stackable: ClassVar[bool] = True  # False for a network of its own, trained run by run
    stacks_tasks: ClassVar[bool] = True  # whether runs of tasks of other sizes may be in one stack, filled up with zeros
    uses_reference: ClassVar[bool] = False
    needs_trajectories: ClassVar[bool] = False
    needs_oracle: ClassVar[bool] = False
    takes_presets: ClassVar[bool] = True
    ignores_limit: ClassVar[bool] = False  # True if what is learnt does not depend on the cost limit
    input_layer: ClassVar[tuple[str, str]] = ("weight_0", "bias_0")  # which weights read the observations
    learns_from_steps: ClassVar[bool] = True  # whether steps that no pair shows can be learnt from, as --unlabelled adds them
    acts_with_models: ClassVar[bool] = False  # whether the policy's file holds the models trained before it
    acts_by: ClassVar[str] = "the mean of a tanh MLP"
    notes: ClassVar[tuple[str, ...]] = ()  # notes that every result must show
    choices: ClassVar[dict[str, tuple[str, ...]]] = {"selection": ("last", "best"), "precision": ("fp32", "bf16")}
    ranges: ClassVar[dict[str, Range]] = {
        "steps": AT_LEAST_ONE,
        "batch_size": AT_LEAST_ONE,
        "dropout": BELOW_ONE,
        "learning_rate": POSITIVE,
    }

    steps: int = 100_000
    batch_size: int = 32
    hidden: tuple[int, ...] = (256, 256)
    dropout: float = 0.1
    learning_rate: float = 1e-4
    normalize_observations: bool = False
    selection: str = "last"
    precision: str = "fp32"

    @classmethod
    def precisions(cls) -> tuple[str, ...]:
        """The precisions that can be asked for."""
        return cls.choices.get("precision", ()) if cls.stackable else ()

    def __post_init__(self) -> None:
        convert_fields(self)
        check_settings(self, self.choices, self.ranges)
        if self.precision != "fp32" and not self.stackable:
            raise InputError(f"precision {self.precision} is for policies that are a tanh MLP: leave it at fp32")
        if not self.hidden or min(self.hidden) < 1:
            raise InputError(f"hidden must be one or more positive widths, not {self.hidden}")

    def examples(self, data: Data) -> Examples:
        """What batches are drawn from; raises InputError if the data do not suit the algorithm."""
        raise NotImplementedError

    def state(self, examples: Examples) -> dict[str, Tensor]:
        """The algorithm's initial state, which it carries from step to step."""
        return {}

    def loss(self, log_probability: Tensor, batch: dict[str, Tensor], state: dict[str, Tensor]) -> Step:
        """The loss of a batch, numbers to report, and the state after the step."""
        raise NotImplementedError

    def network(self, parameters: Parameters, rows: int) -> Network:
        """The network that evaluates the runs' parameters [R, ...] for the loss: by default the log-probability under a
        policy with dropout; `rows` is the number of steps in a batch."""
        return Backprop(parameters, rows, self.dropout, self.precision)

    def objective(
        self,
        parameters: Parameters,
        examples: Examples,
        index: Tensor,
        generator: torch.Generator,
        state: dict[str, Tensor],
    ) -> Step:
        """The loss of the examples with these indices [B], numbers to report, and the state after the step."""
        raise NotImplementedError

    def initial_parameters(self, data: Data, seed: int) -> Parameters:
        """The parameters that training starts from, on the CPU."""
        return initial_parameters(data.task.observation_dim, data.task.action_dim, self.hidden, seed)

    def preparations(self) -> dict[str, Algorithm]:
        """The models to train before the policy, by name; each is trained for its own `steps`."""
        return {}

    def prepared(self, data: Data, results: dict[str, Parameters]) -> Data:
        """The data to train on, given the trained models."""
        return data

    def findings(self, data: Data) -> dict[str, Any]:
        """Facts about the prepared data, JSON-ready, for the run's folder and its card; {} if there are none."""
        return {}

    def report(
        self, parameters: Parameters, examples: Examples, train: Split, test: Split | None, reference: Tensor | None
    ) -> dict[str, float]:
        """Statistics of the policy that need no simulator; `reference` is of the held-out pairs `test`."""
        numbers = action_statistics(parameters, train)
        return (
            numbers
            if test is None
            else numbers | held_out_accuracy(parameters, test, reference, getattr(self, "discount", 1.0))
        )

    def policy_facts(self, data: Data, examples: Examples) -> dict[str, Any]:
        """JSON-ready facts that the policy's file needs to act; {} for an MLP."""
        return {}

    @property
    def own_steps(self) -> int:
        """Steps of the algorithm itself, after any stage before it."""
        return self.steps

    def rate(self, step: int) -> float:
        """The learning rate of the algorithm's own step, counted from 0."""
        return self.learning_rate

    def decay(self, step: int) -> float:
        """The share of every parameter that is subtracted at that step (decoupled weight decay)."""
        return 0.0

    def gradients(self, gradients: Parameters) -> Parameters:
        """The gradients to pass to Adam; unchanged by default."""
        return gradients


Training = Algorithm  # its name in earlier versions, which users' algorithms may extend


@dataclass(frozen=True)
class FromCloning(Algorithm):
    """Settings of algorithms that start from behaviour cloning.

    Attributes:
        bc_steps: how many of `steps` are behaviour cloning, whose result is the starting point.
        cloning: "steps" clones every recorded step that is known, once: those the training pairs show, or with `--unlabelled`
            all of them; "segments" clones every segment, so that a step counts as often as segments show it: the first one of
            an episode in one of T - L + 1 windows.
        bc_learning_rate: of Adam in cloning; None for `learning_rate`.
        bc_schedule: "flat" keeps that rate, "linear" lets it fall to 0 over the cloning.
    """

    uses_reference: ClassVar[bool] = True
    compares_with_reference: ClassVar[bool] = True  # whether the loss receives `reference`
    choices: ClassVar[dict[str, tuple[str, ...]]] = {
        **Algorithm.choices,
        "cloning": ("steps", "segments"),
        "bc_schedule": ("flat", "linear"),
    }
    ranges: ClassVar[dict[str, Range]] = {**Algorithm.ranges, "bc_learning_rate": POSITIVE}

    bc_steps: int = 30_000
    cloning: str = "steps"
    bc_learning_rate: float | None = None
    bc_schedule: str = "flat"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.bc_steps < self.steps:
            raise InputError(f"bc_steps must lie between 0 and steps - 1 = {self.steps - 1:,}, not {self.bc_steps:,}")

    @property
    def own_steps(self) -> int:
        return self.steps - self.bc_steps

    def from_reference(self, reference: Parameters) -> Parameters:
        """The parameters that the algorithm's own steps start from, given the cloned policy."""
        return reference


@dataclass(frozen=True)
class FromReference(FromCloning):
    """Settings of algorithms that also use the cloned policy as a frozen reference.

    Attributes:
        rate_after_bc: "warm-up" rises linearly over `warm_up_steps` to `rate_factor` times the rate (as CPL-KL and TraC);
            "flat" keeps the rate, the paper's literal reading.
        warm_up_steps, rate_factor: of the warm-up: its length, and the share of the learning rate that it rises to.
        discount: gamma.
    """

    choices: ClassVar[dict[str, tuple[str, ...]]] = {**FromCloning.choices, "rate_after_bc": ("warm-up", "flat")}
    ranges: ClassVar[dict[str, Range]] = {
        **FromCloning.ranges,
        "warm_up_steps": AT_LEAST_ONE,
        "rate_factor": POSITIVE,
        "discount": UP_TO_ONE,
    }

    rate_after_bc: str = "warm-up"
    warm_up_steps: int = 10_000
    rate_factor: float = 0.1
    discount: float = 1.0

    def rate(self, step: int) -> float:
        if self.rate_after_bc == "flat":
            return self.learning_rate
        return self.learning_rate * self.rate_factor * min(1.0, (step + 1) / self.warm_up_steps)


def scheduled_rate(rate: float, schedule: str, step: int, steps: int) -> float:
    """The learning rate of a step, counted from 0, that a schedule makes: "flat", or "linear" from `rate` towards 0."""
    return rate if schedule == "flat" else rate * (1 - step / steps)


def step_examples(data: Data, weight: np.ndarray | None = None, steps: Steps | None = None) -> Examples:
    """Every known step, or each of `steps`, as one example, in their order; `weight` [M] is how likely each is drawn."""
    steps = data.steps if steps is None else steps
    return Examples(steps.observations, steps.actions, {}, per_pair=2 * data.length, weight=weight)


def pair_examples(data: Data, **labels: Tensor) -> Examples:
    """Every training pair as one example."""
    return Examples(data.train.observations, data.train.actions, labels, per_pair=1, filtered_out=data.filtered_out)


def require_preferences(preference: Tensor) -> None:
    """Raises InputError if no preference is answered."""
    if bool(torch.isnan(preference).all()):
        raise InputError("no training pair has an answered preference")
