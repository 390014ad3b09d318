"""Constraint-adaptive policy switching (CAPS: Chemingui et al., arXiv 2412.18946) on rewards and costs learnt from feedback.

Implicit Q-learning (IQL: Kostrikov et al., arXiv 2110.06169) fits two critics and a state value to the learnt rewards, and the
same to the learnt costs. One policy regresses on the recorded actions weighted by their advantage in reward, another by that
in cost. Which of the two acts is decided at each step of an episode: the one with the higher return of those whose expected
cost is within what is left of the limit, else the one with the lower cost; see `presa.rollouts.switching_policy`. Costs of the
episode so far are told by the simulator, as to CDT; nothing else of the truth is.

It differs from the authors' program: rewards and costs are those of models, not the simulator's; the policies are
deterministic, and of two separate networks, not two heads of one; the critics have no slowly following copies, as the state
values between them already keep a critic from chasing itself; all networks share one Adam at one rate that falls to 0; values
are means, (1 - discount) times the sums; and since learnt rewards have no unit, advantages are measured in their own mean size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from presa import losses
from presa.algorithms.base import Algorithm, Examples, Split, Step, scheduled_rate
from presa.algorithms.ranges import BELOW_ONE, POSITIVE, Range
from presa.algorithms.weighted_bc.members import RANGES as MEMBER_RANGES
from presa.algorithms.weighted_bc.members import RewardMember, check_members, ensemble, step_estimates
from presa.data.pairs import Data
from presa.data.steps import successors
from presa.networks.mlp import Parameters, initial_parameters, log_probability, perceptron
from presa.rollouts.switching_policy import NETWORKS, POLICIES, VALUES
from safefeedback.errors import InputError
from safefeedback.randomness import derived_seed

MOST_WEIGHT = 100.0  # of a step in a policy's regression, as CAPS and IQL
SPREAD_RATE = 0.01  # of the running mean size of advantages


@dataclass(frozen=True)
class SwitchingNetwork:
    """The eight networks of R runs in training; parameters are weight_0 [R, 8, O, H], action_0 [R, 8, A, H] and so on."""

    def draw(self, generators: Sequence[torch.Generator]) -> None:
        """Draws nothing."""

    def scores(self, parameters: Parameters, observations: Tensor, actions: Tensor) -> Tensor:
        """What the networks say of B transitions.

        Args:
            parameters: of the networks.
            observations: [R, B, 2, O], each state and the next.
            actions: [R, B, A].

        Returns:
            [R, B, 10]: the two values, the two critics of reward, the two of cost, the values of the next state without
            gradient, and the log-probabilities under the two policies.
        """
        now, after = observations.unbind(-2)
        done = actions.clamp(-1, 1)
        found = outputs(parameters, now, done)
        with torch.no_grad():
            next_values = outputs({name: value[:, :VALUES] for name, value in parameters.items()}, after, done)
        likelihood = log_probability(found[:, POLICIES:].tanh(), actions[:, None])
        return torch.cat([found[:, :POLICIES, :, 0], next_values[..., 0], likelihood], 1).mT


def outputs(parameters: Parameters, observations: Tensor, actions: Tensor) -> Tensor:
    """The last layers' sums [R, K, B, A] of the first K networks, of states [R, B, O] and actions [R, B, A], which only the
    critics see."""
    rest = {name: value for name, value in parameters.items() if name != "action_0"}
    joined = {**rest, "weight_0": torch.cat([parameters["weight_0"], parameters["action_0"]], -2)}
    count = joined["weight_0"].shape[1]
    place = torch.arange(count, device=actions.device)[:, None, None]
    seen = actions[:, None] * ((place >= VALUES) & (place < POLICIES))
    inputs = torch.cat([observations[:, None].expand(-1, count, -1, -1), seen], -1)
    return perceptron(joined, inputs)


@dataclass(frozen=True)
class CapsFeedback(Algorithm):
    """Two policies by advantage-weighted regression, and critics of learnt reward and cost that choose between them.

    Attributes:
        batch_size: as many steps are drawn as so many pairs hold: 256 of pairs of 64 steps.
        dropout: none; must be 0.
        schedule: of the learning rate: "flat", or "linear" towards 0.
        discount: gamma.
        expectile: of the critics' values that a state's value is, in reward and, of minus the costs, in cost.
        temperature: of the advantages in the policies' weights, in units of their mean size.
        model_steps: how many of `steps` fit the models of reward, and as many those of cost, divided among the members.
        members: models of each kind; a step's reward and cost are their means.
        model_batch_size, model_hidden, model_learning_rate, flips: as of weighted-bc.
    """

    takes_presets: ClassVar[bool] = False
    cloning: ClassVar[str] = "steps"  # what it learns from, over which observations are normalised
    acts_by: ClassVar[str] = "one of two tanh MLPs at each step, chosen by critics of reward and cost"
    choices: ClassVar[dict[str, tuple[str, ...]]] = {
        **Algorithm.choices,
        "precision": ("fp32",),
        "schedule": ("flat", "linear"),
    }
    ranges: ClassVar[dict[str, Range]] = {
        **Algorithm.ranges,
        "dropout": ("0", lambda value: value == 0),
        "discount": BELOW_ONE,
        "expectile": ("between 0 and 1", lambda value: 0 < value < 1),
        "temperature": POSITIVE,
        **MEMBER_RANGES,
    }

    steps: int = 23_600
    batch_size: int = 2
    dropout: float = 0.0
    learning_rate: float = 3e-4
    schedule: str = "linear"
    normalize_observations: bool = True
    discount: float = 0.99
    expectile: float = 0.7
    temperature: float = 0.5
    model_steps: int = 1_800
    members: int = 3
    model_batch_size: int = 64
    model_hidden: tuple[int, ...] = (128, 128)
    model_learning_rate: float = 1e-3
    flips: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        check_members(self.model_steps, self.members)
        if self.own_steps < 1:
            raise InputError(f"the models take 2 x {self.model_steps:,} of the {self.steps:,} steps: none is left")

    @property
    def own_steps(self) -> int:
        return self.steps - 2 * self.members * (self.model_steps // self.members)

    def rate(self, step: int) -> float:
        return scheduled_rate(self.learning_rate, self.schedule, step, self.own_steps)

    def preparations(self) -> dict[str, RewardMember]:  # type: ignore[override]
        given: dict[str, Any] = {"batch_size": self.model_batch_size, "hidden": self.model_hidden}
        given |= {"learning_rate": self.model_learning_rate}
        return ensemble(("reward", "cost"), self.members, self.flips, self.model_steps, **given)

    def prepared(self, data: Data, results: dict[str, Parameters]) -> Data:
        """The data with the members' mean reward and cost of every known step; each member's rewards have deviation 1."""
        found = step_estimates(data, self.preparations(), results, ("reward", "cost"))
        reward = found["reward"] / found["reward"].std(1, keepdim=True).clamp(min=1e-8)
        return data.with_step_values(torch.stack([reward.mean(0), found["cost"].mean(0)], -1).float())

    def examples(self, data: Data) -> Examples:
        """Every known step with the state after it, and what it gains: its reward, and minus its cost in units of what the
        limit allows a step. After an episode's last step nothing is gained; where the next step is unknown, the critics are
        not fitted."""
        assert data.step_values is not None, "the models are fitted first"
        steps, horizon = data.steps, data.task.horizon
        after, known, last = (torch.from_numpy(values).to(data.step_values.device) for values in successors(steps, horizon))
        gain = data.step_values * data.step_values.new_tensor([1.0, -1 / allowed_cost(data)])
        labels = {"gain": gain, "alive": known.float(), "fits": (known | last).float()}
        observations = torch.stack([steps.observations, steps.observations[after]], 1)
        return Examples(observations, steps.actions, labels, per_pair=2 * data.length)

    def initial_parameters(self, data: Data, seed: int) -> Parameters:
        wide, count = data.task.observation_dim, data.task.action_dim
        seeds = [derived_seed(seed, f"caps-{name}") for name in NETWORKS]
        each = [initial_parameters(wide + count, count, self.hidden, one) for one in seeds]
        together = {name: torch.stack([one[name] for one in each]) for name in each[0]}
        weight, action = together.pop("weight_0").split([wide, count], 1)
        return {"weight_0": weight.contiguous(), **together, "action_0": action.contiguous()}

    def network(self, parameters: Parameters, rows: int) -> SwitchingNetwork:
        return SwitchingNetwork()

    def state(self, examples: Examples) -> dict[str, Tensor]:
        return {"spread": torch.full((2,), float("nan"), device=examples.observations.device)}

    def loss(self, log_probability: Tensor, batch: dict[str, Tensor], state: dict[str, Tensor]) -> Step:
        """The sum of the networks' losses, given their outputs [B, 10]; the last axis of values and critics is reward, cost."""
        value, critics, after, likelihood = log_probability.split([2, 4, 2, 2], -1)
        critics = critics.unflatten(-1, (2, 2))  # [B, kind, twin]
        advantage = critics.detach().amin(-1) - value
        value_loss = losses.expectile_loss(advantage, self.expectile).mean(0).sum()
        target = (1 - self.discount) * batch["gain"] + self.discount * batch["alive"][:, None] * after.detach()
        miss = (critics - target[..., None]).square().sum((-2, -1))
        critic_loss = (miss * batch["fits"]).sum() / batch["fits"].sum().clamp(min=1)
        size = advantage.detach().abs().mean(0)
        spread = torch.where(state["spread"].isnan(), size, torch.lerp(state["spread"], size, SPREAD_RATE))
        weight = losses.advantage_weights(advantage, spread, self.temperature, MOST_WEIGHT)
        policy_loss = -(weight * likelihood).mean(0).sum()
        info = {
            "value_loss": value_loss.detach(),
            "critic_loss": critic_loss.detach(),
            "policy_loss": policy_loss.detach(),
            "reward_value": value.detach()[:, 0].mean(),
            "cost_value": -value.detach()[:, 1].mean(),
        }
        return value_loss + critic_loss + policy_loss, info, {"spread": spread}

    def report(
        self, parameters: Parameters, examples: Examples, train: Split, test: Split | None, reference: Tensor | None
    ) -> dict[str, float]:
        """Of the policy for reward, which acts as long as its cost is within the limit."""
        own = {name: value[POLICIES] for name, value in parameters.items() if name != "action_0"}
        return super().report(own, examples, train, test, reference)

    def policy_facts(self, data: Data, examples: Examples) -> dict[str, Any]:
        return {"switching": {"discount": self.discount, "allowed_cost": allowed_cost(data)}}


def allowed_cost(data: Data) -> float:
    """What the limit, or 1 if it is lower, allows a step of an episode to cost."""
    return max(data.cost_limit, 1.0) / data.task.horizon
