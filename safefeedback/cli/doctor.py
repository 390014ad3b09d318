"""What is installed, what works, what is missing."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from safefeedback.imports import install_command
from safefeedback.parallel import cores

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
_DRAW = "from safefeedback.plots.style import new_figure, save; import io; save(new_figure(1, 1), io.BytesIO())"
_ANNOTATE = "import safefeedback.annotate.app, safefeedback.annotate.serve"
_COLLECT = "import stable_baselines3"
_TRAIN = "import torch, safetensors; assert float(torch.ones(2) @ torch.ones(2)) == 2"


@dataclass(frozen=True)
class Check:
    """One capability: whether its packages are there, and whether it really works; `extra` brings them, "" is always there."""

    name: str
    packages: tuple[str, ...]
    code: str
    extra: str = ""


CHECKS = (
    Check(
        "build and read datasets",
        ("numpy", "h5py", "pyarrow", "huggingface-hub", "typer", "rich"),
        _READ,
    ),
    Check("datasets.load_dataset", ("datasets",), _LOAD),
    Check("simulate BulletGym", ("gymnasium", "bullet-safety-gym"), _SIMULATE.format(task="BallRun"), "sim"),
    Check("simulate SafetyGym", ("safety-gymnasium", "mujoco"), _SIMULATE.format(task="SwimmerVelocity"), "sim"),
    Check(
        "simulate MetaDrive",
        ("gymnasium", "metadrive-simulator", "panda3d", "pygame"),
        _SIMULATE.format(task="easysparse"),
        "metadrive",
    ),
    Check("collect", ("stable-baselines3", "torch"), _COLLECT, "collect"),
    Check("train", ("torch", "safetensors"), _TRAIN, "train"),
    Check("plots", ("matplotlib",), _DRAW, "plots"),
    Check("annotate", ("starlette", "uvicorn"), _ANNOTATE, "annotate"),
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
        remedy = install_command(check.extra) if check.extra else "install safefeedback again"
        return {"name": check.name, "state": "missing", "detail": f"{', '.join(missing)}: {remedy}"}
    result = subprocess.run([sys.executable, "-c", check.code], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        last = (result.stderr.strip().splitlines() or [f"ended with code {result.returncode}"])[-1]
        return {"name": check.name, "state": "broken", "detail": f"{last} ({', '.join(versions)})"}
    return {"name": check.name, "state": "works", "detail": ", ".join(versions)}


def doctor(on_done: Callable[[int, int], None] = lambda done, total: None) -> list[dict[str, str]]:
    """The state of Python and of every capability, looked at side by side; `on_done` is told how many, of how many."""
    python = {"name": "Python", "state": "works", "detail": f"{platform.python_version()} on {platform.system()}"}
    on_done(0, len(CHECKS))
    with ThreadPoolExecutor(cores()) as threads:
        running = [threads.submit(examine, check) for check in CHECKS]
        for done, _ in enumerate(as_completed(running), start=1):
            on_done(done, len(CHECKS))
        return [python, *(one.result() for one in running)]
