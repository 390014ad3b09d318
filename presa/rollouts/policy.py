"""Trained policies. They need NumPy only, so that the processes that play episodes do not load torch."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from presa.files import POLICY_FILE, read_failure
from presa.rollouts.policy_repr import policy_repr
from safefeedback.errors import InputError
from safefeedback.files import foreign_content
from safefeedback.imports import require_packages


@dataclass(frozen=True)
class MlpPolicy:
    """Acts by the mean of a tanh MLP; it has no state.

    Attributes:
        weights: float32 [in, out] of each layer.
        biases: float32 [out] of each layer.
        facts: what its file says about it: algorithm, task, cost_limit, seed.
    """

    weights: tuple[np.ndarray, ...]
    biases: tuple[np.ndarray, ...]
    facts: dict[str, Any]

    def __repr__(self) -> str:
        sizes = " -> ".join(str(size) for size in (len(self.weights[0]), *(len(bias) for bias in self.biases)))
        return policy_repr(self.facts, f"the mean of a tanh MLP, {sizes}")

    def reset(self, n: int) -> None:
        """Begins n episodes at once."""

    def act(self, observations: np.ndarray) -> np.ndarray:
        """The action of each of n episodes: [n, O] -> float32 [n, A] in [-1, 1]."""
        hidden = np.asarray(observations, np.float32)
        last = len(self.weights) - 1
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            hidden = hidden @ weight + bias
            if layer < last:
                np.maximum(hidden, 0, out=hidden)
        return np.tanh(hidden)


class LimitPolicy:
    """Acts by the mean of a tanh MLP whose input includes the cost limit.

    Attributes:
        facts: as of `MlpPolicy`; `limit_input` says how a limit enters the first layer.
    """

    def __init__(self, policy: MlpPolicy, limit_weight: np.ndarray) -> None:
        """`limit_weight` [H] is the first layer's weight of the limit."""
        self.own, self.limit_weight, self.facts = policy, limit_weight, policy.facts
        self.aim(self.facts["cost_limit"])

    def __repr__(self) -> str:
        limits = ", ".join(f"{limit:g}" for limit in self.facts["judge_limits"])
        return policy_repr(
            self.facts, f"the mean of a tanh MLP that was trained for cost limits {limits}, set to {self.limit:g}"
        )

    def aim(self, cost_limit: float) -> None:
        """Sets the cost limit."""
        scaling = self.facts["limit_input"]
        first = self.own.biases[0] + np.float32((cost_limit - scaling["shift"]) / scaling["scale"]) * self.limit_weight
        self.limit, self.policy = cost_limit, replace(self.own, biases=(first, *self.own.biases[1:]))

    def reset(self, n: int) -> None:
        """Begins n episodes at once."""

    def act(self, observations: np.ndarray) -> np.ndarray:
        """The action of each of n episodes: [n, O] -> float32 [n, A] in [-1, 1]."""
        return self.policy.act(observations)


class Policy(Protocol):
    """The interface of a policy; see `load`."""

    @property
    def facts(self) -> dict[str, Any]: ...

    def reset(self, n: int) -> None: ...

    def act(self, observations: np.ndarray) -> np.ndarray: ...


def load(run: str | Path) -> Policy:
    """The policy of a run's folder, of one policy file, or of a Hub repository user/name.

    A policy has `reset(n)` and `act(observations [n, O]) -> actions [n, A]`; if it also has `observe(rewards [n], costs
    [n])`, the evaluator passes it the rewards and costs of the last step; if it has `aim(cost_limit)`, the cost limit of the
    evaluation; and if it has `seed(int)`, the seed of its own randomness in each episode, so that an evaluation can be
    repeated.

    Raises:
        InputError: if there is none, or it cannot be read.
    """
    run = local_path(str(run))
    path = Path(run) / POLICY_FILE if Path(run).is_dir() else Path(run)
    if not path.is_file():
        failure = read_failure(path.parent)
        unfinished = " (its training is not finished)" if (path.parent / "config.json").is_file() else ""
        unfinished = f" (it was given up: {failure})" if failure is not None else unfinished
        raise InputError(f"{run} holds no policy{unfinished}: give the folder of a finished `presa train`")
    require_packages("loading a policy", "safetensors")
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            facts = json.loads((file.metadata() or {})["presa"])
            policy = _policy_of({name: file.get_tensor(name) for name in file.keys()}, facts)  # noqa: SIM118
            _try_out(policy)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        reason = str(error).split("\n")[0] + foreign_content(Path(path))
        raise InputError(f"{path} is not a policy written by presa: {reason}") from None
    return policy


def _policy_of(tensors: dict[str, np.ndarray], facts: dict[str, Any]) -> Policy:
    """The policy that a file's tensors and facts describe."""
    if "context" in facts:
        from presa.rollouts.context_policy import ContextPolicy

        return ContextPolicy(tensors, facts)
    if "switching" in facts:
        from presa.rollouts.switching_policy import SwitchingPolicy

        return SwitchingPolicy(tensors, facts)
    layers = range(len(tensors) // 2)
    weights, biases = (tuple(tensors[f"{kind}_{layer}"] for layer in layers) for kind in ("weight", "bias"))
    policy = MlpPolicy(weights, biases, facts)
    return LimitPolicy(policy, tensors["limit_0"]) if "limit_input" in facts else policy


def _try_out(policy: Policy) -> None:
    """Raises ValueError if the tensors do not fit one another, or the task that the file names."""
    if (task := policy.facts.get("task")) is None:
        return
    policy.reset(1)
    actions = policy.act(np.zeros((1, task["observation_dim"]), np.float32))
    if actions.shape != (1, task["action_dim"]):
        raise ValueError(f"its actions have shape {actions.shape[1:]}, those of {task['name']} ({task['action_dim']},)")
    policy.reset(1)


def local_path(run: str) -> str:
    """A run's folder, as it is or from the Hub's cache, where `run` names a repository: user/name or user/name@revision.

    Raises:
        InputError: if it cannot be fetched.
    """
    from safefeedback.hub.client import is_repo_name, snapshot

    repo, _, revision = run.partition("@")
    if Path(run).exists() or not is_repo_name(repo):
        return run
    failure = f"{run} is no run here and cannot be fetched from the Hub"
    return str(snapshot(failure, "model", repo, revision or None, [POLICY_FILE, "config.json"]))
