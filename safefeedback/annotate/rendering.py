"""Makes frames of a dataset's segments by replaying its recordings in the simulator; interrupted, it goes on where it was."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from safefeedback import sources
from safefeedback.annotate.frames import COLUMNS, HEIGHT, WIDTH, file_name
from safefeedback.annotate.material import Material
from safefeedback.dataset.label_sets import open_local
from safefeedback.errors import InputError
from safefeedback.files import file_sha256, replacing
from safefeedback.imports import require_packages
from safefeedback.simulators import can_simulate, make
from safefeedback.simulators.drawing import drawer
from safefeedback.types import Episodes

QUALITY = 80  # of the JPEGs
CLOSE = 1e-3  # that a replayed observation may differ from the recorded one, on another processor


def render(material: Material, folder: Path, on_progress: Callable[[int, int], None] = lambda done, total: None) -> int:
    """Makes the frames that are missing; how many segments got theirs.

    Args:
        material: the dataset.
        folder: where the images go, one a segment.
        on_progress: told (segments done, segments in all).

    Raises:
        InputError: if the recordings are not at hand, say no seeds, or the simulator does not repeat them here.
    """
    reason = can_simulate(material.task)
    if reason is not None:
        raise InputError(f"--render: {reason}")
    require_packages("--render", "PIL")
    pairs = open_local(material.folder).feedback().pairs
    wanted: dict[int, list[tuple[int, Path]]] = {}  # episode -> first step and image of each segment
    for row, pair_id in enumerate(pairs.pair_id.tolist()):
        for segment in (0, 1):
            file = folder / file_name(pair_id, segment)
            wanted.setdefault(int(pairs.episode[row, segment]), []).append((int(pairs.start[row, segment]), file))
    folder.mkdir(parents=True, exist_ok=True)
    missing = {episode: [one for one in found if not one[1].exists()] for episode, found in wanted.items()}
    total, made = 2 * len(pairs), 0
    done = total - sum(len(found) for found in missing.values())
    on_progress(done, total)
    if done == total:
        return 0
    episodes, seeds = _recorded(material)
    env = make(material.task)
    draw = drawer(env, WIDTH, HEIGHT, above=True)
    for episode, found in sorted(missing.items()):
        if not found:
            continue
        steps = {step for start, _ in found for step in range(start, start + material.length)}
        frames = _replay(env, draw, episodes, episode, int(seeds[episode]), steps)
        for start, file in found:
            with replacing(file) as partial:
                partial.write_bytes(_sheet([frames[step] for step in range(start, start + material.length)]))
            made, done = made + 1, done + 1
            on_progress(done, total)
    env.close()
    return made


def _recorded(material: Material) -> tuple[Episodes, np.ndarray]:
    """The dataset's recordings, and the seed of each episode."""
    source = material.manifest.source
    file = sources.recordings_file(material.task)
    if file is None or file_sha256(file) != source.fingerprint:
        raise InputError(
            "--render replays recordings that tell a seed for each episode, such as those shipped with safefeedback; "
            f"{source.file} is not one of them"
        )
    with h5py.File(file, "r") as opened:
        seeds = np.asarray(opened.attrs["episode_seeds"])
    return sources.recover(material.task, source.fingerprint), seeds


def _replay(
    env: object, draw: Callable[[], np.ndarray], episodes: Episodes, episode: int, seed: int, steps: set[int]
) -> dict[int, np.ndarray]:
    """Frames uint8 [H, W, 3] of some steps of an episode, each before its action."""
    first, last = episodes.bounds[episode], episodes.bounds[episode + 1]
    observation, _ = env.reset(seed=seed)  # type: ignore[attr-defined]
    frames = {}
    for step in range(min(int(last - first), max(steps) + 1)):
        if not np.allclose(observation, episodes.observations[first + step], atol=CLOSE):
            raise InputError(f"--render: the simulator does not repeat episode {episode} here (step {step} differs)")
        if step in steps:
            frames[step] = draw()
        observation, *_ = env.step(episodes.actions[first + step])  # type: ignore[attr-defined]
    return frames


def _sheet(frames: list[np.ndarray]) -> bytes:
    """Frames as one JPEG, row by row."""
    from PIL import Image

    rows = -(-len(frames) // COLUMNS)
    sheet = np.zeros((rows * HEIGHT, COLUMNS * WIDTH, 3), np.uint8)
    for index, frame in enumerate(frames):
        row, column = divmod(index, COLUMNS)
        sheet[row * HEIGHT : (row + 1) * HEIGHT, column * WIDTH : (column + 1) * WIDTH] = frame[:HEIGHT, :WIDTH, :3]
    out = io.BytesIO()
    Image.fromarray(sheet).save(out, "JPEG", quality=QUALITY)
    return out.getvalue()
