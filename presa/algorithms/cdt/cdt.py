"""The Constrained Decision Transformer (Liu et al., arXiv 2302.07351), as implemented in OSRL's public code.

It learns from whole trajectories with true rewards and costs to predict the action, given the return and the cost still to
come; to act, it is given a target return and a target cost. Defaults are OSRL's. Three details differ from that code: no
episode is left out because of its cost (see `sequences.repeat_counts`), fractional costs are not rounded, and no task uses
another task's targets (see `targets.toml`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from presa.algorithms.base import Algorithm, Examples, Step
from presa.algorithms.cdt.sequences import Sequences, augment, repeat_counts, to_go
from presa.algorithms.cdt.targets import Targets, find_targets
from presa.algorithms.cdt.transformer import Prediction, initial_transformer, predict
from presa.algorithms.ranges import AT_LEAST_ONE, NOT_NEGATIVE, POSITIVE, Range
from presa.data.pairs import Data, Split
from presa.data.trajectories import training_episodes
from presa.networks.mlp import Parameters
from safefeedback.errors import InputError
from safefeedback.randomness import stream
from safefeedback.types import Episodes

PROBE_WINDOWS = 256


@dataclass(frozen=True)
class CDT(Algorithm):
    """Gaussian likelihood of the recorded actions, with a reward for entropy and a small loss on predicted costs.

    Attributes:
        batch_size: windows in a batch.
        hidden: the width of each layer, all the same.
        context: K, steps in a window.
        heads: of the attention.
        weight_decay: decoupled (AdamW).
        gradient_limit: the norm that gradients are clipped to.
        warm_up_steps: over which the learning rate rises linearly.
        cost_weight: of the cross-entropy of whether a step costs.
        augmentation: augmented targets, as a share of the episodes; see `presa.algorithms.cdt.sequences.augment`.
        reward_scale, cost_scale: factors for returns and costs to go; none scales the largest recorded one to 1.
        initial_temperature: of the entropy; it is learnt, towards an entropy of -1 for each action dimension.
    """

    needs_trajectories: ClassVar[bool] = True
    stackable: ClassVar[bool] = False
    takes_presets: ClassVar[bool] = False
    ignores_limit: ClassVar[bool] = True
    learns_from_steps: ClassVar[bool] = False
    input_layer: ClassVar[tuple[str, str]] = ("state/weight", "state/bias")
    acts_by: ClassVar[str] = "the mean of a causal transformer over the last steps, asked for the return and cost of its limit"
    ranges: ClassVar[dict[str, Range]] = {
        **Algorithm.ranges,
        "context": AT_LEAST_ONE,
        "heads": AT_LEAST_ONE,
        "weight_decay": NOT_NEGATIVE,
        "gradient_limit": POSITIVE,
        "warm_up_steps": AT_LEAST_ONE,
        "cost_weight": NOT_NEGATIVE,
        "augmentation": NOT_NEGATIVE,
        "reward_scale": POSITIVE,
        "cost_scale": POSITIVE,
        "initial_temperature": POSITIVE,
    }

    batch_size: int = 2048
    hidden: tuple[int, ...] = (128, 128, 128)
    context: int = 10
    heads: int = 8
    weight_decay: float = 1e-4
    gradient_limit: float = 0.25
    warm_up_steps: int = 500
    cost_weight: float = 0.02
    augmentation: float = 0.2
    reward_scale: float | None = 0.1
    cost_scale: float | None = 1.0
    initial_temperature: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(set(self.hidden)) > 1 or self.hidden[0] % self.heads:
            raise InputError(f"hidden must be one width, a multiple of heads = {self.heads}, for each layer, not {self.hidden}")

    def examples(self, data: Data) -> Sequences:
        """Every window of the training episodes, those of low-cost episodes more often, and the augmented ones."""
        episodes, chosen = _episodes(data), training_episodes(data)
        returns, costs = (np.add.reduceat(v, episodes.bounds[:-1])[chosen] for v in (episodes.rewards, episodes.costs))
        targets = self.targets(data, returns, costs)
        count = int(self.augmentation * len(chosen))
        stream_of_wishes = stream(0, "cdt-augmentation")  # the same for every seed of a run, as the recordings are
        targets_drawn, wishes = augment(returns, costs, count, targets, stream_of_wishes)
        source = np.concatenate([np.arange(len(chosen)), targets_drawn])
        shifts = np.concatenate([np.zeros((1, 2)), wishes - np.stack([returns[targets_drawn], costs[targets_drawn]], 1)])
        copy = np.concatenate([np.zeros(len(chosen), np.int64), 1 + np.arange(count)])
        often = repeat_counts(np.concatenate([costs, wishes[:, 1]]), max(data.task.cost_limits))
        lengths = episodes.lengths[chosen]
        bounds = np.concatenate([[0], np.cumsum(lengths)])
        rows = np.concatenate([np.arange(*episodes.bounds[e : e + 2]) for e in chosen])
        windows = [np.tile(np.arange(bounds[s], bounds[s + 1]), n) for s, n in zip(source, often, strict=True)]
        sums = [to_go(values[rows], bounds) for values in (episodes.rewards, episodes.costs)]

        def tensor(values: np.ndarray, kind: type) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(values, kind)).to(data.train.observations.device)

        return Sequences(
            observations=tensor(episodes.observations[rows], np.float32),
            actions=tensor(episodes.actions[rows], np.float32),
            labels={},
            per_pair=1,
            begin=tensor(np.repeat(bounds[:-1], lengths), np.int64),
            to_go=tensor(np.stack(sums, 1), np.float32),
            step_costs=tensor(episodes.costs[rows], np.float32),
            end=tensor(np.concatenate(windows), np.int32),
            copy=tensor(np.repeat(copy, often * lengths[source]), np.int32),
            shifts=tensor(shifts, np.float32),
            targets=targets,
        )

    def targets(self, data: Data, returns: np.ndarray, costs: np.ndarray) -> Targets:
        """The policy's target returns, given the training episodes' returns and costs [E]."""
        return find_targets(data.task, returns, costs)

    def initial_parameters(self, data: Data, seed: int) -> Parameters:
        task, width = data.task, self.hidden[0]
        timesteps = max(task.horizon, int(_episodes(data).lengths.max()))
        return initial_transformer(task.observation_dim, task.action_dim, width, len(self.hidden), timesteps, seed) | {
            "log_temperature": torch.tensor(math.log(self.initial_temperature))
        }

    def rate(self, step: int) -> float:
        return self.learning_rate * min(1.0, (step + 1) / self.warm_up_steps)

    def decay(self, step: int) -> float:
        return self.rate(step) * self.weight_decay

    def gradients(self, gradients: Parameters) -> Parameters:
        """The network's gradients clipped to a norm of `gradient_limit`; the temperature's unchanged."""
        network = {name: value for name, value in gradients.items() if name != "log_temperature"}
        squares = [network[name].square().sum() for name in sorted(network)]  # a checkpoint's parameters are in this order
        norm = torch.stack(squares).sum().sqrt()
        factor = (self.gradient_limit / (norm + 1e-6)).clamp(max=1.0)
        return gradients | {name: value * factor for name, value in network.items()}

    def objective(
        self,
        parameters: Parameters,
        examples: Examples,
        index: Tensor,
        generator: torch.Generator,
        state: dict[str, Tensor],
    ) -> Step:
        """Mean over steps and action dimensions of -log p - temperature x entropy, plus the weighted cost loss."""
        predicted, actions, step_costs, valid = self._predict(parameters, examples, index, self.dropout, generator)
        spread = predicted.log_deviation + 0.5 * math.log(2 * math.pi)
        likelihood = -0.5 * ((actions - predicted.mean) * (-predicted.log_deviation).exp()).square() - spread
        action_likelihood = mean_over(likelihood.mean(-1), valid)
        entropy = mean_over(spread.mean(-1), valid) + 0.5
        cost_loss = mean_over(binary_cross_entropy_with_logits(predicted.cost, step_costs.clamp(0, 1), reduction="none"), valid)
        temperature = parameters["log_temperature"].exp()
        loss = -action_likelihood - temperature.detach() * entropy + self.cost_weight * cost_loss
        adjustment = temperature * (entropy.detach() + 1)  # its gradient moves the temperature; it is no part of the loss
        info = {
            "action_likelihood": action_likelihood.detach(),
            "entropy": entropy.detach(),
            "temperature": temperature.detach(),
            "cost_loss": cost_loss.detach(),
        }
        return loss + adjustment - adjustment.detach(), info, state

    @torch.no_grad()
    def report(
        self, parameters: Parameters, examples: Examples, train: Split, test: Split | None, reference: Tensor | None
    ) -> dict[str, float]:
        """On a sample of the training windows: the squared error of the last step's action, and the shares of action
        components at the bounds, of the policy and of the recordings."""
        index = torch.linspace(0, len(examples) - 1, PROBE_WINDOWS, device=train.observations.device).long()
        predicted, actions, _, _ = self._predict(parameters, examples, index)
        mean, recorded = predicted.mean[:, -1].clamp(-1, 1), actions[:, -1]
        return {
            "data_mse": float((mean - recorded).square().mean()),
            "saturated": float((mean.abs() > 0.99).float().mean()),
            "saturated_recorded": float((recorded.abs() > 0.99).float().mean()),
        }

    def policy_facts(self, data: Data, examples: Examples) -> dict[str, Any]:
        assert isinstance(examples, Sequences)
        scale = self._scale(examples).tolist()
        targets = list(zip(data.task.cost_limits, examples.targets.returns, strict=True))
        return {"context": self.context, "heads": self.heads, "scale": scale, "targets": [list(pair) for pair in targets]}

    def _scale(self, examples: Sequences) -> Tensor:
        """The factors for return and cost to go, [2]."""
        largest = examples.to_go.abs().amax(0).clamp(min=1e-6).reciprocal()
        scales = (self.reward_scale, self.cost_scale)
        return torch.stack([largest[k] if value is None else largest.new_tensor(value) for k, value in enumerate(scales)])

    def _predict(
        self,
        parameters: Parameters,
        examples: Examples,
        index: Tensor,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> tuple[Prediction, Tensor, Tensor, Tensor]:
        """The predictions for those windows, and their actions, step costs and valid steps."""
        assert isinstance(examples, Sequences)
        c, (reward_scale, cost_scale) = examples.context(index, self.context), self._scale(examples)
        inputs = (c.returns * reward_scale, c.costs * cost_scale, c.observations, c.actions, c.timesteps, c.valid)
        return predict(parameters, *inputs, self.heads, dropout, generator), c.actions, c.step_costs, c.valid


def mean_over(values: Tensor, mask: Tensor) -> Tensor:
    """The mean of the values where the mask is true, which must be somewhere; both of one shape."""
    return torch.where(mask, values, 0.0).sum() / mask.sum()


def _episodes(data: Data) -> Episodes:
    assert data.episodes is not None, "training_episodes says so first"
    return data.episodes
