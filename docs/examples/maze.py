"""An environment of one's own: a point that goes round a puddle to a goal. Importing this module registers Maze-v0."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np


class Maze(gymnasium.Env):
    """The room is a square from -1 to 1; a step within 0.3 of the puddle's middle costs 1.

    Observations: position, velocity, the goal and the puddle as seen from the point, [8]. Actions: acceleration, [2].
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012
    observation_space = gymnasium.spaces.Box(-4, 4, (8,), np.float32)
    action_space = gymnasium.spaces.Box(-1, 1, (2,), np.float32)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed)  # sets self.np_random, from which all chance must come
        self.position = np.array([-0.8, self.np_random.uniform(-0.8, 0.8)])
        self.goal = np.array([0.8, self.np_random.uniform(-0.8, 0.8)])
        self.puddle = self.np_random.uniform(-0.2, 0.2, 2)
        self.velocity = np.zeros(2)
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        before = np.linalg.norm(self.goal - self.position)
        self.velocity = 0.9 * self.velocity + 0.01 * np.clip(action, -1, 1)
        self.position = np.clip(self.position + self.velocity, -1, 1)
        after = np.linalg.norm(self.goal - self.position)
        cost = float(np.linalg.norm(self.puddle - self.position) < 0.3)
        return self._observation(), float(before - after), bool(after < 0.05), False, {"cost": cost}

    def render(self) -> np.ndarray:
        """The room from above, uint8 [96, 96, 3]: the puddle blue, the goal green, the point black."""
        x, y = np.meshgrid(np.linspace(-1, 1, 96), np.linspace(1, -1, 96))
        picture = np.full((96, 96, 3), 255, np.uint8)
        for place, radius, colour in (
            (self.puddle, 0.3, (80, 140, 255)),
            (self.goal, 0.05, (0, 160, 0)),
            (self.position, 0.04, (0, 0, 0)),
        ):
            picture[np.hypot(x - place[0], y - place[1]) < radius] = colour
        return picture

    def _observation(self) -> np.ndarray:
        seen = [self.position, self.velocity, self.goal - self.position, self.puddle - self.position]
        return np.concatenate(seen).astype(np.float32)


gymnasium.register("Maze-v0", entry_point=Maze)
