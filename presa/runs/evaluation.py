"""`presa.evaluate`: rolls policies out in the simulator, and keeps the result beside each run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from presa.files import POLICY_FILE, read_failure, write_json
from presa.rollouts.evaluate import normalized, roll_out
from presa.rollouts.policy import load, local_path
from presa.runs.card import write_card
from presa.runs.own_policy import check_folder, is_own, keep, own_config
from presa.runs.records import RUN_KEYS, read_config
from safefeedback.errors import InputError, command_line
from safefeedback.imports import is_object
from safefeedback.tasks import Task, find_task
from safefeedback.terminal import Progress, on_interrupt


def evaluate(
    policy: Any,
    task: str | Path | Task | None = None,
    *,
    episodes: int = 20,
    seed: int = 0,
    cost_limit: float | None = None,
    processes: int | None = None,
    out: str | Path | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Rolls a policy out in the simulator, with DSRL's normalised reward and cost; `presa evaluate` calls this.

    Episode k starts from a seed made of (`seed`, k): the same in any order and any number of processes.

    Args:
        policy: a run's folder, which keeps the result as evaluation.json; a folder that holds runs; "user/name" on the Hub;
            "package.module:function" that returns a policy; or an object with `reset(n)` and `act(observations)`, which plays
            in this process.
        task: to play, by its name or .toml file; None for that of the run.
        episodes: how many.
        seed: of the evaluation.
        cost_limit: kappa; None for the run's, or the task's middle one.
        processes: how many play at once; None for one a core.
        out: a folder that keeps the result of a policy "package.module:function", as a run's folder does.
        quiet: whether to show no bar.

    Returns:
        {"rows": a dict an episode, "summary": means over them}; of a folder that holds runs {run: that, or why there is none}.

    Raises:
        InputError: if something that was given cannot be used, or the task cannot be simulated here.
    """
    if processes is not None and processes < 1:
        raise InputError(f"--processes must be at least 1, not {processes}")
    if seed < 0:
        raise InputError(f"--seed must be 0 or more, not {seed}")
    played = task if task is None or isinstance(task, Task) else find_task(str(task))
    if isinstance(policy, Path):
        policy = str(policy)
    run = isinstance(policy, str) and (Path(policy).exists() or not is_object(policy))
    in_own_folder = run and Path(policy).is_dir()
    if out is not None and (run or not isinstance(policy, str)):
        raise InputError("--out keeps the result of --policy package.module:function; a run keeps it in its own folder")
    policy = local_path(policy) if run else policy
    below = runs_below(Path(policy)) if run else []
    lost = "the evaluations that were finished are kept" if below else "nothing of this evaluation is kept"
    with Progress("playing", quiet=quiet) as progress, on_interrupt(lambda: f"interrupted; {lost}"):
        if below:
            return evaluate_runs(Path(policy), below, episodes, seed, cost_limit, played, processes, progress)
        if run:
            return evaluate_run(Path(policy), episodes, seed, cost_limit, played, processes, progress, keep=in_own_folder)
        if played is None:
            raise InputError("a policy of your own needs --task: the task to play")
        limit = played.default_cost_limit if cost_limit is None else cost_limit
        if out is not None:
            config = own_config(policy, played, limit)
            check_folder(Path(out), config)
            return evaluate_own(config, Path(out), episodes, seed, processes, progress)
        labels = {"algorithm": policy if isinstance(policy, str) else type(policy).__name__, "seed": None}
        return roll_out(policy, played, limit, episodes, seed, processes, labels, progress)


def runs_below(folder: Path) -> list[Path]:
    """The runs in a folder's folders, in the order of their algorithm, cost limit and seed; [] if the folder is a run."""
    if (folder / "config.json").is_file() or (folder / POLICY_FILE).is_file():
        return []
    runs: dict[Path, tuple[str, float, int]] = {}
    for place in sorted(path.parent for path in folder.rglob("config.json")):
        try:
            config = read_config(place)
        except InputError:
            if (place / POLICY_FILE).is_file():  # a damaged run, or else something that is none
                runs[place] = ("", 0.0, 0)
            continue
        if config.keys() >= set(RUN_KEYS):
            runs[place] = (config["algorithm"], config["cost_limit"], config["seed"])
    return sorted(runs, key=lambda place: runs[place])


def runs_in(folders: Sequence[Path]) -> list[Path]:
    """The runs that folders are or hold, each once.

    Raises:
        InputError: if a folder holds no run.
    """
    runs: dict[Path, None] = {}
    for folder in folders:
        places = runs_below(folder) or ([folder] if (folder / "config.json").is_file() else [])
        if not places:
            raise InputError(f"{folder} holds no run: `{command_line('presa', 'train', 'DATA', '--out', folder)}` makes one")
        runs |= dict.fromkeys(places)
    return list(runs)


