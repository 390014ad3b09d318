"""Plays episodes in a process of its own: one line of JSON in for each episode, one line out.

Run as `python -m presa.rollouts.play`; a line says what to play, and the lines after it give the seeds. An episode depends on
its seed alone, never on which process plays it or what was played before.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from safefeedback.errors import InputError
from safefeedback.imports import failures_of
from safefeedback.tasks import Task

OnStep = Callable[[int, float, float], None]


def play(env: Any, policy: Any, seed: int, on_step: OnStep = lambda length, total, cost: None) -> dict[str, Any]:
    """One episode.

    Args:
        env: as `safefeedback.simulators.make` gives.
        policy: see `presa.rollouts.policy.load`.
        seed: of the episode's start, and of the policy if it has `seed`.
        on_step: called after the reset and after every step, with the number of steps so far, and their return and cost.

    Returns:
        return and cost, undiscounted sums, and length in steps.

    Raises:
        InputError: if the policy's actions are not finite or not of the right shape.
    """
    low, high = env.action_space.low, env.action_space.high
    observe = getattr(policy, "observe", None)
    observation, _ = env.reset(seed=seed)
    if callable(reseed := getattr(policy, "seed", None)):
        reseed(seed)
    policy.reset(1)
    total, cost, length, over = 0.0, 0.0, 0, False
    on_step(0, 0.0, 0.0)
    while not over:
        action = np.asarray(policy.act(np.asarray(observation, np.float32)[None]), np.float32)
        if action.shape != (1, *low.shape) or not np.isfinite(action).all():
            raise InputError(f"the policy's act() must give finite actions of shape (n, {len(low)}); it gave {action.tolist()}")
        # np.clip does the same in twice the time
        observation, reward, terminated, truncated, info = env.step(np.minimum(np.maximum(action[0], low), high))
        total, cost, length, over = total + float(reward), cost + float(info["cost"]), length + 1, terminated or truncated
        if observe is not None:
            observe(np.array([reward], np.float64), np.array([info["cost"]], np.float64))
        on_step(length, total, cost)
    return {"return": total, "cost": cost, "length": length}


def find_policy(name: str, cost_limit: float | None = None) -> Any:
    """The policy of a run's folder, or the one that `package.module:function` returns, with the cost limit set.

    Raises:
        InputError: if there is none, or it lacks reset or act.
    """
    from presa.rollouts.policy import load
    from safefeedback.imports import load_object

    if ":" not in name or os.path.exists(name):
        return _with_limit(load(name), cost_limit)
    function = load_object(name)
    with failures_of(name, everywhere=True):
        return checked(function(), f"what {name} returned", cost_limit)


def checked(policy: Any, name: str, cost_limit: float | None = None) -> Any:
    """The policy after checking its methods, with the cost limit set.

    Raises:
        InputError: if it lacks reset or act.
    """
    missing = [method for method in ("reset", "act") if not callable(getattr(policy, method, None))]
    if missing:
        raise InputError(f"{name} has no {' and no '.join(missing)}: a policy needs both reset(n) and act")
    return _with_limit(policy, cost_limit)


def _with_limit(policy: Any, cost_limit: float | None) -> Any:
    """The policy, with the cost limit set if it has `aim`."""
    if cost_limit is not None and callable(aim := getattr(policy, "aim", None)):
        aim(cost_limit)
    return policy


def main() -> None:
    """Reads {"policy", "task", "cost_limit"}, answers {} when ready; then {"seed"} and answers an episode, and so on, until the
    next policy. The environment is kept as long as the task is the same."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of a simulator or a policy must not mix with the answers
    env = policy = played = None
    name = ""
    try:
        from safefeedback.simulators import make

        for line in sys.stdin:
            order = json.loads(line)
            if "seed" in order:
                with failures_of(name):
                    result = play(env, policy, order["seed"])
                _answer(answers, result)
                continue
            name, task = order["policy"], Task.from_dict(order["task"])
            policy = find_policy(name, order["cost_limit"])
            if task != played:
                if env is not None:
                    env.close()
                env, played = make(task), task
            _answer(answers, {})
    except InputError as error:
        _answer(answers, {"error": str(error)})


def _answer(answers: Any, value: dict[str, Any]) -> None:
    answers.write(json.dumps(value) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
