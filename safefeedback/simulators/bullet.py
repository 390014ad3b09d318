"""The domain BulletGym: the eight tasks of bullet-safety-gym."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from safefeedback.imports import install_command
from safefeedback.simulators import bullet_sums
from safefeedback.simulators.repeatable import make_registered, repeatable
from safefeedback.tasks import Task

if TYPE_CHECKING:
    import gymnasium

PACKAGES = ("gymnasium", "bullet_safety_gym")
EXTRA = "sim"
INSTALL = install_command(EXTRA)
DISTRIBUTIONS = ("gymnasium", "bullet-safety-gym")
TRIAL_TASK = "BallRun"


def make(task: Task) -> gymnasium.Env:
    """The task's environment; `reset(seed=n)` starts the same episode, whatever was played before it."""
    import bullet_safety_gym  # noqa: F401  (registers its environments with gymnasium)

    bullet_sums.patch_package()
    env = make_registered(task, (task.env_id or "").replace("Offline", "Safety", 1))
    return repeatable(env, _BulletStart(env.unwrapped).restore)


class _BulletStart:
    """The state of a bullet-safety-gym environment just after it was made, to return to before each episode.

    The package saves the world inside its FIRST reset and returns to that, so the first episode's random pose leaks into
    later ones, and so do joint motors, which Bullet's saved states leave out. Returning to the state before any reset,
    with the motors as the constructors leave them, gives bit for bit what a new environment gives, in 1 ms instead of
    13-350 (tests/test_simulator.py compares the two for all eight tasks).
    """

    def __init__(self, env: Any) -> None:
        self.env = env
        self.world = env.bc.saveState()
        self.attributes = [(owner, _plain_attributes(owner)) for owner in (env.agent, env.task)]

    def restore(self) -> None:
        env = self.env
        env.bc.restoreState(self.world)
        if env.stored_state_id >= 0:  # the package's own snapshot, which the coming reset takes anew
            env.bc.removeState(env.stored_state_id)
            env.stored_state_id = -1
        for owner, attributes in self.attributes:
            for name, value in attributes.items():
                setattr(owner, name, value.copy() if isinstance(value, np.ndarray) else value)
        for joint in env.agent.joint_list:
            joint.init_motor()
        if type(env.agent).__name__ == "RaceCar":  # its constructor sets the motors a second time
            for joint in env.agent.joint_list:
                env.bc.setJointMotorControl2(env.agent.body_id, joint.index, env.bc.VELOCITY_CONTROL, targetVelocity=0, force=0)


def _plain_attributes(owner: Any) -> dict[str, Any]:
    """Copies of the numbers and arrays an object holds, by name."""
    kinds = (np.ndarray, float, int, bool, type(None))
    return {
        name: value.copy() if isinstance(value, np.ndarray) else value
        for name, value in vars(owner).items()
        if isinstance(value, kinds)
    }
