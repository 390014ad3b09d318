"""Trained policies on the Hugging Face Hub: a run's folder as a release."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from presa.files import POLICY_FILE
from presa.runs.card import render
from presa.runs.own_policy import is_own
from presa.runs.records import read_config, read_evaluation
from safefeedback.dataset.card import NOTES_MARKER
from safefeedback.errors import InputError
from safefeedback.publish.release import Release

FILES = (POLICY_FILE, "config.json", "metrics.jsonl", "evaluation.json", "learning_curve.png")
TAGS = ("safe-rl", "offline-rl", "preference-learning", "presa")


def run_release(run: Path, repo: str) -> Release:
    """A finished run as a release: the policy, its records and its card; neither checkpoints nor anything else in the folder.

    Raises:
        InputError: if it is not the folder of a finished run.
    """
    config = read_config(run)
    if not (run / POLICY_FILE).is_file():
        why = "it is of a policy of your own, which is code" if is_own(config) else "its training is not finished"
        raise InputError(f"{run} holds no {POLICY_FILE}: {why}")
    this = (config["algorithm"], config["task"]["name"])

    def differs(content: bytes) -> str | None:
        try:
            other_config = json.loads(content)
            other = (other_config["algorithm"], other_config["task"]["name"])
        except (ValueError, KeyError, TypeError):
            return "its config.json is not of presa"
        return None if other == this else f"it holds {other[0]} on {other[1]}"

    files: dict[str, Path | bytes] = {name: run / name for name in FILES if (run / name).is_file()}
    metadata = yaml.safe_dump(_metadata(run, config, repo), sort_keys=False, allow_unicode=True, width=1000)
    text = render(run).replace("<this folder>", repo)
    return Release("model", files, f"---\n{metadata}---\n\n{text}\n{NOTES_MARKER}", "", FILES, "config.json", differs)


def _metadata(run: Path, config: dict[str, Any], repo: str) -> dict[str, Any]:
    """The Hub's metadata of the model, with the numbers of its evaluation."""
    task = config["task"]["name"]
    values: dict[str, Any] = {
        "library_name": "presa",
        "pipeline_tag": "reinforcement-learning",
        "tags": list(dict.fromkeys([*TAGS, config["algorithm"].replace(":", "."), task])),
    }
    found = read_evaluation(run)
    if found is None:
        return values
    summary = found["summary"]
    metrics = [
        {"type": name, "name": f"{name.replace('_', ' ')} (mean of {summary['episodes']} episodes)", "value": summary[name]}
        for name in ("normalized_return", "normalized_cost", "return", "cost")
        if summary.get(name) is not None
    ]
    result = {
        "task": {"type": "reinforcement-learning", "name": "reinforcement-learning"},
        "dataset": {"type": task, "name": f"{task}, cost limit {summary['cost_limit']:g}"},
        "metrics": metrics,
    }
    return values | {"model-index": [{"name": repo.split("/")[1], "results": [result]}]}
