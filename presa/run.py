"""A training run: its stages one after another, recorded, and continued where it was interrupted."""

from __future__ import annotations

import itertools
import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from presa import __version__, pretraining
from presa.algorithms import changed, configuration
from presa.algorithms.base import Examples, Training
from presa.checkpoints import resume, save_checkpoint
from presa.data import Data, Split
from presa.networks import Parameters, fold_normalization, word
from presa.policy import POLICY_FILE
from presa.records import FORMAT_VERSION, Settings, open_folder, read_metrics, warnings, write_metrics
from presa.tensors import load_tensors, save_tensors
from presa.train import Snapshot, fit, segment_log_probability, with_reference
from safefeedback.errors import InputError
from safefeedback.simulator import can_simulate

OnReport = Callable[[dict[str, Any]], None]


def train(
    name: str,
    algorithm: Training,
    data: Data,
    folder: Path,
    seed: int = 0,
    settings: Settings | None = None,
    on_report: OnReport = lambda line: None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Trains into a folder, going on from its last checkpoint if there is one.

    Args:
        name: of the algorithm, for the records.
        algorithm: its configuration.
        data: what to learn from.
        folder: of the run; it is made, or belongs to the same run.
        seed: of every random choice.
        settings: how the run is watched.
        on_report: told every line of metrics.
        overwrite: whether a run that is in the folder is deleted first.

    Returns:
        A summary: folder, steps, the last metrics, warnings.

    Raises:
        InputError: if the data do not suit the algorithm, the folder belongs to another run, or the loss is not finite.
    """
    settings = settings or Settings()
    if algorithm.selection == "best" and not settings.evaluate_every:
        raise InputError("selection=best chooses by rollouts in the simulator: give --evaluate-every as well")
    if settings.evaluate_every and (reason := can_simulate(data.task)) is not None:
        raise InputError(reason)
    first = algorithm.preparations() or {"main": algorithm}
    examples = {name: stage.examples(data) for name, stage in first.items()}
    config = describe(name, algorithm, data, seed, settings)
    started = time.perf_counter()
    began_at = open_folder(folder, config, overwrite)
    finished = (folder / POLICY_FILE).is_file()
    if not finished:
        _Run(algorithm, data, folder, seed, settings, on_report, config).go(examples)
    lines = read_metrics(folder)
    return {
        "folder": str(folder),
        "algorithm": name,
        "steps": config["steps"],
        "seconds": round(time.perf_counter() - started, 1),
        "already_finished": finished,
        "resumed_from": began_at,
        "metrics": lines[-1] if lines else {},
        "warnings": warnings(lines),
    }


def describe(name: str, algorithm: Training, data: Data, seed: int, settings: Settings) -> dict[str, Any]:
    """What config.json holds."""
    return {
        "format_version": FORMAT_VERSION,
        "algorithm": name,
        "configuration": configuration(algorithm),
        "changed": changed(algorithm),
        "steps": algorithm.steps,
        "seed": seed,
        "task": data.task.to_dict(),
        "cost_limit": data.cost_limit,
        "data": data.identity,
        "watching": asdict(settings),
        "device": str(data.train.observations.device),
        **({} if algorithm.acts_by == Training.acts_by else {"acts_by": algorithm.acts_by}),
        **({"notes": list(algorithm.notes)} if algorithm.notes else {}),
        "versions": {
            "presa": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }


class _Run:
    """The stages of one run."""

    def __init__(
        self,
        algorithm: Training,
        data: Data,
        folder: Path,
        seed: int,
        settings: Settings,
        on_report: OnReport,
        config: dict[str, Any],
    ) -> None:
        self.algorithm, self.folder, self.seed, self.settings = algorithm, folder, seed, settings
        self.on_report, self.config, self.data = on_report, config, data
        self.shift, self.scale = _normalization(algorithm, data.train)
        self.train = self._normalized(data.train)
        self.test = None if data.test is None else self._normalized(data.test)
        self.device = data.train.observations.device
        self.cloning_steps = algorithm.steps - algorithm.own_steps
        self.models: dict[str, Tensor] = {}  # what the policy's file holds beside the policy

    def go(self, first: dict[str, Examples]) -> None:
        """Runs what is left of the run; `first` holds the examples of its preparations, or of the algorithm itself."""
        results = {name: self._prepare(name, stage, first[name]) for name, stage in self.algorithm.preparations().items()}
        if results:
            self.data = self.algorithm.prepared(self.data, results)
            self.models = {f"{name}_model/{key}": value for name, model in results.items() for key, value in model.items()}
        examples = self.algorithm.examples(self.data) if results else first["main"]
        parameters = self._start()
        test_reference = None
        if self.algorithm.uses_reference:
            parameters = self._reference(parameters)
            if self.test is not None:
                test_reference = segment_log_probability(parameters, self.test.observations, self.test.actions)
        self.policy_facts = self.algorithm.policy_facts(self.data, examples)
        examples = self._normalized(examples)
        if self.algorithm.uses_reference:
            examples = with_reference(examples, parameters)
        start = resume(self.folder, "main", str(self.device), tuple(self._before("main")))
        start = start or Snapshot(0, parameters, {}, self.algorithm.state(examples))
        last = self._stage("main", self.algorithm, examples, start, test_reference)
        chosen = self.folder / "best.safetensors"
        if self.algorithm.selection == "best" and chosen.is_file():
            chosen.replace(self.folder / POLICY_FILE)
        else:
            self._save_policy(self.folder / POLICY_FILE, last.parameters)

    def _start(self) -> Parameters:
        parameters = self.algorithm.initial_parameters(self.data, self.seed)
        return {name: value.to(self.device) for name, value in parameters.items()}

    def _prepare(self, name: str, model: Training, examples: Examples) -> Parameters:
        """One of the models that are trained first: of this run's folder, or trained now."""
        path = self.folder / f"{name}.safetensors"
        if not path.is_file():
            parameters = {key: value.to(self.device) for key, value in model.initial_parameters(self.data, self.seed).items()}
            start = resume(self.folder, name, str(self.device), tuple(self._before(name)))
            last = self._stage(name, model, examples, start or Snapshot(0, parameters, {}, model.state(examples)), None)
            save_tensors(path, last.parameters, {"stage": name})
        return load_tensors(path, str(self.device))[0]

    def _before(self, stage: str) -> dict[str, int]:
        """The stages before one, and how many steps each takes."""
        if stage == "bc":
            return {}
        if self.algorithm.uses_reference:
            return {"bc": self.cloning_steps}
        steps = {name: model.steps for name, model in self.algorithm.preparations().items()}
        return dict(itertools.takewhile(lambda item: item[0] != stage, steps.items()))

    def _reference(self, parameters: Parameters) -> Parameters:
        """The policy cloned from all segments: of this run, kept from another run, or cloned now."""
        path = self.folder / "reference.safetensors"
        if not path.is_file():
            if self.cloning_steps:
                parameters = self._clone(parameters)
            save_tensors(path, parameters, {"stage": "bc"})
        return load_tensors(path, str(self.device))[0]

    def _clone(self, parameters: Parameters) -> Parameters:
        cloning = pretraining.stage(self.algorithm, self.cloning_steps)
        kept = pretraining.entry(cloning, self.data, self.seed)
        if not kept.has():
            start = resume(self.folder, "bc", str(self.device)) or Snapshot(0, parameters, {}, {})
            last = self._stage("bc", cloning, self._normalized(cloning.examples(self.data)), start, None)
            kept.keep(last.parameters, [line for line in read_metrics(self.folder) if line["stage"] == "bc"])
        cloned, lines = kept.get(str(self.device))
        write_metrics(self.folder, lines)
        return cloned

    def _stage(
        self, stage: str, algorithm: Training, examples: Examples, start: Snapshot, test_reference: Tensor | None
    ) -> Snapshot:
        """Trains one stage from `start` to its end, and records every report."""
        offset, settings = sum(self._before(stage).values()), self.settings
        report_every = settings.report_every if stage != "bc" else pretraining.REPORT_EVERY
        train, test = (self.data.train, self.data.test) if stage not in ("bc", "main") else (self.train, self.test)
        for snapshot, numbers in fit(algorithm, examples, start, self.seed, stage, report_every):
            line: dict[str, Any] = {"stage": stage, "step": offset + snapshot.step, **numbers}
            line |= algorithm.report(snapshot.parameters, examples, train, None if stage == "bc" else test, test_reference)
            if stage == "main" and _passed(settings.evaluate_every, start.step, snapshot.step, algorithm.own_steps):
                line |= self._rollouts(snapshot)
            line = {key: None if isinstance(value, float) and value != value else value for key, value in line.items()}
            with open(self.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps(line, allow_nan=False) + "\n")
            if _passed(settings.checkpoint_every, start.step, snapshot.step, 0):
                save_checkpoint(self.folder, stage, offset, snapshot)
            self.on_report(line)
            start = snapshot
        return start

    def _rollouts(self, snapshot: Snapshot) -> dict[str, float | None]:
        """Reward and cost of a few episodes; keeps the policy if it is the best so far and that is asked for."""
        from presa.evaluate import evaluate

        candidate = self.folder / "candidate.safetensors"
        self._save_policy(candidate, snapshot.parameters)
        seed = word(self.seed, "rollouts-while-training") >> 32
        result = evaluate(str(candidate), self.data.task, self.data.cost_limit, self.settings.evaluate_episodes, seed)
        summary = result["summary"]
        scores = {"evaluated_reward": summary["normalized_return"], "evaluated_cost": summary["normalized_cost"]}
        scores |= {"evaluated_return": summary["return"], "evaluated_raw_cost": summary["cost"]}
        before = [line for line in read_metrics(self.folder) if line.get("evaluated_raw_cost") is not None]
        if self.algorithm.selection == "best" and all(_rank(scores) > _rank(line) for line in before):
            candidate.replace(self.folder / "best.safetensors")
        candidate.unlink(missing_ok=True)
        return scores

    def _save_policy(self, path: Path, parameters: Parameters) -> None:
        if self.shift is not None and self.scale is not None:
            parameters = fold_normalization(parameters, self.shift, self.scale, self.algorithm.input_layer)
        facts = {
            "algorithm": self.config["algorithm"],
            "task": self.data.task.to_dict(),
            "cost_limit": self.data.cost_limit,
            "seed": self.seed,
            **({"notes": list(self.algorithm.notes)} if self.algorithm.notes else {}),
            **self.policy_facts,
        }
        save_tensors(path, parameters | self.models, facts)

    def _normalized(self, values: Any) -> Any:
        """Split or Examples with its observations shifted and scaled, if the algorithm asks for it."""
        if self.shift is None:
            return values
        return replace(values, observations=(values.observations - self.shift) / self.scale)


def _passed(every: int, previous: int, step: int, end: int) -> bool:
    """Whether a multiple of `every` lies in (previous, step], or the end is reached."""
    return every > 0 and (step // every > previous // every or step == end)


def _rank(line: dict[str, Any]) -> tuple[float, float]:
    """Order of evaluated policies: safe ones by reward, then unsafe ones by how little they cost."""
    cost, reward = line["evaluated_cost"], line["evaluated_return"]
    return (1.0, reward) if cost <= 1 else (0.0, -cost)


def _normalization(algorithm: Training, split: Split) -> tuple[Tensor | None, Tensor | None]:
    if not algorithm.normalize_observations:
        return None, None
    flat = split.observations.flatten(0, -2)
    return flat.mean(0), flat.std(0).clamp(min=1e-3)
