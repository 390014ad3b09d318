"""What is installed, what works, what is missing."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
from dataclasses import dataclass

SIM = "uv sync --extra sim (Python 3.10 or 3.11)"
COLLECT = "uv sync --extra collect (Python 3.10 or 3.11)"
METADRIVE = "uv sync --extra metadrive"
TRAIN = "uv sync --extra train"

# what each check does in a process of its own, so that a crash of a simulator is a result and not the end
_READ = "import h5py, numpy, pyarrow.parquet"
_LOAD = "import datasets"
_SIMULATE = """
from safefeedback.simulators import make
from safefeedback.tasks import tasks
env = make(tasks()["{task}"])
env.reset(seed=0)
assert "cost" in env.step(env.action_space.sample())[-1]
env.close()
"""
_COLLECT = "import stable_baselines3"
_TRAIN = "import torch, safetensors; assert float(torch.ones(2) @ torch.ones(2)) == 2"


@dataclass(frozen=True)
class Check:
    """One capability: whether its packages are there, and whether it really works."""

    name: str
    packages: tuple[str, ...]
    code: str
    remedy: str


CHECKS = (
    Check(
        "build and read datasets",
        ("numpy", "h5py", "pyarrow", "huggingface-hub", "typer", "rich"),
        _READ,
        "uv sync",
    ),
    Check("datasets.load_dataset", ("datasets",), _LOAD, "uv sync"),
    Check("simulate BulletGym", ("gymnasium", "bullet-safety-gym"), _SIMULATE.format(task="BallRun"), SIM),
    Check("simulate SafetyGym", ("safety-gymnasium", "mujoco"), _SIMULATE.format(task="SwimmerVelocity"), SIM),
    Check(
        "simulate MetaDrive",
        ("gymnasium", "metadrive-simulator", "panda3d", "pygame"),
        _SIMULATE.format(task="easysparse"),
        METADRIVE,
    ),
    Check("collect", ("stable-baselines3", "torch"), _COLLECT, COLLECT),
    Check("train", ("torch", "safetensors"), _TRAIN, TRAIN),
)


def examine(check: Check) -> dict[str, str]:
    """The state of one capability: "works", "missing" or "broken", the versions, and what to do."""
    versions, missing = [], []
    for package in check.packages:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(package)
    if missing:
        return {"name": check.name, "state": "missing", "detail": f"{', '.join(missing)}: {check.remedy}"}
    result = subprocess.run([sys.executable, "-c", check.code], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        last = (result.stderr.strip().splitlines() or [f"ended with code {result.returncode}"])[-1]
        return {"name": check.name, "state": "broken", "detail": f"{last} ({', '.join(versions)})"}
    return {"name": check.name, "state": "works", "detail": ", ".join(versions)}


def doctor() -> list[dict[str, str]]:
    """The state of Python and of every capability."""
    python = {"name": "Python", "state": "works", "detail": f"{platform.python_version()} on {platform.system()}"}
    return [python, *(examine(check) for check in CHECKS)]
