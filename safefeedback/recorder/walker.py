"""AntCircle walked by a scripted gait: small steps and long ones, within the boundaries and across them, steady and disturbed.

PPO needs some 600,000 steps here to stand and walk at all; a gait with a field to follow walks at once. It acts on observations
alone, so that nothing it uses is hidden from a policy that imitates it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from safefeedback.recorder.gait import MemorylessGait, gait_numbers
from safefeedback.recorder.script import Script, settings_in_turn
from safefeedback.tasks import Task

STRIDES = (2.0, 1.6, 1.2, 0.6)  # of the gait's own amplitudes
BOUNDS = (5.8, 5.6, 5.2, 99.0)  # where to turn away from the boundaries at 6 m; at 99 nowhere
NOISES = (0.0, 0.1, 0.3)  # standard deviation of the noise added to every action


def units() -> list[dict[str, float]]:
    """The settings that an episode's `unit` indexes, noises innermost."""
    return [{"stride": stride, "bound": bound, "noise": noise} for stride in STRIDES for bound in BOUNDS for noise in NOISES]


def walk(task: Task, setting: dict[str, float]) -> Callable[[np.ndarray], np.ndarray]:
    """observation [34] -> action [8], for one episode."""
    return MemorylessGait(gait_numbers("memoryless"), setting["bound"], setting["stride"]).act


SCRIPT = Script(
    play=settings_in_turn(units, walk),
    words="walked by a scripted gait, not by DSRL's policies: 4 strides by 4 distances at which it turns away from the "
    "boundaries by 3 strengths of noise in its actions (safefeedback.recorder.gait)",
    units=units,
    version=3,
    episodes=1200,
    packages=("safefeedback", "numpy", "gymnasium", "bullet-safety-gym", "pybullet"),
    deciding=("numpy", "bullet-safety-gym", "pybullet"),
)
