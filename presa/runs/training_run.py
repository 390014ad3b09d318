"""One run: its state, and everything that it writes into its folder."""

from __future__ import annotations

import itertools
import json
import platform
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from presa.algorithms import changed, code_sha256, configuration
from presa.algorithms.base import Algorithm, Examples, FromCloning
from presa.data.pairs import Data
from presa.files import POLICY_FILE, read_failure, write_json
from presa.fitting.fit import Snapshot
from presa.networks.mlp import Parameters, fold_normalization
from presa.runs.checkpoints import resume, save_checkpoint
from presa.runs.normalization import Normalization
from presa.runs.records import (
    FINDINGS_FILE,
    FORMAT_VERSION,
    MonitorSettings,
    check_folder,
    findings_warnings,
    metrics_warnings,
    open_folder,
    read_findings,
    read_metrics,
    write_failure,
)
from presa.tensors import load_tensors, save_tensors
from safefeedback.errors import InputError
from safefeedback.files import lock_folder, unlock
from safefeedback.randomness import derived_seed
from safefeedback.version import __version__

OnReport = Callable[[dict[str, Any]], None]


class TrainingRun:
    """The state and the records of one run, independent of other runs; it trains nothing."""

    def __init__(
        self,
        name: str,
        algorithm: Algorithm,
        data: Data,
        folder: Path,
        seed: int,
        settings: MonitorSettings,
        normalization: Normalization,
        on_report: Callable[[Path, dict[str, Any]], None],
    ) -> None:
        self.algorithm, self.data, self.folder, self.seed = algorithm, data, folder, seed
        self.settings, self.normalization, self.on_report = settings, normalization, on_report
        self.config = run_config(name, algorithm, data, seed, settings)
        self.train, self.test = normalization(data.train), normalization(data.test)
        self.device = str(data.train.observations.device)
        self.models: dict[str, Tensor] = {}  # further contents of the policy's file
        self.policy_facts: dict[str, Any] = {}
        self.test_reference: Tensor | None = None
        self.lock: int | None = None  # of the folder

    def check(self, overwrite: bool) -> None:
        """Raises InputError if the folder holds something else; writes nothing."""
        check_folder(self.folder, self.config, overwrite)

    def open(self, overwrite: bool) -> None:
        """Makes or reopens the folder, and locks it against other processes."""
        self._lock()
        self.began_at = open_folder(self.folder, self.config, overwrite)
        if self.lock is None or overwrite:
            self._lock()
        self.finished_before = (self.folder / POLICY_FILE).is_file()

    def close(self) -> None:
        """Unlocks the folder."""
        unlock(self.lock)
        self.lock = None

    def _lock(self) -> None:
        """Raises InputError if another process trains in the folder."""
        if self.folder.is_dir():
            held, self.lock = self.lock, None
            unlock(held)
            try:
                self.lock = lock_folder(self.folder)
            except OSError:
                raise InputError(f"another process trains in {self.folder}: wait for it, or choose another --out") from None

    @property
    def failure(self) -> str | None:
        """Why the run failed, if it did."""
        return read_failure(self.folder)

    @property
    def ended(self) -> bool:
        """Whether the run is finished or has failed."""
        return (self.folder / POLICY_FILE).is_file() or self.failure is not None

    def fail(self, reason: str) -> None:
        """Records that the run failed."""
        write_failure(self.folder, reason)

    def kept(self, name: str) -> Parameters | None:
        """The parameters that were saved under a name; None if there are none."""
        path = self.folder / f"{name}.safetensors"
        return load_tensors(path, self.device)[0] if path.is_file() else None

    def keep(self, name: str, parameters: Parameters, stage: str) -> None:
        """Saves the result of a stage before the last one."""
        save_tensors(self.folder / f"{name}.safetensors", parameters, {"stage": stage})

    def save_findings(self, findings: dict[str, Any]) -> None:
        """Saves the algorithm's findings."""
        if findings:
            write_json(self.folder / FINDINGS_FILE, findings)

    def start(self, stage: str, model: Algorithm, examples: Examples, parameters: Parameters | None = None) -> Snapshot:
        """The state that a stage continues from: its last checkpoint, or the given parameters, or the initial ones."""
        if (last := resume(self.folder, stage, self.device, tuple(self._before(stage)))) is not None:
            return last
        first = parameters if parameters is not None else model.initial_parameters(self.data, self.seed)
        return Snapshot(0, {name: value.to(self.device) for name, value in first.items()}, {}, model.state(examples))

    def report(
        self, stage: str, model: Algorithm, examples: Examples, previous: int, snapshot: Snapshot, numbers: dict[str, float]
    ) -> None:
        """Records the report of a stage; `previous` is the step of the report before."""
        offset, settings = self.offset(stage), self.settings
        train, test = (self.data.train, self.data.test) if stage not in ("bc", "main") else (self.train, self.test)
        line: dict[str, Any] = {"stage": stage, "step": offset + snapshot.step, **numbers}
        line |= model.report(snapshot.parameters, examples, train, None if stage == "bc" else test, self.test_reference)
        if stage == "main" and _passed(settings.evaluate_every, previous, snapshot.step, model.own_steps):
            line |= self._rollouts(snapshot)
        line = {key: None if isinstance(value, float) and value != value else value for key, value in line.items()}
        with open(self.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")
        if _passed(settings.checkpoint_every, previous, snapshot.step, 0):
            save_checkpoint(self.folder, stage, offset, snapshot)
        self.on_report(self.folder, line)

    def pause(self, stage: str, snapshot: Snapshot) -> None:
        """Saves the state of a stage, so that it can continue from there."""
        if snapshot.step:
            save_checkpoint(self.folder, stage, sum(self._before(stage).values()), snapshot)

    def done_at(self, stage: str, step: int) -> int:
        """The number of the run's steps when a stage has done that many."""
        return sum(self._before(stage).values()) + step

    def finish(self, last: Snapshot) -> None:
        """Writes the policy, which ends the run."""
        chosen = self.folder / "best.safetensors"
        if self.algorithm.selection == "best" and chosen.is_file():
            chosen.replace(self.folder / POLICY_FILE)
        else:
            self._save_policy(self.folder / POLICY_FILE, last.parameters)

    def summary(self, seconds: float) -> dict[str, Any]:
        """The summary of the run at its end."""
        lines = read_metrics(self.folder)
        failure = self.failure
        return {
            "folder": str(self.folder),
            "algorithm": self.config["algorithm"],
            "steps": self.config["steps"],
            "seconds": round(seconds, 1),
            "already_finished": self.finished_before,
            "resumed_from": self.began_at,
            "metrics": lines[-1] if lines else {},
            "warnings": [*metrics_warnings(lines), *findings_warnings(read_findings(self.folder))],
            **({"failed": failure} if failure is not None else {}),
        }

    def offset(self, stage: str) -> int:
        """The number of steps before a stage."""
        return sum(self._before(stage).values())

    def _before(self, stage: str) -> dict[str, int]:
        """The stages before one, and how many steps each takes."""
        steps = {name: model.steps for name, model in self.algorithm.preparations().items()}
        if isinstance(self.algorithm, FromCloning):
            steps["bc"] = self.algorithm.bc_steps
        return dict(itertools.takewhile(lambda item: item[0] != stage, steps.items()))

    def _rollouts(self, snapshot: Snapshot) -> dict[str, float | None]:
        """Reward and cost of a few episodes; keeps the policy if it is the best so far and the best is to be selected."""
        from presa.rollouts.evaluate import roll_out

        candidate = self.folder / "candidate.safetensors"
        self._save_policy(candidate, snapshot.parameters)
        seed = derived_seed(self.seed, "rollouts-while-training") >> 32
        result = roll_out(str(candidate), self.data.task, self.data.cost_limit, self.settings.evaluate_episodes, seed)
        summary = result["summary"]
        scores = {"evaluated_reward": summary["normalized_return"], "evaluated_cost": summary["normalized_cost"]}
        scores |= {"evaluated_return": summary["return"], "evaluated_raw_cost": summary["cost"]}
        before = [line for line in read_metrics(self.folder) if line.get("evaluated_raw_cost") is not None]
        if self.algorithm.selection == "best" and all(_rank(scores) > _rank(line) for line in before):
            candidate.replace(self.folder / "best.safetensors")
        candidate.unlink(missing_ok=True)
        return scores

    def _save_policy(self, path: Path, parameters: Parameters) -> None:
        shift, scale = self.normalization.shift, self.normalization.scale
        if shift is not None and scale is not None:
            parameters = fold_normalization(parameters, shift, scale, self.algorithm.input_layer)
        facts = {
            "algorithm": self.config["algorithm"],
            "task": self.data.task.to_dict(),
            "cost_limit": self.data.cost_limit,
            "seed": self.seed,
            **({} if self.data.segment_return is None else {"recorded": _recorded(self.data)}),
            **({"notes": list(self.algorithm.notes)} if self.algorithm.notes else {}),
            **self.policy_facts,
        }
        save_tensors(path, parameters | self.models, facts)


def _recorded(data: Data) -> dict[str, float]:
    """The recordings' returns, for comparison with the policy's."""
    assert data.segment_return is not None
    return {"segment_return": data.segment_return, "segment_length": data.length}


def run_config(name: str, algorithm: Algorithm, data: Data, seed: int, settings: MonitorSettings) -> dict[str, Any]:
    """What config.json holds."""
    code = code_sha256(name)
    return {
        "format_version": FORMAT_VERSION,
        "algorithm": name,
        **({} if code is None else {"code_sha256": code}),
        "configuration": configuration(algorithm),
        "changed": changed(algorithm),
        "steps": algorithm.steps,
        "seed": seed,
        "task": data.task.to_dict(),
        "cost_limit": data.cost_limit,
        "data": data.identity,
        "watching": asdict(settings),
        "device": str(data.train.observations.device),
        **({} if algorithm.acts_by == Algorithm.acts_by else {"acts_by": algorithm.acts_by}),
        **({"notes": list(algorithm.notes)} if algorithm.notes else {}),
        "versions": {
            "presa": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }


def _passed(every: int, previous: int, step: int, end: int) -> bool:
    """Whether a multiple of `every` lies in (previous, step], or the end is reached."""
    return every > 0 and (step // every > previous // every or step == end)


def _rank(line: dict[str, Any]) -> tuple[float, float]:
    """The sort key of evaluated policies: safe ones by reward, then unsafe ones by cost."""
    cost, reward = line["evaluated_cost"], line["evaluated_return"]
    return (1.0, reward) if cost <= 1 else (0.0, -cost)
