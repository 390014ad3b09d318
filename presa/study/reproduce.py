"""The commands that make a study, or one cell of it, again."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from presa.options import setting_text
from presa.study.grid import Cell, Scope
from presa.study.prepare import dataset_folder, label_set_name
from presa.study.studies import Study


def cell_command(cell: Cell) -> str:
    """The command that trains a cell's runs again, in the study's folder, and evaluates them; see `study_command` for the
    data."""
    words = [f"presa train {dataset_folder(Path(), cell)}", f"--algorithm {cell.algorithm}"]
    words += [f"--preset {cell.preset}"] if cell.preset else []
    words += [f"--labels {name}"] if (name := label_set_name(cell, cell.trained_limits[0])) else []
    words += [f"--pairs {cell.pairs}"] if cell.pairs else []
    words += ["--unlabelled own"] if cell.unlabelled else []
    words += [f"--set {name}={setting_text(value)}" for name, value in cell.settings.items()]
    words += [f"--cost-limits {setting_text(cell.trained_limits)}", f"--seeds {len(cell.seeds)}", f"--out {cell.hash}"]
    once = cell.trained_limits != cell.cost_limits  # the same policy is judged at each limit
    limits = [f" --cost-limit {setting_text(limit)}" for limit in cell.cost_limits] if once else [""]
    judge = f"presa evaluate {cell.hash} --episodes {cell.episodes}"
    return " && ".join([" ".join(words), *(judge + limit for limit in limits)])


def study_command(study: Study, scope: Scope) -> str:
    """The command that runs a study of that scope."""
    plain, words = (
        Scope((), scope.source),
        [f"presa study {study.name} --source {scope.source} --tasks {setting_text(scope.tasks)}"],
    )
    for name in ("seeds", "cost_limits", "steps", "bc_steps", "precision", "pairs", "episodes", "evaluate_every"):
        value = getattr(scope, name)
        words += [f"--{name.replace('_', '-')} {setting_text(value)}"] if value != getattr(plain, name) else []
    words += [f"--{kind} {quote(name)}" for kind in ("column", "level") for name in getattr(scope, f"{kind}s")]
    words += [
        f"--set {algorithm}.{key}={setting_text(value)}"
        for algorithm, some in scope.settings.items()
        for key, value in some.items()
    ]
    return " ".join(words)
