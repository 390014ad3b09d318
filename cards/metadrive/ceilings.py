"""What arriving earns on the map of evaluations: MetaDrive's own PPO expert, and a slow driver that keeps its lane.

    python cards/metadrive/ceilings.py

Three episodes of each on each road, in sparse traffic; about two minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from safefeedback import find_task
from safefeedback.recorder.driver import driver_class
from safefeedback.simulators import make
from safefeedback.simulators.ceilings import ceiling
from safefeedback.simulators.metadrive import ROADS

SPEED = 12.0  # km/h: a thousand steps cost 20


def slow(drive: Any, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """Steers as DSRL's driver does, at one speed."""
    driver = driver_class()(drive.vehicle, seed, 1.0, SPEED)

    def act(_: np.ndarray) -> np.ndarray:
        return np.clip([driver.act()[0], 0.2 * (SPEED - drive.vehicle.speed)], -1, 1)

    return act


def expert(drive: Any, _: int) -> Callable[[np.ndarray], np.ndarray]:
    """The network that MetaDrive brings."""
    from metadrive.examples.ppo_expert import numpy_expert

    return lambda _: np.clip(numpy_expert.expert(drive.vehicle, deterministic=True), -1, 1)


def main() -> None:
    """See the module."""
    for road in ROADS:
        task = find_task(f"{road}sparse")
        low, high = task.reference_returns or (0.0, 1.0)
        env = make(task)
        print(f"{road}: at most {ceiling(task):.3f}, and {ceiling(task, 20):.3f} within a cost of 20")
        for player in (expert, slow):
            for seed in range(3):
                observation, total, cost, over, steps, info = env.reset(seed=seed)[0], 0.0, 0.0, False, 0, {}
                act = player(env.unwrapped.drive, seed)  # type: ignore[attr-defined]
                while not over:
                    observation, reward, terminated, truncated, info = env.step(act(observation).astype(np.float32))
                    total, cost, over, steps = total + float(reward), cost + info["cost"], terminated or truncated, steps + 1
                end = (
                    "arrived" if info["arrive_dest"] else "out of time" if steps == task.horizon else "crashed or left the road"
                )
                score = (total - low) / (high - low)
                print(f"  {player.__name__}: {total:.1f} ({score:.3f}), cost {cost:.1f}, {end} after {steps} steps", flush=True)
        env.close()


if __name__ == "__main__":
    main()
