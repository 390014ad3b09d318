"""`presa.train`: from a dataset to finished runs, in Python as on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from presa.algorithms import configure, find_algorithm
from presa.algorithms.base import Algorithm
from presa.algorithms.trial import require_working
from presa.data.limits import describe_labels, load_limits
from presa.data.pairs import Data, load_data, resolve_device
from presa.data.trajectories import find_episodes, find_unlabelled
from presa.networks.backprop import best_precision
from presa.options import check_cost_limits
from presa.runs.card import write_card_and_plots
from presa.runs.display import TrainingDisplay, interruption_message
from presa.runs.records import MonitorSettings
from presa.runs.run import Job, job_grid, train_all
from presa.runs.trackers import requested_trackers, tracking
from safefeedback.errors import InputError
from safefeedback.imports import failures_of
from safefeedback.terminal import Progress, on_interrupt


def train(
    data: str | Path,
    algorithm: str = "presa",
    *,
    preset: str | None = None,
    settings: dict[str, Any] | None = None,
    steps: int | None = None,
    bc_steps: int | None = None,
    precision: str | None = None,
    pairs: int | None = None,
    labels: str | None = None,
    trajectories: str | Path | None = None,
    unlabelled: str | Path | None = None,
    seed: int = 0,
    seeds: int | None = None,
    cost_limits: Sequence[float] | None = None,
    judge_limits: Sequence[float] | str | None = None,
    device: str = "auto",
    out: str | Path | None = None,
    overwrite: bool = False,
    report_every: int = 500,
    checkpoint_every: int = 5_000,
    evaluate_every: int = 0,
    evaluate_episodes: int = 5,
    tensorboard: bool = False,
    wandb: str | None = None,
    trackio: str | None = None,
    quiet: bool = False,
) -> dict[str, Any] | list[dict[str, Any]]:
    """Trains a policy, or one for each of several seeds and cost limits, each as if it were alone; `presa train` calls this.

    The same call again continues a training that was interrupted, to the same result. Ctrl-C keeps a checkpoint first.

    Args:
        data: a dataset's folder, or a Hub repository "user/name" or "user/name@revision".
        algorithm: its name, or "package.module:Class" of one's own.
        preset: one of the presets, such as "paper-bullet"; None for our defaults.
        settings: of the algorithm, by name; the reference lists them.
        steps: gradient steps in all, those of `bc_steps` included.
        bc_steps: how many of them clone the recorded steps first; None for 30%.
        precision: of matrix products, "fp32" or "bf16"; "auto" uses bf16 where the device supports it, and the run's
            configuration says which it took.
        pairs: train on this many pairs, the first ones; None for all.
        labels: a label set of the dataset; None for the published labels.
        trajectories: recordings for algorithms that need whole trajectories; None for the dataset's own source.
        unlabelled: recordings whose steps are cloned as well, a file, or "own" for the dataset's; never their rewards or costs.
        seed: of every random choice.
        seeds: how many runs, with seeds from `seed` on, in folders below `out`; None for one run in `out` itself.
        cost_limits: a run for each limit of an episode's cost, and each seed; None for the labels' own.
        judge_limits: one policy of weighted-bc for all these limits, which `presa.evaluate(cost_limit=...)` sets; None for the
            labels' own.
        device: "auto", "cpu", "cuda", ...
        out: the run's folder, or that of all runs; None names it after data, algorithm and seed, in the working folder.
        overwrite: whether a run that is there is deleted first.
        report_every: steps between reports.
        checkpoint_every: steps between checkpoints.
        evaluate_every: steps between rollouts in the simulator, 0 for none.
        evaluate_episodes: episodes of each.
        tensorboard: whether TensorBoard events are written into the run's folder.
        wandb: a project of Weights & Biases that receives every report.
        trackio: a project of Trackio that receives every report.
        quiet: whether to show neither bar nor reports.

    Returns:
        Of the run: folder, algorithm, steps, seconds, the last metrics, warnings; `presa.load(run["folder"])` is its policy.
        With `seeds` or `cost_limits` a list of them, and "failed" with the reason for one whose loss was not finite.

    Raises:
        InputError: before anything is written, if something that was given cannot be used; and if the only run fails.
    """
    if seed < 0:
        raise InputError(f"--seed must be 0 or more, not {seed}")
    if seeds is not None and seeds < 1:
        raise InputError(f"--seeds must be at least 1, not {seeds}")
    chosen_device = resolve_device(device)
    notes = []
    if precision == "auto":
        best = best_precision(chosen_device)
        precision = best if best in find_algorithm(algorithm).precisions() else "fp32"
        notes.append(f"note: --precision auto takes {precision} here")
    shortcuts = {"steps": steps, "bc_steps": bc_steps, "precision": precision, "judge_limits": judge_limits}
    all_settings = {**(settings or {}), **{name: value for name, value in shortcuts.items() if value is not None}}
    chosen = configure(algorithm, preset, all_settings)
    watching = MonitorSettings(report_every, checkpoint_every, evaluate_every, evaluate_episodes)
    trackers = requested_trackers(tensorboard, wandb, trackio)
    limits = None if cost_limits is None else check_cost_limits(cost_limits)
    many = seeds is not None or limits is not None
    loaded = load_all(data, chosen, algorithm, limits, labels, pairs, chosen_device, trajectories, unlabelled)
    if not quiet:
        descriptions = [describe_labels(part) for part in loaded if limits is not None]
        notes += [*(f"note: {note}" for note in chosen.notes), *descriptions]
        print(*notes, sep="\n", end="\n" if notes else "")
    name = f"{Path(data).resolve().name}-{algorithm.replace(':', '.')}"
    folder = Path(out or (name if many else f"{name}-seed{seed}"))
    jobs = job_grid(loaded, range(seed, seed + (seeds or 1)), folder) if many else [Job(loaded[0], seed, folder)]
    with Progress(f"training {algorithm}", quiet=quiet, unit="steps") as progress, ExitStack() as logs:
        log = {job.folder: logs.enter_context(tracking(job.folder, trackers)) for job in jobs}
        display = TrainingDisplay(log, chosen.steps, progress, quiet, str(loaded[0].train.observations.device))
        logs.enter_context(on_interrupt(lambda: interruption_message([job.folder for job in jobs])))
        with failures_of(algorithm):
            require_working(algorithm, chosen, loaded[0])
            results = train_all(algorithm, chosen, jobs, watching, display, overwrite, display.step)
    for job in jobs:
        write_card_and_plots(job.folder)
    if not many and "failed" in results[0]:
        raise InputError(results[0]["failed"])
    return results if many else results[0]


def load_all(
    data: str | Path,
    algorithm: Algorithm,
    name: str,
    limits: Sequence[float] | None,
    labels: str | None,
    pairs: int | None,
    device: str,
    trajectories: str | Path | None = None,
    unlabelled: str | Path | None = None,
) -> list[Data]:
    """The data of an algorithm at each cost limit, or at the labels' own if `limits` is None; see `train`."""
    arguments = (labels, pairs, device, algorithm.needs_oracle)
    loaded = [load_data(data, *arguments)] if limits is None else load_limits(data, limits, *arguments)
    task, fingerprint = loaded[0].task, loaded[0].identity["source_sha256"]
    if algorithm.needs_trajectories:
        episodes = find_episodes(task, fingerprint, None if trajectories is None else Path(trajectories))
        loaded = [part.with_episodes(episodes) for part in loaded]
    elif trajectories is not None:
        raise InputError(f"--trajectories is for algorithms that need whole trajectories; {name} learns from pairs alone")
    if unlabelled is not None:
        if not algorithm.learns_from_steps or getattr(algorithm, "cloning", "steps") != "steps":
            cloning = " with cloning=segments" if algorithm.learns_from_steps else ""
            raise InputError(f"--unlabelled adds steps to clone, and {name}{cloning} clones none of them: leave it out")
        unlabelled_episodes = find_unlabelled(task, fingerprint, None if unlabelled == "own" else unlabelled)
        loaded = [part.with_unlabelled(unlabelled_episodes) for part in loaded]
    return loaded
