"""DSRL's scripted driver of MetaDrive's car, and one episode of a collection by it.

Source: the scripts with which DSRL's authors collected (fsrl_metadrive: its collection script and policy/idm_policy.py). The
driver keeps its lane by two PID controllers and its distance by the intelligent driver model (IDM); its fifty settings are ten
accelerations by five target speeds. DSRL drove each for 20 episodes on maps drawn at random; here each drives every map twice,
setting after setting, so that the first n episodes are spread over settings and maps whatever n is, and are the same for more.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from safefeedback.recorder.recording import Episode
from safefeedback.recorder.script import Script, play_out
from safefeedback.simulators import make
from safefeedback.simulators.metadrive import MAPS, load
from safefeedback.sources.dsrl import CITATION
from safefeedback.tasks import Task

ACCELERATIONS = tuple(round(0.6 * k, 1) for k in range(10))  # the driver's factor of acceleration
SPEEDS = (5, 9, 13, 17, 21)  # kilometres an hour


def units() -> list[dict[str, float]]:
    """The pairs of a driver's setting and a map that an episode's `unit` indexes, maps innermost."""
    return [
        {"acceleration": acceleration, "target_speed": speed, "map": number}
        for acceleration in ACCELERATIONS
        for speed in SPEEDS
        for number in range(MAPS)
    ]


def unit_of(index: int) -> int:
    """The unit of the collection's episode `index`: all settings in turn, each on the map after that of the turn before."""
    turn, setting = divmod(index, len(ACCELERATIONS) * len(SPEEDS))
    return setting * MAPS + (setting + turn) % MAPS


def drive(task: Task, collection: int, index: int) -> Episode:
    """Episode `index` of the collection with that seed; it depends on nothing else."""
    unit = unit_of(index)
    setting = units()[unit]
    seed = int(np.random.default_rng([collection, index]).integers(2**31))
    rng = np.random.default_rng([seed, 1])
    env = make(task)
    try:
        observation, _ = env.reset(seed=seed, options={"map": int(setting["map"])})
        unwrapped: Any = env.unwrapped
        driver = driver_class()(unwrapped.drive.vehicle, seed, setting["acceleration"], setting["target_speed"])

        def act(_: np.ndarray) -> np.ndarray:
            steering, throttle = driver.act()
            noisy = np.array([steering + rng.uniform(-0.1, 0.1), throttle + rng.uniform(0, 0.2)])
            # nothing is said to the pedals where the model has no number: see `driver_class`
            return np.nan_to_num(np.clip(noisy, -1, 1))

        return play_out(env, observation, act, seed, unit)
    finally:
        env.close()


@cache
def driver_class() -> Any:
    """DSRL's driver as MetaDrive's IDM policy with other numbers.

    Its deceleration is +5 where the model expects -5, as in DSRL's settings: behind another car the desired gap is then the
    root of a negative number, and the driver lets the car roll. This causes its collisions.
    """
    load()
    from metadrive.component.vehicle_module.PID_controller import PIDController
    from metadrive.policy.idm_policy import IDMPolicy

    class Driver(IDMPolicy):
        def __init__(self, vehicle: Any, seed: int, acceleration: float, speed: float) -> None:
            super().__init__(vehicle, seed)
            self.NORMAL_SPEED = self.target_speed = speed
            self.DISTANCE_WANTED = 10.0 - speed / 6.0
            self.ACC_FACTOR, self.DEACC_FACTOR = acceleration, 5.0
            self.enable_lane_change = False
            self.heading_pid = PIDController(self.KP_HEADING, 0.01, 3.5)
            self.lateral_pid = PIDController(self.KP_LATERAL, 0.002, 0.05)

        def act(self) -> list[float]:
            with np.errstate(all="ignore"):
                return super().act()

    return Driver


SCRIPT = Script(
    play=drive,
    words="made again by DSRL's protocol, not DSRL's file: an IDM driver of 10 accelerations (0, 0.6 ... 5.4) by 5 target "
    "speeds (5, 9 ... 21 km/h) on the road's ten maps, no lane change, steering + U(-0.1, 0.1), throttle + U(0, 0.2)",
    units=units,
    version=1,
    episodes=1000,
    packages=("safefeedback", "numpy", "gymnasium", "metadrive-simulator", "panda3d"),
    deciding=("numpy", "metadrive-simulator", "panda3d"),
    trainable=False,
    facts={
        "replay": "episode_seeds[e] and map = units[episode_units[e]]['map']: reset(seed=, options={'map': map}) of a new "
        "environment from safefeedback.simulators.make, then its actions",
        "credit": "Driven by the protocol of DSRL: Z. Liu et al., Datasets and Benchmarks for Offline Safe Reinforcement "
        "Learning, arXiv 2306.09303; simulator MetaDrive: Q. Li et al., arXiv 2109.12674, Apache-2.0",
        "citation": CITATION,
    },
)
