"""Plays a recorded episode again in a new environment."""

from __future__ import annotations

from typing import Any

import numpy as np

from safefeedback import simulators
from safefeedback.recorder.recording import Episode
from safefeedback.tasks import Task

# What a replay of a shipped recording may differ by on another machine: nothing was seen with the kernels of OpenBLAS that
# tests/benchmarks/processors.py tries, but sums are rounded differently there.
TOLERANCE = 1e-6


def replay(task: Task, episode: Episode, tolerance: float = 0.0, **options: Any) -> None:
    """Stepping the recorded actions in a new environment gives the recorded episode.

    Args:
        tolerance: what each observation and reward may differ by, absolutely plus relatively: nothing where the episode was
            recorded on this machine, TOLERANCE elsewhere. Costs, the length and how it ended are always equal.
        options: of the environment's reset.
    """
    env = simulators.make(task)
    seen, rewards, costs = [env.reset(seed=episode.seed, options=options)[0]], [], []
    terminated = truncated = False
    for action in episode.actions:
        assert not (terminated or truncated), f"it ended after {len(rewards)} of {len(episode)} steps"
        observation, reward, terminated, truncated, info = env.step(action)
        seen.append(observation)
        rewards.append(reward)
        costs.append(info["cost"])
    env.close()
    assert terminated == episode.terminal and (terminated or truncated)
    np.testing.assert_array_equal(np.array(costs, dtype=np.float32), episode.costs)
    for found, recorded in ((seen, episode.observations), (rewards, episode.rewards)):
        np.testing.assert_allclose(np.array(found, dtype=np.float32), recorded, rtol=tolerance, atol=tolerance)
