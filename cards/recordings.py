"""Makes the table in cards/recordings.md and the plots in cards/recordings/ from the recordings shipped in the package.

    python cards/recordings.py [--collected FOLDER] [--dsrl FOLDER] [--larger FOLDER]

--collected makes the shipped files first, from FOLDER/<Task>.hdf5 as `safefeedback collect` wrote them. --dsrl names a
folder with episodes of DSRL, files Safety<Task>*.hdf5, which are drawn as a second colour. --larger makes the table of
FOLDER/<Task>.hdf5, larger collections that are not shipped; the others' table and pictures stay as they are.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np

from safefeedback.recorder.bundle import bundle
from safefeedback.sources import RECORDINGS, recordings_file
from safefeedback.sources.hdf5 import read_hdf5
from safefeedback.tasks import Task, tasks
from safefeedback.types import Source

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
EPISODES = {
    "BallCircle": 200, "BallRun": 200, "CarCircle": 150, "CarRun": 150, "DroneCircle": 100, "DroneRun": 100,
    "AntCircle": 58, "AntRun": 60, "easysparse": 50, "mediummean": 40, "harddense": 40,
    "PointCircle1": 96, "PointGoal1": 35, "HalfCheetahVelocity": 36, "HopperVelocity": 160,
}  # fmt: skip
TABLE, LARGER = "table: made by cards/recordings.py", "larger: made by cards/recordings.py --larger"
HEAD = (
    "| task | episodes | steps | return (least, quartiles, most) | cost (least, quartiles, most) | safe at its three limits "
    "| best return within the middle one | normalised | DSRL's returns | file |\n|" + "---|" * 10
)


def sums(path: Path, task: Task) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, cost and length of each episode of a file."""
    episodes = read_hdf5(path, task, Source(kind="file", file=path.name, fingerprint=""))
    starts = episodes.bounds[:-1]
    end = episodes.bounds[-1]
    returns, costs = (np.add.reduceat(values[:end], starts) for values in (episodes.rewards, episodes.costs))
    return returns, costs, episodes.lengths


def row(path: Path, task: Task) -> str:
    """One row of the table."""
    returns, costs, lengths = sums(path, task)
    assert task.reference_returns is not None
    low, high = task.reference_returns
    shares = [f"{np.mean(costs <= limit):.0%}" for limit in task.cost_limits]
    best = returns[costs <= task.default_cost_limit].max()
    cells = [
        task.name, f"{len(returns):,}", f"{lengths.sum():,}", quantiles(returns), quantiles(costs), " / ".join(shares),
        f"{best:.0f}", f"{(best - low) / (high - low):.2f}", f"{low:.0f} to {high:.0f}",
        f"{path.stat().st_size / 1e6:.1f} MB",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def quantiles(values: np.ndarray) -> str:
    return " ".join(f"{value:.0f}" for value in np.quantile(values, [0, 0.25, 0.5, 0.75, 1]))


def plot(path: Path, task: Task, theirs: Path | None, out: Path) -> None:
    """Return against cost, one dot per episode, the protocol's limits as lines."""
    figure, axes = plt.subplots(figsize=(4.8, 3.4), dpi=80, layout="constrained")
    for limit in task.cost_limits:
        axes.axvline(limit, color="0.8", linewidth=1, zorder=0)
    returns, costs, _ = sums(path, task)
    axes.scatter(costs, returns, s=14, alpha=0.6, linewidths=0, label=f"safefeedback ({len(returns)})")
    if theirs is not None:
        returns, costs, _ = sums(theirs, task)
        axes.scatter(costs, returns, s=14, alpha=0.8, linewidths=0, color="tab:red", label=f"DSRL, safe ones ({len(returns)})")
    axes.set(xlabel="episode cost", ylabel="episode return", title=task.name)
    axes.set_xlim(left=-2)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dsrl", type=Path, help="folder with episodes of DSRL to draw beside ours")
    parser.add_argument("--collected", type=Path, help="folder with collected files to make the shipped ones from")
    parser.add_argument("--larger", type=Path, help="folder with larger collections to make a table of")
    options = parser.parse_args()
    if options.larger:
        files = {task: options.larger / f"{task.name}.hdf5" for task in tasks().values()}
        write(LARGER, [row(path, task) for task, path in files.items() if path.exists()])
        return
    folder = options.dsrl
    for name, episodes in EPISODES.items():
        if options.collected and (options.collected / f"{name}.hdf5").exists():
            limit = tasks()[name].default_cost_limit
            bundle(options.collected / f"{name}.hdf5", RECORDINGS / f"{name}.hdf5", episodes, limit)
    rows: list[str] = []
    for task in tasks().values():
        path = recordings_file(task)
        if path is None:
            continue
        rows.append(row(path, task))
        theirs = sorted(folder.glob(f"Safety{task.name}*.hdf5")) if folder else []
        plot(path, task, theirs[0] if theirs else None, HERE / "recordings" / f"{task.name}.png")
    write(TABLE, rows)


def write(name: str, rows: list[str]) -> None:
    """Puts a table in its place in the card."""
    card, begin, end = HERE / "recordings.md", f"<!-- {name} -->", "<!-- end of table -->"
    before, _, rest = card.read_text(encoding="utf-8").partition(begin)
    after = rest.partition(end)[2]
    card.write_text(before + "\n".join([begin, HEAD, *rows, end]) + after, encoding="utf-8")


if __name__ == "__main__":
    main()
