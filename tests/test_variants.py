"""Every kind of thing that can be chosen is a line of a dict; what the dicts hold is what the help texts say."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import reload
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import write_hdf5
from typer.testing import CliRunner

import safefeedback
from safefeedback.feedback.annotators import ANNOTATORS
from safefeedback.feedback.filters import FILTERS
from safefeedback.feedback.sampling import SAMPLERS, Uniform
from safefeedback.feedback.teachers import TEACHERS
from safefeedback.feedback.variants import describe
from safefeedback.simulators import SIMULATORS

COMMANDS = ("safefeedback.cli.labels", "safefeedback.cli.tasks", "safefeedback.cli.app")


@dataclass(frozen=True)
class Contrary:
    """A teacher who prefers the smaller return."""

    strength: float = 1.0
    needs_steps = needs_advantages = False

    def scores(self, episodes: Any, pairs: Any) -> None:
        return None

    def __call__(
        self, scores: np.ndarray, returns: np.ndarray, rng: np.random.Generator, safe: np.ndarray | None = None
    ) -> tuple[np.ndarray, dict, dict]:
        preference = np.where(returns[:, 0] == returns[:, 1], 0.5, returns[:, 0] > returns[:, 1]).astype(np.float32)
        return preference, {}, {"mistaken": 0, "skipped": 0, "equal": 0}


@dataclass(frozen=True)
class Afraid:
    """An annotator who calls everything unsafe."""

    def __call__(self, clean: np.ndarray, costs: np.ndarray, segment_limit: float, rng: np.random.Generator) -> Any:
        return np.zeros_like(clean), {}


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One more of each kind: a line of its dict, and nothing else."""
    monkeypatch.setitem(TEACHERS, "contrary", Contrary())
    monkeypatch.setitem(ANNOTATORS, "afraid", Afraid())
    monkeypatch.setitem(SAMPLERS, "uniform-again", Uniform())
    monkeypatch.setitem(FILTERS, "drop-odd", lambda feedback: feedback.pairs.pair_id % 2 == 0)
    monkeypatch.setitem(SIMULATORS, "Marbles", "safefeedback.simulators.own")
    kept = {name: sys.modules[name] for name in COMMANDS if name in sys.modules}
    yield
    monkeypatch.undo()
    for name in kept:
        reload(sys.modules[name])


def test_what_is_added_to_a_dict_stands_in_the_help_and_can_be_used(added: None, tmp_path: Path):
    import safefeedback.cli.app as app
    import safefeedback.cli.labels as labels
    import safefeedback.cli.tasks as tasks

    reload(labels)
    reload(tasks)
    run, wide = CliRunner(), {"COLUMNS": "400", "TERMINAL_WIDTH": "400"}
    app = reload(app)
    texts = {name: run.invoke(app.app, [name, "--help"], env=wide).output for name in ("build", "relabel", "tasks")}
    for word in ("contrary (strength=1)", "afraid", "drop-odd"):
        assert word in texts["build"] and word in texts["relabel"], word
    assert "uniform-again" in texts["build"] and "Marbles" in texts["tasks"]

    source = write_hdf5(tmp_path / "ball.hdf5", [60] * 10)
    chosen = {"teacher": "contrary", "safety_noise": "afraid", "sampler": "uniform-again", "filters": ("drop-odd",)}
    recipe = safefeedback.Recipe(safefeedback.find_task("BallCircle"), pairs=40, length=8, **chosen)
    folder, manifest = safefeedback.build_dataset(recipe, str(source), tmp_path / "data")
    data, truth = safefeedback.read(folder), safefeedback.read_oracle(folder)
    assert (data.pair_id % 2 == 0).all() and len(data) == 20 and (data.safe == 0).all()
    assert np.array_equal(data.preference, 1 - truth.clean_preference) and manifest["recipe"]["teacher"] == "contrary"


def test_names_that_share_a_class_are_told_by_their_settings():
    assert describe(TEACHERS).startswith("oracle, boltzmann (beta=1), myopic (gamma=0.9), mistake (eps_mistake=0.1)")
    assert describe(ANNOTATORS).startswith(
        "none, rates (miss=0.1, false_alarm=0.1), boundary (scale=1), panel (miss=0.1/0.2/0.3,"
    )
