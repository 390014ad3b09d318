"""Behaviour cloning on the REAL safe episodes of DSRL, beside the results of an independent implementation (a script, no test).

    python tests/presa/cloning_on_dsrl.py [TASK ...]

An evaluator or a trainer whose results are far from these figures is wrong. About a minute per task on one core.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

FILES = Path(__file__).parents[3] / "shared" / "data" / "dsrl"
# normalised return and cost, mean over the three limits: MLP 256x256, squared error, 10 episodes, one seed
KNOWN = {
    "CarRun": (0.95, 0.01),
    "DroneCircle": (0.53, 0.14),
    "CarCircle": (0.69, 0.57),
    "BallCircle": (0.32, 0.08),
    "BallRun": (0.21, 0.59),
    "DroneRun": (0.59, 0.00),
}
# 4 pairs x 2 x 64 = 512 steps a batch; on CarRun the policy underfits, and breaks the speed limit, without normalisation
SETTINGS = ["--steps", "6000", "--set", "batch_size=4", "--set", "learning_rate=0.001", "--set", "dropout=0"]
SETTINGS += ["--set", "normalize_observations=true"]


def command(*words: str, cwd: Path) -> dict:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-m", *words, "--json"], cwd=cwd, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def main() -> None:
    print(f"{'task':<12} {'reward':>7} {'cost':>6}   independent: reward, cost")
    for task in sys.argv[1:] or KNOWN:
        file = FILES / f"Safety{task}-v0.hdf5"
        if not file.is_file():
            sys.exit(f"{file} is not here")
        with tempfile.TemporaryDirectory() as folder:
            cwd = Path(folder)
            command("safefeedback", "build", "--task", task, "--source", str(file), "--pairs", "100", "--out", "data", cwd=cwd)
            command(
                "presa",
                "train",
                "data",
                "--algorithm",
                "bc-all",
                "--trajectories",
                str(file),
                "--out",
                "run",
                *SETTINGS,
                cwd=cwd,
            )
            results = [
                command("presa", "evaluate", "run", "--episodes", "10", "--cost-limit", limit, cwd=cwd)["summary"]
                for limit in ("10", "20", "40")
            ]
        reward, cost = (sum(r[key] for r in results) / 3 for key in ("normalized_return", "normalized_cost"))
        print(f"{task:<12} {reward:>7.2f} {cost:>6.2f}   {KNOWN[task][0]:.2f}, {KNOWN[task][1]:.2f}", flush=True)


if __name__ == "__main__":
    main()
