"""AntCircle walked by a scripted gait: small steps and long ones, within the boundaries and across them, steady and disturbed.

PPO needs some 600,000 steps here to stand and walk at all; a gait with a field to follow walks at once.
"""

from __future__ import annotations

import numpy as np

from safefeedback.recorder.gait import Gait, correction_network, gait_numbers
from safefeedback.recorder.recording import Episode
from safefeedback.recorder.script import Script, play_out
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
    gait = Gait(gait_numbers(), setting["bound"], setting["stride"], correction_network())
    env = make(task)
    try:
        observation, _ = env.reset(seed=seed)

        def act(seen: np.ndarray) -> np.ndarray:
            return np.clip(gait.act(seen) + setting["noise"] * rng.standard_normal(env.action_space.shape), -1, 1)

        return play_out(env, observation, act, seed, unit)
    finally:
        env.close()


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
