"""AntCircle walked by a scripted gait: small steps and long ones, within the boundaries and across them, steady and disturbed.

PPO needs some 600,000 steps here to stand and walk at all; a gait with a field to follow walks at once.
"""

from __future__ import annotations

import numpy as np

from safefeedback.recorder.gait import Gait, found, learnt
from safefeedback.recorder.recording import Episode
from safefeedback.recorder.script import Script
from safefeedback.simulators import make
from safefeedback.tasks import Task

STRIDES = (2.0, 1.6, 1.0, 0.5)  # of the gait's own amplitudes
BOUNDS = (5.9, 5.8, 5.6, 99.0)  # where to turn away from the boundaries at 6 m; at 99 nowhere
NOISES = (0.0, 0.1, 0.3)  # standard deviation of what is added to every action


def units() -> list[dict[str, float]]:
    """What an episode's `unit` counts, noises innermost."""
    return [{"stride": stride, "bound": bound, "noise": noise} for stride in STRIDES for bound in BOUNDS for noise in NOISES]


def walk(task: Task, collection: int, index: int) -> Episode:
    """Episode `index` of the collection with that seed; all settings in turn. It depends on nothing else."""
    unit = index % len(units())
    setting = units()[unit]
    seed = int(np.random.default_rng([collection, index]).integers(2**31))
    rng = np.random.default_rng([seed, 1])
    gait = Gait(found(), setting["bound"], setting["stride"], learnt())
    env = make(task)
    try:
        observation, _ = env.reset(seed=seed)
        observations, actions, rewards, costs, over = [observation], [], [], [], False
        while not over:
            noisy = gait.act(observation) + setting["noise"] * rng.standard_normal(env.action_space.shape)
            action = np.clip(noisy, -1, 1).astype(np.float32)
            observation, reward, terminated, truncated, info = env.step(action)
            observations.append(observation)
            actions.append(action)
            rewards.append(reward)
            costs.append(info["cost"])
            over = terminated or truncated
    finally:
        env.close()
    return Episode(
        np.array(observations, np.float32),
        np.array(actions, np.float32),
        np.array(rewards, np.float32),
        np.array(costs, np.float32),
        terminal=bool(terminated),
        seed=seed,
        unit=unit,
    )


SCRIPT = Script(
    play=walk,
    words="walked by a scripted gait, not by DSRL's policies: 4 strides by 4 distances at which it turns away from the "
    "boundaries by 3 strengths of noise in its actions (safefeedback.recorder.gait)",
    units=units,
    version=2,
    episodes=1200,
    packages=("safefeedback", "numpy", "gymnasium", "bullet-safety-gym", "pybullet"),
    deciding=("numpy", "bullet-safety-gym", "pybullet"),
    trainable=True,
    facts={"replay": "episode_seeds[e]: reset(seed=) of a new environment from safefeedback.simulators.make, then its actions"},
)
