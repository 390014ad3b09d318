"""Training runs side by side over one dataset: their stages one after another, continued where they were interrupted.

Every run gives the same result as it would alone. Runs at the same step of a stage are trained together; cloning,
which depends on the segments and the seed only, is done once for all runs that need the same; a run that fails harms no
other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from presa.algorithms.base import Algorithm, Examples, FromCloning
from presa.data.pairs import Data
from presa.fitting.fit import Snapshot, fit_runs, with_reference
from presa.networks.backprop import require_precision
from presa.networks.mlp import Parameters, segment_log_probability
from presa.runs import cloning_cache as pretraining
from presa.runs.interruption import Paused, deferred_signals
from presa.runs.normalization import Normalization
from presa.runs.records import MonitorSettings, last_checkpoint, read_metrics, write_metrics
from presa.runs.training_run import OnReport, TrainingRun
from safefeedback.errors import InputError
from safefeedback.simulators import can_simulate
from safefeedback.values import convert_fields

Started = dict[TrainingRun, tuple[Examples, Snapshot]]
OnStep = Callable[[Path, int], None]


class Callbacks(NamedTuple):
    """Callbacks of a training: `on_step(folder, steps done)` after every step, and `asked_to_end()`, which returns whether to
    stop."""

    on_step: OnStep
    asked_to_end: Callable[[], bool]


@dataclass(frozen=True)
class Job:
    """One run: its data, the seed of all its random choices, and its folder."""

    data: Data
    seed: int
    folder: Path

    def __post_init__(self) -> None:
        convert_fields(self)


def job_grid(datas: Sequence[Data], seeds: Sequence[int], folder: Path) -> list[Job]:
    """A run for each data and each seed, in folders "limit20-seed0" and so on below one.

    Raises:
        InputError: if the folder is a run's itself.
    """
    if (folder / "config.json").exists():
        raise InputError(f"{folder} is a run, or something else with a config.json: choose another --out for the runs below it")
    return [Job(data, seed, folder / f"limit{data.cost_limit:.15g}-seed{seed}") for data in datas for seed in seeds]


def train(
    name: str,
    algorithm: Algorithm,
    data: Data,
    folder: Path,
    seed: int = 0,
    settings: MonitorSettings | None = None,
    on_report: OnReport = lambda line: None,
    overwrite: bool = False,
    on_step: OnStep = lambda folder, done: None,
) -> dict[str, Any]:
    """`train_all` of one run; raises InputError as well if the loss is not finite."""
    job = Job(data, seed, folder)
    (summary,) = train_all(name, algorithm, [job], settings, lambda folder, line: on_report(line), overwrite, on_step)
    if "failed" in summary:
        raise InputError(summary["failed"])
    return summary


def train_all(
    name: str,
    algorithm: Algorithm,
    jobs: Sequence[Job],
    settings: MonitorSettings | None = None,
    on_report: Callable[[Path, dict[str, Any]], None] = lambda folder, line: None,
    overwrite: bool = False,
    on_step: OnStep = lambda folder, done: None,
) -> list[dict[str, Any]]:
    """Trains runs into their folders, each going on from its last checkpoint if it has one.

    Ctrl-C and SIGTERM wait for the end of a step, and for a checkpoint of every run that is under way.

    Args:
        name: of the algorithm, for the records.
        algorithm: its configuration.
        jobs: the runs; each folder is made, or belongs to the same run. Runs may share their data.
        settings: how the runs are watched.
        on_report: called with every line of metrics and the folder of its run.
        overwrite: whether runs that are in the folders are deleted first.
        on_step: called after every step with the folder of a run and the number of its steps that are done.

    Returns:
        A summary of each run: folder, steps, the last metrics, warnings, and "failed" with the reason and the step if its
        loss was not finite; such a run is not tried again.

    Raises:
        InputError: before anything is written, if the data do not suit the algorithm, or if a folder holds another run.
    """
    settings = settings or MonitorSettings()
    if algorithm.selection == "best" and not settings.evaluate_every:
        raise InputError("selection=best chooses by rollouts in the simulator: give --evaluate-every as well")
    if settings.evaluate_every and (reason := can_simulate(jobs[0].data.task)) is not None:
        raise InputError(reason)
    require_precision(algorithm.precision, str(jobs[0].data.train.observations.device))
    first: dict[int, dict[str, Examples]] = {}
    for data in (job.data for job in jobs):
        try:
            first[id(data)] = first.get(id(data)) or _first_examples(algorithm, data)
        except InputError as error:
            raise InputError(f"at cost limit {data.cost_limit:g}: {error}" if len(jobs) > 1 else str(error)) from None
    shared: dict[tuple[int, str | None], Normalization] = {}  # by what observations are normalised over
    runs = []
    for job in jobs:
        key = (id(job.data.train.observations), job.data.identity.get("unlabelled_sha256"))
        normalization = shared.get(key) or shared.setdefault(key, Normalization(algorithm, job.data))
        runs.append(TrainingRun(name, algorithm, job.data, job.folder, job.seed, settings, normalization, on_report))
    started = time.perf_counter()
    for run in runs:  # all of them, before the first is made or deleted
        run.check(overwrite)
    try:
        for run in runs:
            run.open(overwrite)
        todo = [run for run in runs if not run.ended]
        together = all(part.stackable for part in (algorithm, *algorithm.preparations().values()))
        with deferred_signals() as asked_to_end:
            for group in [todo] if together else [[run] for run in todo]:
                callbacks = Callbacks(on_step, asked_to_end)
                _train_group(algorithm, group, {run: first[id(run.data)] for run in group}, callbacks)
        return [run.summary(time.perf_counter() - started) for run in runs]
    finally:
        for run in runs:
            run.close()


def _first_examples(algorithm: Algorithm, data: Data) -> dict[str, Examples]:
    """The examples of an algorithm's preparations, or its own as "main" if it has none."""
    return {name: stage.examples(data) for name, stage in (algorithm.preparations() or {"main": algorithm}).items()}


