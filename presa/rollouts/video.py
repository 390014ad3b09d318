"""Pictures of episodes as a GIF or MP4."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from presa.rollouts.evaluate import episode_seeds
from presa.rollouts.play import find_policy, play
from safefeedback.errors import InputError
from safefeedback.imports import install_package_command
from safefeedback.simulators import make
from safefeedback.simulators.drawing import drawer
from safefeedback.tasks import Task

FRAMES_PER_SECOND = 20
WIDTH, HEIGHT = 640, 480


def check_film(file: Path, episodes: int) -> None:
    """Raises InputError before the rollout if it cannot be filmed.

    Raises:
        InputError: if the file's kind is unknown or cannot be written here, or there is no episode to film.
    """
    if file.suffix not in (".gif", ".mp4"):
        raise InputError(f"--video must end with .gif or .mp4, not '{file.name}'")
    if episodes < 1:
        raise InputError(f"--video-episodes must be at least 1, not {episodes}")
    _write(file, [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 2, keep=False)


def require_drawing(task: Task) -> None:
    """Raises InputError if the task's simulator cannot draw here; a picture is drawn to find out, before anything is played."""
    env = make(task)
    env.reset(seed=0)
    drawer(env, WIDTH, HEIGHT)()
    env.close()


def film(policy: str, task: Task, cost_limit: float, seed: int, episodes: int, file: Path, every: int = 2) -> int:
    """Films an evaluation's first episodes, one after another.

    Args:
        policy, task, cost_limit, seed: as in `presa.rollouts.evaluate.roll_out`.
        episodes: how many.
        file: a .gif or .mp4.
        every: steps between frames.

    Returns:
        How many frames were written.

    Raises:
        InputError: if the simulator cannot draw here, or the file's kind cannot be written.
    """
    check_film(file, episodes)
    env, actor = make(task), find_policy(policy, cost_limit)
    draw = drawer(env, WIDTH, HEIGHT)
    frames: list[Any] = []

    def watch(length: int, total: float, cost: float) -> None:
        if length % every == 0:
            frames.append(captioned(draw(), f"step {length}   return {total:.1f}   cost {cost:g} of {cost_limit:g}"))

    for episode_seed in episode_seeds(seed, episodes):
        play(env, actor, episode_seed, watch)
    _write(file, frames)
    return len(frames)


def captioned(picture: np.ndarray, text: str) -> np.ndarray:
    """The picture, uint8 [H, W, 3], with a line of text in its upper left corner."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.fromarray(picture)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(max(10, image.height // 30))
    left, top, right, bottom = draw.textbbox((6, 4), text, font)
    draw.rectangle((left - 6, top - 4, right + 6, bottom + 4), fill="white")
    draw.text((6, 4), text, "black", font)
    return np.asarray(image)


def _write(file: Path, frames: list[Any], keep: bool = True) -> None:
    """Writes a film whole or not at all; with `keep` False only tries whether that works.

    Raises:
        InputError: if it cannot be written.
    """
    try:
        import imageio.v2 as imageio
    except ImportError:
        raise InputError(f"--video needs the package imageio: {install_package_command('imageio[ffmpeg]')}") from None
    partial = file.with_name(f".{file.stem}.{os.getpid()}.partial{file.suffix}")
    timing: dict[str, Any] = {"fps": FRAMES_PER_SECOND} if file.suffix == ".mp4" else {"duration": 1000 / FRAMES_PER_SECOND}
    try:
        imageio.mimwrite(partial, frames, **timing)
        if keep:
            partial.replace(file)
    except (OSError, ImportError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        hint = f"; MP4 needs {install_package_command('imageio[ffmpeg]')}, GIF does not" if file.suffix == ".mp4" else ""
        raise InputError(f"{file} cannot be written: {reason}{hint}") from None
    finally:
        partial.unlink(missing_ok=True)
