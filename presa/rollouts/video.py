"""Pictures of episodes as a GIF or MP4."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from presa.rollouts.evaluate import episode_seeds
from presa.rollouts.play import find_policy, play
from safefeedback.errors import InputError
from safefeedback.imports import require_packages
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
    if file.suffix not in WRITERS:
        raise InputError(f"--video must end with {' or '.join(WRITERS)}, not '{file.name}'")
    require_packages(f"a film as {file.suffix[1:].upper()}", PACKAGES[file.suffix])
    if episodes < 1:
        raise InputError(f"--video-episodes must be at least 1, not {episodes}")
    write_film(file, [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 2, keep=False)


def require_drawing(task: Task) -> None:
    """Raises InputError if the task's simulator cannot draw here; this is tried with one picture, before anything is played."""
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

    def add_frame(length: int, total: float, cost: float) -> None:
        if length % every == 0:
            frames.append(captioned(draw(), f"step {length}   return {total:.1f}   cost {cost:g} of {cost_limit:g}"))

    for episode_seed in episode_seeds(seed, episodes):
        play(env, actor, episode_seed, add_frame)
    write_film(file, frames)
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


def write_film(file: Path, frames: list[Any], keep: bool = True) -> None:
    """Writes a film whole or not at all; with `keep` False only tries whether that works.

    Raises:
        InputError: if it cannot be written.
    """
    partial = file.with_name(f".{file.stem}.{os.getpid()}.partial{file.suffix}")
    try:
        WRITERS[file.suffix](partial, frames)
        if keep:
            partial.replace(file)
    except (OSError, ImportError, ValueError, RuntimeError) as error:
        raise InputError(f"{file} cannot be written: {str(error).strip().splitlines()[0]}") from None
    finally:
        partial.unlink(missing_ok=True)


def _gif(file: Path, frames: list[Any]) -> None:
    from PIL import Image

    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save(file, save_all=True, append_images=others, duration=1000 // FRAMES_PER_SECOND, loop=0)


def _mp4(file: Path, frames: list[Any]) -> None:
    import av

    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options={"crf": "23"})
        height, width = (size // 2 * 2 for size in frames[0].shape[:2])  # of yuv420p, which every player shows
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


WRITERS = {".gif": _gif, ".mp4": _mp4}
PACKAGES = {".gif": "PIL", ".mp4": "av"}