def _train_group(
    algorithm: Algorithm, runs: Sequence[TrainingRun], first: dict[TrainingRun, dict[str, Examples]], callbacks: Callbacks
) -> None:
    """All stages of some runs."""
    for name, model in algorithm.preparations().items():
        _prepare(name, model, _left(runs), first, callbacks)
    if algorithm.uses_reference:
        _make_references(algorithm, [run for run in _left(runs) if run.kept("reference") is None], callbacks)
    started: Started = {}
    for run in _left(runs):
        try:
            started[run] = _begin(algorithm, run, first[run])
        except InputError as error:  # of the models' predictions for its data
            run.fail(str(error))
    for run, last in _train_stage("main", algorithm, started, callbacks).items():
        run.finish(last)


def _left(runs: Sequence[TrainingRun]) -> list[TrainingRun]:
    return [run for run in runs if not run.ended]


def _prepare(
    name: str,
    model: Algorithm,
    runs: Sequence[TrainingRun],
    first: dict[TrainingRun, dict[str, Examples]],
    callbacks: Callbacks,
) -> None:
    """Trains one of the models that are trained before the policy, where a run does not hold it yet."""
    missing = [run for run in runs if run.kept(name) is None]
    started = {run: (first[run][name], run.start(name, model, first[run][name])) for run in missing}
    for run, last in _train_stage(name, model, started, callbacks).items():
        run.keep(name, last.parameters, name)


