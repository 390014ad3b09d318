"""PPO with a learnt Lagrange multiplier of the cost (PPO-Lagrangian), recorded during training.

The policy maximises (r / s - lambda c) / (1 + lambda), where s is the mean absolute reward of a step so far, so that the
same multiplier means the same trade in every task. After each rollout the multiplier moves by projected dual ascent on
the mean episode cost C against its limit: lambda <- max(0, lambda + rate (C - limit) / T).
PPO: Schulman et al., arXiv 1707.06347, by stable-baselines3; its Lagrangian form: Ray, Achiam and Amodei (2019).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from safefeedback.recorder.recording import Episode
from safefeedback.simulators import make, quiet
from safefeedback.tasks import Task

if TYPE_CHECKING:
    import gymnasium


@dataclass(frozen=True)
class LearnerConfig:
    """How the policy learns.

    Attributes:
        environments: environments stepped in turn, to share the cost of a policy call.
        rollout: steps of each between updates.
        batch, epochs, learning_rate, discount: PPO's; the rate falls linearly to a fifth.
        hidden: units in each of the two layers of the policy and of the value function.
        log_std: logarithm of the policy's standard deviation at the start.
        price_rate: `rate` above.
        first_price: lambda at the start, where there is a limit: a policy that has learnt to be fast first does not find
            its way back (BallRun), while too high a price soon falls.
        cloning_epochs: passes over the demonstrations in a warm start, in `cloning_stages` parts.
        cloning_episodes: episodes recorded per environment after each of the parts.
        cloned_log_std, cloned_hidden: as log_std and hidden, in a warm start.
        cloned_divergence: after a warm start an update ends early at this Kullback-Leibler divergence.
        value_rollouts: rollouts after a warm start in which only the value function learns.
    """

    environments: int = 8
    rollout: int = 512
    batch: int = 256
    epochs: int = 10
    learning_rate: float = 5e-4
    discount: float = 0.99
    hidden: int = 128
    log_std: float = -0.5
    price_rate: float = 0.2
    first_price: float = 2.0
    cloning_epochs: int = 240
    cloning_stages: int = 6
    cloning_episodes: int = 6
    cloned_log_std: float = -2.5
    cloned_hidden: int = 256
    cloned_divergence: float = 0.02
    value_rollouts: int = 6


class Price:
    """The multiplier and the reward scale, shared by the environments and the learner."""

    def __init__(self, limit: float | None, horizon: int, rate: float, first: float) -> None:
        self.limit, self.horizon, self.rate = limit, horizon, rate
        self.multiplier = 0.0 if limit is None else first
        self._absolute_sum, self._steps = 0.0, 0

    def shaped(self, reward: float, cost: float) -> float:
        self._absolute_sum += abs(reward)
        self._steps += 1
        scale = max(self._absolute_sum / self._steps, 1e-6)
        return (reward / scale - self.multiplier * cost) / (1.0 + self.multiplier)

    def update(self, mean_cost: float) -> None:
        if self.limit is not None:
            self.multiplier = max(0.0, self.multiplier + self.rate * (mean_cost - self.limit) / self.horizon)


@dataclass(frozen=True)
class Report:
    """The report after each rollout: steps taken, then return, cost and multiplier of the latest episodes."""

    steps: int
    mean_return: float
    mean_cost: float
    multiplier: float


def learn(
    task: Task,
    limit: float | None,
    steps: int,
    seed: int,
    config: LearnerConfig,
    on_episode: Callable[[Episode], None],
    on_report: Callable[[Report], None],
    demonstrations: tuple[np.ndarray, np.ndarray] | None = None,
) -> None:
    """Train for `steps` steps and hand over every episode as it ends.

    Args:
        limit: mean episode cost aimed at, or None for reward alone.
        seed: the same seed gives the same episodes, on one machine with one set of versions.
        demonstrations: observations [n, O] and actions [n, A] to clone first.
    """
    with quiet():  # it looks for the old gym, which prints a banner
        import torch
        from stable_baselines3 import PPO
        from stable_baselines3.common.callbacks import BaseCallback
        from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    torch.set_num_threads(1)
    price = Price(limit, task.horizon, config.price_rate, config.first_price)
    finished: list[Episode] = []

    def on_end(episode: Episode) -> None:
        finished.append(episode)
        on_episode(episode)

    streams = [np.random.default_rng([seed, index]) for index in range(config.environments)]
    makers: list[Callable[[], gymnasium.Env]] = [partial(_recorder, task, price, stream, on_end) for stream in streams]
    # A clone meets observations its data lack, and scaling nearly constant ones up makes that worse: on DroneCircle a
    # clone of normalised observations flies at 547 (28 cost), of plain ones with ReLU at 650 (8 cost).
    warm = demonstrations is not None
    vectorised = VecNormalize(DummyVecEnv(makers), norm_obs=not warm, gamma=config.discount)
    rate = 0.2 * config.learning_rate if warm else config.learning_rate
    network = {
        "log_std_init": config.log_std,
        "net_arch": [config.cloned_hidden if warm else config.hidden] * 2,
        "activation_fn": torch.nn.ReLU if warm else torch.nn.Tanh,
    }
    model = PPO(
        "MlpPolicy",
        vectorised,
        learning_rate=lambda left: rate * (0.2 + 0.8 * left),
        n_steps=config.rollout,
        batch_size=config.batch,
        n_epochs=config.epochs,
        gamma=config.discount,
        policy_kwargs=network,
        target_kl=config.cloned_divergence if warm else None,
        seed=seed % 2**31,
        device="cpu",
    )

    class Progress(BaseCallback):
        """Moves the multiplier and reports after each rollout."""

        rollouts = 0

        def _on_step(self) -> bool:
            return True

        def _on_rollout_start(self) -> None:
            if demonstrations is not None:
                for parameter in _actor(model):
                    parameter.requires_grad_(self.rollouts >= config.value_rollouts)
            self.rollouts += 1

        def _on_rollout_end(self) -> None:
            if finished:
                returns = float(np.mean([episode.total_reward for episode in finished]))
                cost = float(np.mean([episode.total_cost for episode in finished]))
                finished.clear()
                price.update(cost)
                on_report(Report(self.num_timesteps, returns, cost, price.multiplier))

    try:
        if demonstrations is not None:
            _clone(model, vectorised, *demonstrations, config, np.random.default_rng([seed, 1_000_000]))
            finished.clear()
        model.learn(steps, callback=Progress())
    finally:
        vectorised.close()


def _actor(model: Any) -> list[Any]:
    policy = model.policy
    return [*policy.mlp_extractor.policy_net.parameters(), *policy.action_net.parameters(), policy.log_std]


def _clone(
    model: Any,
    vectorised: Any,
    observations: np.ndarray,
    actions: np.ndarray,
    config: LearnerConfig,
    rng: np.random.Generator,
) -> None:
    """Fit the policy's mean to the actions by least squares, playing episodes between the parts: from poor to good."""
    import torch

    inputs = torch.as_tensor(observations, dtype=torch.float32)
    targets = torch.as_tensor(actions.clip(-1, 1), dtype=torch.float32)
    optimizer = torch.optim.Adam(_actor(model)[:-1], lr=1e-3)
    steps = config.cloning_epochs * -(-len(inputs) // config.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for stage in range(config.cloning_stages + 1):
        if stage > 0:
            for _ in range(config.cloning_epochs // config.cloning_stages):
                order = rng.permutation(len(inputs))
                for start in range(0, len(order), config.batch):
                    rows = torch.as_tensor(order[start : start + config.batch])
                    loss = (model.policy.get_distribution(inputs[rows]).mode() - targets[rows]).square().mean()
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    schedule.step()
            with torch.no_grad():
                model.policy.log_std.fill_(config.cloned_log_std)
        _play(model, vectorised, config.cloning_episodes)


def _play(model: Any, vectorised: Any, episodes: int) -> None:
    """Play until every environment has ended that many episodes; the recorders keep them."""
    ended = np.zeros(vectorised.num_envs, dtype=int)
    observation = vectorised.reset()
    while (ended < episodes).any():
        action, _ = model.predict(observation, deterministic=False)
        observation, _, done, _ = vectorised.step(action)
        ended += done


def _recorder(task: Task, price: Price, rng: np.random.Generator, on_end: Callable[[Episode], None]) -> gymnasium.Env:
    import gymnasium

    env = make(task)

    class Recorder(gymnasium.Wrapper):
        """Records each episode, starts it from a seed of its own, and puts the price of cost into the reward."""

        def __init__(self) -> None:
            super().__init__(env)
            space = env.observation_space
            self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, space.shape, dtype=np.float32)

        def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
            self.episode_seed = int(rng.integers(2**31))
            observation, info = env.reset(seed=self.episode_seed)
            self.rows = [observation.astype(np.float32)]
            self.actions: list[np.ndarray] = []
            self.rewards: list[float] = []
            self.costs: list[float] = []
            return self.rows[0], info

        def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
            action = np.array(action, dtype=np.float32)
            observation, reward, terminated, truncated, info = env.step(action)
            reward, cost = float(reward), float(info["cost"])
            self.rows.append(observation.astype(np.float32))
            self.actions.append(action)
            self.rewards.append(reward)
            self.costs.append(cost)
            if terminated or truncated:
                on_end(
                    Episode(
                        np.stack(self.rows),
                        np.stack(self.actions),
                        np.array(self.rewards, dtype=np.float32),
                        np.array(self.costs, dtype=np.float32),
                        terminal=bool(terminated),
                        seed=self.episode_seed,
                    )
                )
            return self.rows[-1], price.shaped(reward, cost), terminated, truncated, {}

    return Recorder()
