"""Plays a recorded episode again in a new environment."""

from __future__ import annotations

import numpy as np

from safefeedback import simulators as simulator
from safefeedback.recorder.recording import Episode
from safefeedback.tasks import Task


def replay(task: Task, episode: Episode) -> None:
    """Stepping the recorded actions in a new environment gives the recorded episode, bit for bit."""
    env = simulator.make(task)
    seen, rewards, costs = [env.reset(seed=episode.seed)[0]], [], []
    for action in episode.actions:
        observation, reward, terminated, truncated, info = env.step(action)
        seen.append(observation)
        rewards.append(reward)
        costs.append(info["cost"])
    env.close()
    assert terminated == episode.terminal and (terminated or truncated)
    np.testing.assert_array_equal(np.array(seen, dtype=np.float32), episode.observations)
    np.testing.assert_array_equal(np.array(rewards, dtype=np.float32), episode.rewards)
    np.testing.assert_array_equal(np.array(costs, dtype=np.float32), episode.costs)
