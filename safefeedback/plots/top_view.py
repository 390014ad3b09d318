"""Segments seen from above, as frames of a film, drawn from the observations of tasks in which they show the position."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from safefeedback.plots import geometry

SIZE = 192  # pixels on each side
MARGIN = 1.2  # how much more than the arena is seen
OUTSIDE, INSIDE, CIRCLE, TRAIL, BODY, FRONT = (
    np.array(colour, np.uint8)
    for colour in ((245, 225, 220), (255, 255, 255), (150, 190, 150), (150, 170, 210), (30, 40, 60), (250, 180, 40))
)


@dataclass(frozen=True)
class TopView:
    """How the segments of a task are seen from above.

    Attributes:
        task: its name.
        arena: what is drawn of the world.
        half: metres from the middle of the picture to its edges.
    """

    task: str
    arena: geometry.Arena
    half: float

    @staticmethod
    def of(task: str, observations: np.ndarray) -> TopView | None:
        """The view in which the segments, float32 [..., L, O], fit; None if the observations do not show the position."""
        arena = geometry.arena(task, observations.shape[-1])
        if arena is None:
            return None
        place = geometry.positions(task, observations)
        if arena.circle is not None:
            return TopView(task, arena, max(MARGIN * arena.circle, float(np.quantile(np.abs(place), 0.99))))
        across = max(MARGIN * (arena.y_limit or 0), float(np.quantile(np.abs(place[..., 1]), 0.99)))
        return TopView(task, arena, max(across, MARGIN * float(np.quantile(np.ptp(place[..., 0], axis=-1), 0.99)) / 2))

    def frames(self, observations: np.ndarray) -> Iterator[np.ndarray]:
        """A picture, uint8 [192, 192, 3], for each step of a segment, float32 [L, O]; the way so far is a trail."""
        place, looks = geometry.positions(self.task, observations), geometry.headings(self.task, observations)
        middle = 0.0 if self.arena.circle is not None else float(place[:, 0].min() + place[:, 0].max()) / 2
        axis = ((np.arange(SIZE) + 0.5) / SIZE * 2 - 1) * self.half
        canvas = self._ground(*np.meshgrid(axis + middle, -axis))
        at = (np.stack([place[:, 0] - middle, -place[:, 1]], axis=1) / self.half + 1) * SIZE / 2  # pixels right and down
        for step, centre in enumerate(at):
            picture = canvas.copy()
            _disc(picture, centre, 5.0, BODY)
            if looks is not None:
                _disc(picture, centre + 5.0 * np.array([np.cos(looks[step]), -np.sin(looks[step])]), 2.0, FRONT)
            _disc(canvas, centre, 1.5, TRAIL)
            yield picture

    def _ground(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """What stands still."""
        ground = np.broadcast_to(INSIDE, (SIZE, SIZE, 3)).copy()
        for place, limit in ((x, self.arena.x_limit), (y, self.arena.y_limit)):
            if limit is not None:
                ground[np.abs(place) > limit] = OUTSIDE
        if self.arena.circle is not None:
            ground[np.abs(np.hypot(x, y) - self.arena.circle) < self.half / 80] = CIRCLE
        return ground


def _disc(picture: np.ndarray, centre: np.ndarray, radius: float, colour: np.ndarray) -> None:
    """Fills a disc around a point (right, down), as much of it as lies in the picture."""
    low = np.clip(np.floor(centre - radius), 0, SIZE).astype(int)
    high = np.clip(np.ceil(centre + radius) + 1, 0, SIZE).astype(int)
    x, y = np.arange(low[0], high[0]) + 0.5 - centre[0], np.arange(low[1], high[1]) + 0.5 - centre[1]
    picture[low[1] : high[1], low[0] : high[0]][x[None, :] ** 2 + y[:, None] ** 2 < radius**2] = colour
