"""From pairs that a scripted person sees and answers by keys to a policy: annotate, --finish, verify, train, evaluate."""

# ruff: noqa: F811 (fixtures are imported and are arguments)

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fixtures import ball, chromium, tabs  # noqa: F401
from person import Person, judge_circle
from server import Server

from safefeedback import read
from tests.conftest import run_cli

ANSWERED = 20


def test_answers_by_keys_become_a_label_set_that_verifies_and_a_policy_learns_from(
    tabs: Callable[..., Any], ball: Path, tmp_path: Path
) -> None:
    server = Server(ball, "--name", "seen", "--quick", "--annotators", "scripted")
    given = {}
    try:
        person, rng = Person.at(tabs(), server.link("scripted")), np.random.default_rng(1)
        for _ in range(ANSWERED):
            better, left, right = judge_circle(person, rng, slips=0.05)
            order = [1, 0] if person.swapped else [0, 1]
            safe = {segment: word.endswith(" safe") for word, segment in zip((left, right), order, strict=True)}
            given[person.pair_id] = (order[0] if better.startswith("Left") else order[1], safe[0], safe[1])
            person.answer(better, left, right)
            person.await_pair()
        assert server.progress("scripted")["answered"] == ANSWERED
    finally:
        server.kill()
    done = run_cli("annotate", ball, "--name", "seen", "--finish", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    labels = read(ball, labels="seen")
    asked = np.isin(labels.pair_id, list(given))
    assert asked.sum() == ANSWERED and np.isnan(labels.preference[~asked]).all()
    for row in np.flatnonzero(asked):
        pair = int(labels.pair_id[row])
        assert (labels.preference[row], *labels.safe[row]) == given[pair]
    assert run_cli("verify", ball, cwd=tmp_path).returncode == 0
    words = ["--labels", "seen", "--steps", "4", "--bc-steps", "2", "--out", tmp_path / "run"]
    trained = run_cli("train", ball, *words, cwd=tmp_path, program="presa")
    assert trained.returncode == 0, trained.stderr
    evaluated = run_cli("evaluate", tmp_path / "run", "--episodes", "1", "--json", cwd=tmp_path, program="presa")
    assert evaluated.returncode == 0 and json.loads(evaluated.stdout), evaluated.stderr
