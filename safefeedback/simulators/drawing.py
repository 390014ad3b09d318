"""Renders a simulator's state."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from safefeedback.errors import InputError

DISTANCE = 17.0  # metres, from which 10 metres on each side of the middle are seen


def drawer(env: Any, width: int, height: int, above: bool = False) -> Callable[[], np.ndarray]:
    """A function that draws the environment's state, uint8 [H, W, 3]; drawing changes nothing in it.

    Of bullet-safety-gym the pictures have the size that is asked for, and with `above` show the place of the Circle tasks from
    straight above; of others they are as the simulator makes them.

    Raises:
        InputError: when a picture is drawn and none comes, or none of that shape.
    """
    bare = env.unwrapped
    if hasattr(bare, "bc"):  # bullet-safety-gym
        camera = bare.world.camera
        camera.render_width, camera.render_height = width, height

        def draw_bullet() -> np.ndarray:
            if not above:
                x, y, _ = bare.agent.get_position()  # it follows the body
                camera.cam_base_pos, camera.cam_dist = (x, y, 1.0), 4.0
            if above and hasattr(bare.task, "circle"):
                camera.cam_base_pos, camera.cam_dist, camera.cam_yaw, camera.cam_pitch = (0, 0, 0), DISTANCE, 0, -89.9
            return np.asarray(bare.render(mode="rgb_array"), np.uint8)

        return draw_bullet
    if hasattr(bare, "render_parameters"):  # safety-gymnasium's navigation tasks
        bare.render_parameters.mode = "rgb_array"
    else:
        bare.render_mode = "rgb_array"

    def draw() -> np.ndarray:
        try:
            picture = bare.render()
        except Exception as error:  # each platform's OpenGL fails in its own way
            _silence_deleted_viewers()
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            hint = ": MUJOCO_GL=egl or osmesa may help" if "mujoco" in sys.modules else ""
            raise InputError(f"{type(bare).__name__} cannot draw here ({reason}){hint}") from None
        if np.ndim(picture) != 3 or np.shape(picture)[2] not in (3, 4):
            raise InputError(
                f"{type(bare).__name__}.render() must give a picture [height, width, 3] where render_mode is rgb_array"
            )
        return np.asarray(picture, np.uint8)

    return draw


def _silence_deleted_viewers() -> None:
    """A viewer that could not be created raises another error when it is deleted, which is hidden here."""
    before = sys.unraisablehook
    sys.unraisablehook = lambda said: None if "Viewer" in getattr(said.object, "__qualname__", "") else before(said)