def _make_references(algorithm: Algorithm, runs: Sequence[TrainingRun], callbacks: Callbacks) -> None:
    """Gives each run its cloned policy: from the cache, or cloned once for all runs that need the same one."""
    assert isinstance(algorithm, FromCloning)
    steps = algorithm.bc_steps
    starts = {run: algorithm.initial_parameters(run.data, run.seed) for run in runs}
    if not steps:
        for run in runs:
            run.keep("reference", starts[run], "bc")
        return
    cloning = pretraining.stage(algorithm, steps)
    entries = {run: pretraining.entry(cloning, run.data, run.seed) for run in runs}
    started: Started = {}
    hosts: dict[Path, TrainingRun] = {}
    for run in sorted(runs, key=lambda run: last_checkpoint(run.folder) is None):  # a run that has started cloning continues
        host = hosts.setdefault(entries[run].path, run)
        if host is run and not entries[run].exists():
            examples = run.normalization(cloning.examples(run.data))
            started[run] = examples, run.start("bc", cloning, examples, starts[run])
    done: dict[Path, tuple[Parameters, list[dict[str, Any]]]] = {}
    for run, last in _train_stage("bc", cloning, started, callbacks).items():
        lines = [_with_steps_added(line, -run.offset("bc")) for line in read_metrics(run.folder) if line["stage"] == "bc"]
        done[entries[run].path] = last.parameters, lines
        with suppress(OSError):  # no space there: other trainings clone again
            entries[run].keep(last.parameters, lines)
    for run, entry in entries.items():
        if (failure := hosts[entry.path].failure) is not None:
            run.fail(failure)
            continue
        parameters, lines = done.get(entry.path) or entry.get(run.device)
        before = [line for line in read_metrics(run.folder) if line["stage"] != "bc"]
        write_metrics(run.folder, before + [_with_steps_added(line, run.offset("bc")) for line in lines])
        run.keep("reference", parameters, "bc")
        callbacks.on_step(run.folder, run.done_at("bc", steps))


def _with_steps_added(line: dict[str, Any], steps: int) -> dict[str, Any]:
    """A line of metrics with that many steps added."""
    return {**line, "step": line["step"] + steps}


def _begin(algorithm: Algorithm, run: TrainingRun, first: dict[str, Examples]) -> tuple[Examples, Snapshot]:
    """The examples of the algorithm's own stage, and the state the run continues it from."""
    models = {name: run.kept(name) or {} for name in algorithm.preparations()}
    loaded, run.data = run.data, algorithm.prepared(run.data, models)
    run.save_findings(algorithm.findings(run.data))
    if algorithm.acts_with_models:
        run.models = {f"{name}_model/{key}": value for name, model in models.items() for key, value in model.items()}
    examples = first["main"] if run.data is loaded and not models else algorithm.examples(run.data)
    run.policy_facts = algorithm.policy_facts(run.data, examples)
    examples, reference = run.normalization(examples), None
    if algorithm.uses_reference:
        reference = run.kept("reference")
        assert reference is not None
        assert isinstance(algorithm, FromCloning)
        if algorithm.compares_with_reference:
            examples = with_reference(examples, reference)
        if run.test is not None:
            run.test_reference = segment_log_probability(reference, run.test.observations, run.test.actions)
        reference = algorithm.from_reference(reference)
    return examples, run.start("main", algorithm, examples, reference)


def _train_stage(stage: str, model: Algorithm, started: Started, callbacks: Callbacks) -> dict[TrainingRun, Snapshot]:
    """Trains one stage of several runs, those at the same step together; returns the final states of those that did not fail.

    Raises:
        Paused: if the process is asked to end; where every run stands is kept.
    """
    last = {run: start for run, (_, start) in started.items()}
    groups: dict[tuple[Any, ...], list[TrainingRun]] = {}
    for run, start in last.items():
        examples = started[run][0]
        sizes = () if model.stacks_tasks else tuple(value.shape for value in start.parameters.values())
        batch = (*examples.observations.shape[1:-1], examples.per_pair)  # as many steps in every run
        groups.setdefault((start.step, batch, *sizes), []).append(run)
    for runs in groups.values():

        def on_step(which: Sequence[int], step: int, runs: Sequence[TrainingRun] = runs) -> bool:
            for run in which:
                callbacks.on_step(runs[run].folder, runs[run].done_at(stage, step))
            return callbacks.asked_to_end()

        drawn_from, starts, seeds = [started[run][0] for run in runs], [last[run] for run in runs], [run.seed for run in runs]
        for outcomes in fit_runs(model, drawn_from, starts, seeds, stage, runs[0].settings.report_every, on_step):
            for run, run_examples, outcome in zip(runs, drawn_from, outcomes, strict=True):
                if isinstance(outcome, InputError):
                    run.fail(str(outcome))
                    last.pop(run, None)
                elif outcome is not None:
                    snapshot, numbers = outcome
                    if numbers is not None:
                        run.report(stage, model, run_examples, last[run].step, snapshot, numbers)
                    last[run] = snapshot
        if callbacks.asked_to_end():
            for run in runs:
                if run in last:
                    run.pause(stage, last[run])
            raise Paused
    return last