def evaluate_runs(
    folder: Path,
    runs: list[Path],
    episodes: int,
    seed: int,
    cost_limit: float | None = None,
    task: Task | None = None,
    processes: int | None = None,
    on_episode: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, dict[str, Any] | str]:
    """`evaluate_run` of one run after another.

    Returns:
        By the run's path in the folder, the evaluation, or the reason why there is none.

    Raises:
        InputError: if no run has a policy.
    """
    results: dict[str, dict[str, Any] | str] = {
        str(run.relative_to(folder)): read_failure(run) or "not finished: the same `presa train` again goes on with it"
        for run in runs
    }
    finished = [run for run in runs if (run / POLICY_FILE).is_file() or _own(run) is not None]
    if not finished:
        raise InputError(f"no run in {folder} is finished ({'; '.join(dict.fromkeys(map(str, results.values())))})")
    for index, run in enumerate(finished):

        def on_each(done: int, total: int, before: int = index * episodes) -> None:
            on_episode(before + done, len(finished) * episodes)

        try:
            judged = evaluate_run(run, episodes, seed, cost_limit, task, processes, on_each)
        except InputError as error:  # the others are evaluated nevertheless
            results[str(run.relative_to(folder))] = str(error)
        else:
            results[str(run.relative_to(folder))] = judged
    return results


def recorded_pace(recorded: dict[str, float], task: Task, cost_limit: float) -> dict[str, float | None]:
    """The median return of the recorded segments, extrapolated to a whole episode: raw and normalised."""
    earned = recorded["segment_return"] * task.horizon / recorded["segment_length"]
    score = normalized({"return": earned, "cost": 0.0}, task, cost_limit)["normalized_return"]
    return {"recorded_return": earned, "recorded_normalized_return": score}


def evaluate_run(
    run: Path,
    episodes: int,
    seed: int,
    cost_limit: float | None = None,
    task: Task | None = None,
    processes: int | None = None,
    on_episode: Callable[[int, int], None] = lambda done, total: None,
    keep: bool = True,
) -> dict[str, Any]:
    """Evaluates a run, or a policy file; a run's folder keeps the result as evaluation.json, and its card is written anew.

    Args:
        run: the folder or the file.
        cost_limit, task: of the evaluation; None for the run's own.
        episodes, seed, processes, on_episode: as in `presa.rollouts.evaluate.roll_out`.
        keep: whether the folder keeps the result; one that was fetched does not.

    Returns:
        What `presa.rollouts.evaluate.roll_out` gives, with the algorithm's notes in the summary.

    Raises:
        InputError: as `presa.rollouts.evaluate.roll_out` does, and if there is no policy.
    """
    if (config := _own(run)) is not None:
        known = Task.from_dict(config["task"])
        limit = cost_limit if cost_limit is not None else config["cost_limit"]
        config = own_config(config["policy"], task or known, limit)
        return evaluate_own(config, run, episodes, seed, processes, on_episode)
    facts = load(run).facts
    if "task" not in facts:
        raise InputError(f"{run} holds a stage of a training, not its policy: give the run's folder")
    if keep and (run / "config.json").is_file():
        read_config(run)  # before anything is played
    own_task = Task.from_dict(facts["task"])
    played = task if task is not None else own_task
    if (played.observation_dim, played.action_dim) != (own_task.observation_dim, own_task.action_dim):
        raise InputError(
            f"{run} learnt {own_task.name}, whose observations and actions are of other sizes than {played.name}'s"
        )
    limit = cost_limit if cost_limit is not None else facts.get("cost_limit", played.default_cost_limit)
    labels = {"algorithm": facts["algorithm"], "seed": facts["seed"]}
    result = roll_out(str(run), played, limit, episodes, seed, processes, labels, on_episode)
    if played.name == own_task.name and (recorded := facts.get("recorded")):
        result["summary"] |= recorded_pace(recorded, played, limit)
    if notes := facts.get("notes"):
        result["summary"]["notes"] = notes
    if keep and run.is_dir():
        write_json(run / "evaluation.json", result)
        if (run / "config.json").is_file():
            write_card(run)
    return result


def evaluate_own(
    config: dict[str, Any],
    folder: Path,
    episodes: int,
    seed: int,
    processes: int | None = None,
    on_episode: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Evaluates the user's own policy and keeps the result; `config` is what `presa.runs.own_policy.own_config` gives."""
    labels = {name: config[name] for name in ("algorithm", "seed")}
    task, limit = Task.from_dict(config["task"]), config["cost_limit"]
    result = roll_out(config["policy"], task, limit, episodes, seed, processes, labels, on_episode)
    keep(folder, config, result)
    return result


def _own(run: Path) -> dict[str, Any] | None:
    """The config.json of a user's own policy; None for a run."""
    if not (run / "config.json").is_file() or (run / POLICY_FILE).is_file():
        return None
    config = read_config(run)
    return config if is_own(config) else None
