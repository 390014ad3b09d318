"""The same contents and the same episodes under other kernels of OpenBLAS, each in a process of its own.

Contents are those of tests/contents.py. Episodes are those of the Bullet tasks that are shipped here, replayed by their seeds:
how many come out bit for bit, how far apart the others are, and how many have other costs, another length or another ending.
`--episodes` is how many a task, 0 for all, which takes an hour.

    python tests/benchmarks/processors.py --episodes 10
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

KERNELS = ("Haswell", "Zen", "Prescott", "SkylakeX")


def replays(count: int) -> dict[str, list[float]]:
    """By task: episodes, those equal to the bit, those with other costs, length or ending, largest difference."""
    from safefeedback import simulators
    from safefeedback.recorder.recording import read_recording
    from safefeedback.sources import recordings_file
    from safefeedback.tasks import tasks

    found: dict[str, list[float]] = {}
    for task in tasks().values():
        file = recordings_file(task)
        if task.domain != "BulletGym" or file is None or simulators.can_simulate(task) is not None:
            continue
        episodes = read_recording(file)[0]
        chosen = np.linspace(0, len(episodes) - 1, count or len(episodes)).astype(int)
        row = found[task.name] = [0, 0, 0, 0.0]
        for episode in (episodes[index] for index in chosen):
            env = simulators.make(task)
            seen, rewards, costs, ended = [env.reset(seed=episode.seed)[0]], [], [], False
            for action in episode.actions:
                observation, reward, ended, truncated, info = env.step(action)
                seen.append(observation)
                rewards.append(reward)
                costs.append(info["cost"])
                if ended or truncated:
                    break
            env.close()
            steps = len(rewards)
            pairs = ((seen, episode.observations[: steps + 1]), (rewards, episode.rewards[:steps]))
            apart = max(float(np.abs(np.array(found, np.float32) - there).max()) for found, there in pairs)
            other = steps != len(episode) or ended != episode.terminal
            other = other or not np.array_equal(np.array(costs, np.float32), episode.costs)
            row[:] = [row[0] + 1, row[1] + (apart == 0 and not other), row[2] + other, max(row[3], apart)]
    return found


def child(count: int) -> None:
    from contents import contents

    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps({"contents": contents(Path(folder) / "contents"), "replays": replays(count)}))


def main(count: int) -> None:
    kernels = KERNELS if "avx512f" in Path("/proc/cpuinfo").read_text() else KERNELS[:-1]
    same: dict[str, dict[str, str]] = {}
    print("| kernel | task | episodes | equal to the bit | other costs, length or ending | largest difference |")
    print("|---|---|---|---|---|---|")
    for kernel in kernels:
        told = subprocess.run(
            [sys.executable, __file__, "--child", "--episodes", str(count)],
            env={**os.environ, "OPENBLAS_CORETYPE": kernel, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        found = json.loads(told.stdout.splitlines()[-1])
        same[kernel] = found["contents"]
        for task, row in found["replays"].items():
            print(f"| {kernel} | {task} | {row[0]} | {row[1]} | {row[2]} | {row[3]:.1e} |", flush=True)
    equal = all(found == same[kernels[0]] for found in same.values())
    print(f"\n{len(same[kernels[0]])} contents are {'equal' if equal else 'NOT EQUAL'} under {', '.join(kernels)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    (child if given.child else main)(given.episodes)
