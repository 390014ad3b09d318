"""Renders frames of a dataset's segments by replaying its recordings in the simulator; it can be interrupted and continued."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from safefeedback import sources
from safefeedback.annotate.frames import COLUMNS, HEIGHT, WIDTH, file_name
from safefeedback.annotate.material import Material
from safefeedback.dataset.label_sets import open_local
from safefeedback.errors import InputError
from safefeedback.files import replacing
from safefeedback.imports import require_packages
from safefeedback.recorder.recording import read_recording
from safefeedback.simulators import can_simulate, make
from safefeedback.simulators.drawing import drawer
from safefeedback.types import Episodes

QUALITY = 80  # of the JPEGs
CLOSE = 1e-3  # tolerance between a replayed and a recorded observation, on another processor


@dataclass(frozen=True)
class Replayed:
    """Recordings that can be replayed.

    Attributes:
        episodes: what was recorded.
        seeds: int64 [E], of the environment's reset.
        maps: int64 [E], the map of MetaDrive's episodes, or None.
    """

    episodes: Episodes
    seeds: np.ndarray
    maps: np.ndarray | None

    def reset(self, env: Any, episode: int) -> np.ndarray:
        """Begins the episode again; returns its first observation [O]."""
        options = None if self.maps is None else {"map": int(self.maps[episode])}
        return env.reset(seed=int(self.seeds[episode]), options=options)[0]


def render(
    material: Material,
    folder: Path,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    source: Path | None = None,
) -> int:
    """Renders the missing frames; returns for how many segments.

    Args:
        material: the dataset.
        folder: where the images go, one a segment.
        on_progress: called with (segments done, segments in all).
        source: the recordings' file, if it is not one that is found by its sha256.

    Raises:
        InputError: if the recordings are missing or have no seeds, or the simulator does not repeat them here.
    """
    reason = can_simulate(material.task)
    if reason is not None:
        raise InputError(f"--render: {reason}")
    require_packages("--render", "PIL")
    pairs = open_local(material.folder).feedback().pairs
    requested: dict[int, list[tuple[int, Path]]] = {}  # episode -> first step and image of each segment
    for row, pair_id in enumerate(pairs.pair_id.tolist()):
        for segment in (0, 1):
            file = folder / file_name(pair_id, segment)
            requested.setdefault(int(pairs.episode[row, segment]), []).append((int(pairs.start[row, segment]), file))
    folder.mkdir(parents=True, exist_ok=True)
    missing = {episode: [image for image in images if not image[1].exists()] for episode, images in requested.items()}
    total, rendered = 2 * len(pairs), 0
    done = total - sum(len(images) for images in missing.values())
    on_progress(done, total)
    if done == total:
        return 0
    recorded = _recorded(material, source)
    env = make(material.task)
    draw = drawer(env, WIDTH, HEIGHT, above=True)
    for episode, images in sorted(missing.items()):
        if not images:
            continue
        steps = {step for start, _ in images for step in range(start, start + material.length)}
        frames = _replay(env, draw, recorded, episode, steps)
        for start, file in images:
            with replacing(file) as partial:
                partial.write_bytes(_sheet([frames[step] for step in range(start, start + material.length)]))
            rendered, done = rendered + 1, done + 1
            on_progress(done, total)
    env.close()
    return rendered


def _recorded(material: Material, given_file: Path | None) -> Replayed:
    """The dataset's recordings, and the seeds that reset each episode."""
    source = material.manifest.source
    episodes = sources.recover(material.task, source.fingerprint, given_file)
    file = given_file or sources.recover_file(material.task, source.fingerprint)
    try:
        recorded_episodes, attributes = read_recording(file)
    except InputError:
        raise InputError(
            f"--render needs recordings that hold a seed for each episode, as `safefeedback collect` writes them; {file} "
            "does not"
        ) from None
    units = json.loads(attributes.get("units", "[]"))
    settings = [units[recorded.unit] if recorded.unit < len(units) else {} for recorded in recorded_episodes]
    maps = np.array([setting["map"] for setting in settings]) if all("map" in setting for setting in settings) else None
    return Replayed(episodes, np.array([recorded.seed for recorded in recorded_episodes]), maps)


def _replay(
    env: Any, draw: Callable[[], np.ndarray], recorded: Replayed, episode: int, steps: set[int]
) -> dict[int, np.ndarray]:
    """Frames uint8 [H, W, 3] of some steps of an episode, each before its action."""
    episodes = recorded.episodes
    first, last = episodes.bounds[episode], episodes.bounds[episode + 1]
    observation = recorded.reset(env, episode)
    frames = {}
    for step in range(min(int(last - first), max(steps) + 1)):
        if not np.allclose(observation, episodes.observations[first + step], atol=CLOSE):
            raise InputError(f"--render: the simulator does not repeat episode {episode} here (step {step} differs)")
        if step in steps:
            frames[step] = draw()
        observation, *_ = env.step(episodes.actions[first + step])
    return frames


def _sheet(frames: list[np.ndarray]) -> bytes:
    """Frames as one JPEG, row by row."""
    from PIL import Image

    rows = -(-len(frames) // COLUMNS)
    sheet = np.zeros((rows * HEIGHT, COLUMNS * WIDTH, 3), np.uint8)
    for index, frame in enumerate(frames):
        row, column = divmod(index, COLUMNS)
        picture = _fitted(frame)
        top, left = row * HEIGHT + (HEIGHT - len(picture)) // 2, column * WIDTH + (WIDTH - picture.shape[1]) // 2
        sheet[top : top + len(picture), left : left + picture.shape[1]] = picture
    out = io.BytesIO()
    Image.fromarray(sheet).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()


def _fitted(frame: np.ndarray) -> np.ndarray:
    """The frame in the size of a tile, whole and in its own proportions: uint8 [at most HEIGHT, at most WIDTH, 3]."""
    from PIL import Image

    height, width = frame.shape[:2]
    scale = min(HEIGHT / height, WIDTH / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    picture = Image.fromarray(np.ascontiguousarray(frame[..., :3]))
    return np.asarray(picture if size == (width, height) else picture.resize(size, Image.Resampling.BILINEAR))
