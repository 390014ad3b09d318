"""The datasets of the studies, and what of them is loaded once for many runs."""

from __future__ import annotations

import time
import traceback
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import groups as plan

MEMBERS, STEPS = 3, 400  # of `presa ask`


def dataset(root: Path, group: plan.Group, task: str, seed: int, level: plan.Level) -> Path:
    """Where the pairs of a run lie."""
    if group.name.startswith("benchmark"):
        return root / "data" / f"{task}-benchmark"
    return root / "data" / f"{task}-seed{seed}-{level.coverage.replace(':', '-').replace('=', '')}"


def mark(folder: Path, kind: str) -> Path:
    """The file that says that a dataset is "ready", has the label set "asked-N", or that it "failed"."""
    return folder.parent / f"{folder.name}.{kind}"


def asked(level: plan.Level) -> str:
    """The label set of a level whose pairs `presa ask` chose in part."""
    return f"asked-{(level.pairs or 0) + level.asked}"


def build(folder: Path, task: str, seed: int, coverage: str, pairs: int, choices: list[dict[str, Any]]) -> None:
    """Draws and labels pairs, unpacks them into presa's cache, and adds label sets."""
    try:
        _build(folder, task, seed, coverage, pairs, choices)
    except Exception:
        mark(folder, "failed").touch()  # for those who wait for it; the next command tries again
        raise
    mark(folder, "ready").touch()


def _build(folder: Path, task: str, seed: int, coverage: str, pairs: int, choices: list[dict[str, Any]]) -> None:
    from presa.data.pairs import load_data
    from safefeedback.dataset.build import build_dataset
    from safefeedback.dataset.label_sets import relabel
    from safefeedback.feedback.recipe import Recipe
    from safefeedback.tasks import find_task

    if not folder.exists():
        given: dict[str, Any] = {"test_fraction": 0.1, "seed": 0} if folder.name.endswith("benchmark") else {"seed": seed}
        given |= {"cost_limit": plan.LIMIT} if not folder.name.endswith("benchmark") else {}
        recipe = Recipe(task=find_task(task), pairs=pairs, length=64, coverage=coverage, **given)
        build_dataset(recipe, "recordings", folder)
    load_data(folder)
    if choices:
        relabel(folder, choices)


def ask(folder: Path, level: plan.Level, device: str) -> None:
    """Makes the label set of a level's first answered pairs and of those that `presa ask` chose after them."""
    from presa.proposals import propose
    from safefeedback.dataset.answers import import_answers
    from safefeedback.dataset.reading import read

    published, answered = read(folder, segments=False), level.pairs or 0

    def answer(rows: list[int], name: str) -> None:
        file = folder.parent / f"{folder.name}-{name}.csv"
        lines = ["pair_id,annotator,preference,is_safe_0,is_safe_1"]
        for row in rows:
            first, second = (int(side) for side in published.safe[row])
            lines.append(f"{published.pair_id[row]},teacher,{published.preference[row]:g},{first},{second}")
        file.write_text("\n".join(lines) + "\n")
        import_answers(folder, file, name, overwrite=True)

    first = list(range(answered))
    answer(first, f"first-{answered}")
    chosen = [int(one["pair_id"]) for one in propose(folder, f"first-{answered}", level.asked, MEMBERS, STEPS, device=device)]
    place = {int(pair): row for row, pair in enumerate(published.pair_id)}
    answer(sorted(first + [place[pair] for pair in chosen]), asked(level))
    mark(folder, asked(level)).touch()


def ask_all(root: Path, groups: list[plan.Group], device: str, deadline: float) -> None:
    """Asks for more answers wherever a level wants that, as soon as the dataset is there."""
    warnings.simplefilter("ignore")
    for group, (task, seed, level) in all_runs(groups):
        folder = dataset(root, group, task, seed, level)
        if level.asked and not mark(folder, asked(level)).exists():
            while time.time() < deadline and not any(mark(folder, kind).exists() for kind in ("ready", "failed")):
                time.sleep(0.5)
            if mark(folder, "ready").exists() and time.time() < deadline:
                try:
                    ask(folder, level, device)
                except Exception:
                    mark(folder, "failed").touch()  # for those who wait for it
                    traceback.print_exc()


def all_runs(groups: list[plan.Group]) -> list[tuple[plan.Group, tuple[str, int, plan.Level]]]:
    """Every run, seed by seed: its group, task, seed and level."""
    return [(g, (task, seed, level)) for g in groups for seed in g.seeds for level in g.levels for task in g.tasks]


class Loader:
    """The data of runs; what several share is on the device once."""

    def __init__(self, root: Path, device: str) -> None:
        self.root, self.device = root, device
        self.bases: dict[Path, Any] = {}
        self.everything: dict[str, Any] = {}

    def load(self, group: plan.Group, task: str, seed: int, level: plan.Level) -> Any:
        """The data of one run."""
        from presa.data.pairs import load_data
        from presa.data.trajectories import find_episodes, find_unlabelled
        from safefeedback.dataset.label_sets import set_name
        from safefeedback.feedback.recipe import Labelling
        from safefeedback.tasks import find_task

        folder = dataset(self.root, group, task, seed, level)
        labels = None
        if level.labels:
            labels = set_name(Labelling(find_task(task), cost_limit=plan.LIMIT, seed=seed, **level.labels), seed)
        if level.asked:
            data = load_data(folder, asked(level), None, self.device)
        else:
            data = load_data(folder, labels, level.pairs, self.device)
        if level.pairs is None:
            base = self.bases.setdefault(folder, data)
            if data is not base:
                data = replace(
                    data, train=replace(data.train, observations=base.train.observations, actions=base.train.actions)
                )
                data.__dict__["steps"] = base.steps
        if level.unlabelled:
            data = data.with_unlabelled(find_unlabelled(data.task, data.identity["source_sha256"]))
            data.__dict__["steps"] = self.everything.setdefault(task, data.steps)
        if group.reads_truth:
            steps = data.steps
            data = data.with_episodes(find_episodes(data.task, data.identity["source_sha256"]))
            data.__dict__["steps"] = steps
        return data
