"""The small recordings that are shipped in the package: made from a collected file, and turned back into a full one.

A bundled file leaves out `next_observations`: inside an episode they are the observations one row on, and the last row of
each episode is kept as the attribute `last_observations` [E, O], so that `export` restores them bit for bit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from safefeedback.errors import InputError
from safefeedback.recorder.recording import Episode, columns, read_recording, sums, write_hdf5, write_recording
from safefeedback.recorder.thinning import thin_evenly


def bundle(source: Path, out: Path, episodes: int, cost_limit: float, least_share: float = 0.25, seed: int = 0) -> None:
    """Write a small file with `episodes` of a collected file's episodes, spread evenly over the return-cost plane.

    Where an even spread leaves fewer than `least_share` safe or unsafe at the cost limit, episodes of that kind are drawn
    first, as many as that or as there are: a recording of nothing but safe behaviour teaches nothing about safety. The best
    safe episode stays in any case, in place of the one whose return is next to its.

    Raises:
        InputError: if the source is not a recording made by the collector.
    """
    recorded, attributes = read_recording(source)
    returns, costs = sums(recorded)
    rng = np.random.default_rng([seed, 3])
    kept = thin_evenly(returns, costs, episodes, rng)
    least = int(np.ceil(least_share * len(kept)))
    for kind in (costs <= cost_limit, costs > cost_limit):
        if kind[kept].sum() < min(least, kind.sum()):
            rare, others = np.flatnonzero(kind), np.flatnonzero(~kind)
            rare = rare[thin_evenly(returns[rare], costs[rare], least, rng)]
            others = others[thin_evenly(returns[others], costs[others], len(kept) - len(rare), rng)]
            kept = np.sort(np.concatenate([rare, others]))
    safe = np.flatnonzero(costs <= cost_limit)
    if len(safe) and not np.isin(best := safe[returns[safe].argmax()], kept):
        rest = kept[costs[kept] <= cost_limit]
        left_out = rest[np.abs(returns[rest] - returns[best]).argmin()] if len(rest) else kept[0]
        kept = np.sort(np.append(kept[kept != left_out], best))
    _write(out, [recorded[index] for index in kept], {**attributes, "episodes_kept": len(kept)})


def _write(out: Path, episodes: list[Episode], attributes: dict[str, Any]) -> None:
    datasets = columns(episodes)
    del datasets["next_observations"]
    last = np.stack([episode.observations[-1] for episode in episodes])
    seeds = np.array([episode.seed for episode in episodes], dtype=np.uint32)
    units = np.array([episode.unit for episode in episodes], dtype=np.uint16)
    attributes = {**attributes, "last_observations": last, "episode_seeds": seeds, "episode_units": units}
    write_hdf5(out, datasets, attributes, by_column=True, compression="gzip", compression_opts=9, shuffle=True)


def export(source: Path, out: Path) -> None:
    """Write a bundled file as a full one in DSRL's schema, `next_observations` restored.

    Raises:
        InputError: if the source is not a bundled recording, or `out` is the source.
    """
    if out.exists() and out.samefile(source):
        raise InputError(f"{out} would overwrite the recording it is made from: give another name")
    write_recording(out, *read_recording(source))
