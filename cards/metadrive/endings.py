"""Prints the table of what a full collection of MetaDrive's tasks holds, beside DSRL's ranges.

    python cards/metadrive/endings.py easysparse.hdf5 easymean.hdf5 ...

An episode ends where the car arrives, where it crashes or leaves the road, which costs 1 on that step, or when time runs out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from safefeedback import find_task
from safefeedback.recorder.recording import read_recording, sums


def row(path: Path) -> str:
    """A line of the table; a file is called after its task."""
    task = find_task(path.stem)
    episodes, _ = read_recording(path)
    returns, costs = sums(episodes)
    early = np.array([episode.terminal for episode in episodes])
    failed = early & np.array([episode.costs[-1] >= 0.9 for episode in episodes])
    (low, high), (least, most) = task.reference_returns or (0, 0), task.reference_costs or (0, 0)
    return (
        f"| {task.name} | {len(episodes):,} | {returns.min():.1f} to {returns.max():.1f} | {low:.1f} to {high:.1f} | "
        f"{costs.min():.1f} to {costs.max():.1f} | {least:.1f} to {most:.1f} | {(early & ~failed).mean():.0%} | "
        f"{(~early).mean():.0%} | {failed.mean():.0%} |"
    )


def main() -> None:
    """See the module."""
    print("| task | episodes | returns | DSRL's | costs | DSRL's | arrived | out of time | crashed or off the road |")
    print("|---|---|---|---|---|---|---|---|---|")
    for path in sys.argv[1:]:
        print(row(Path(path)))


if __name__ == "__main__":
    main()
