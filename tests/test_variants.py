"""Every choice is one line of a dict; the help texts say what the dicts hold."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module, reload
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import write_hdf5
from typer.testing import CliRunner

import safefeedback
from safefeedback.dataset.export import FORMATS, Format
from safefeedback.dataset.export.export import export
from safefeedback.dataset.export.interface import ExportedPairs, ExportResult
from safefeedback.feedback.annotators import ANNOTATORS
from safefeedback.feedback.filters import FILTERS
from safefeedback.feedback.sampling import SAMPLERS, Uniform
from safefeedback.feedback.teachers import TEACHERS
from safefeedback.feedback.variants import describe
from safefeedback.simulators import SIMULATORS, can_simulate
from safefeedback.sources import hdf5
from safefeedback.sources.kinds import KINDS, Kind
from safefeedback.types import Source

COMMANDS = tuple(f"safefeedback.cli.{name}" for name in ("labels", "tasks", "hub", "doctor", "app"))


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


def module(name: str, **contents: Any) -> ModuleType:
    """The one file that something needs."""
    made = ModuleType(name)
    vars(made).update(contents)
    return made


def write_counts(folder: Path, pairs: ExportedPairs) -> ExportResult:
    (folder / "count.txt").write_text(str(len(pairs.data)))
    return ExportResult(1, "One number.")


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Adds one of each kind: a line of its dict, and nothing else."""
    monkeypatch.setitem(TEACHERS, "contrary", Contrary())
    monkeypatch.setitem(ANNOTATORS, "afraid", Afraid())
    monkeypatch.setitem(SAMPLERS, "uniform-again", Uniform())
    monkeypatch.setitem(FILTERS, "drop-odd", lambda feedback: feedback.pairs.pair_id % 2 == 0)
    monkeypatch.setitem(FORMATS, "counts", Format("test_counts:write_counts", "how many pairs there are", text=True))
    monkeypatch.setitem(KINDS, "tape", Kind("the recordings on a tape", module="test_tape"))
    monkeypatch.setitem(SIMULATORS, "Marbles", "test_marbles")
    files = (
        module("test_counts", write_counts=write_counts),
        module(
            "test_tape",
            read=lambda name, task, cost: hdf5.read_hdf5(Path(name), task, Source("tape", name, "")),
            fingerprint=lambda name: "0" * 64,
        ),
        module(
            "test_marbles",
            PACKAGES=("no_marbles",),
            INSTALL="buy some",
            EXTRA="sim",
            DISTRIBUTIONS=("no-marbles",),
            TRIAL_TASK="BallRun",
        ),
    )
    for one in files:
        monkeypatch.setitem(sys.modules, one.__name__, one)
    kept = {name: sys.modules[name] for name in COMMANDS if name in sys.modules}
    yield
    monkeypatch.undo()
    for name in kept:
        reload(sys.modules[name])


def test_what_is_added_to_a_dict_stands_in_the_help_and_can_be_used(added: None, tmp_path: Path):
    for name in COMMANDS:
        module = reload(import_module(name))
    run, wide = CliRunner(), {"COLUMNS": "400"}
    texts = {
        name: run.invoke(module.app, [name, "--help"], env=wide).output for name in ("build", "relabel", "tasks", "export")
    }
    for word in ("contrary (strength=1)", "afraid", "drop-odd"):
        assert word in texts["build"] and word in texts["relabel"], word
    assert "uniform-again" in texts["build"] and "tape:NAME" in texts["build"]
    assert "counts" in texts["export"] and texts["export"].count("trl-unpaired, counts") == 4
    assert "Marbles" in texts["tasks"] and "Marbles" in texts["build"]
    assert "simulate Marbles" in [check.name for check in sys.modules["safefeedback.cli.doctor"].CHECKS]

    source = write_hdf5(tmp_path / "ball.hdf5", [60] * 10)
    chosen = {"teacher": "contrary", "safety_noise": "afraid", "sampler": "uniform-again", "filters": ("drop-odd",)}
    recipe = safefeedback.Recipe(safefeedback.find_task("BallCircle"), pairs=40, length=8, **chosen)
    folder, manifest = safefeedback.build_dataset(recipe, f"tape:{source}", tmp_path / "data")
    data, truth = safefeedback.read(folder), safefeedback.read_oracle(folder)
    assert (data.pair_id % 2 == 0).all() and len(data) == 20 and (data.safe == 0).all()
    assert np.array_equal(data.preference, 1 - truth.clean_preference) and manifest["recipe"]["teacher"] == "contrary"
    assert manifest["source"]["kind"] == "tape" and "the recordings on a tape" in (folder / "README.md").read_text()
    export(folder, "counts", tmp_path / "counts")
    assert (tmp_path / "counts" / "count.txt").read_text() == "20"
    assert can_simulate(replace(recipe.task, domain="Marbles")) == "task BallCircle needs the package no_marbles: buy some"


def test_names_that_share_a_class_are_told_by_their_settings():
    assert describe(TEACHERS).startswith("oracle, boltzmann (beta=1), myopic (gamma=0.9), mistake (eps_mistake=0.1)")
    assert describe(ANNOTATORS).startswith(
        "none, rates (miss=0.1, false_alarm=0.1), boundary (scale=1), panel (miss=0.1/0.2/0.3,"
    )


def test_the_documentation_lists_every_choice():
    how_to = Path(__file__).parents[1] / "docs" / "pages" / "how-to"
    assert re.findall(r"^\| `([\w-]+)` \|", (how_to / "export.md").read_text(), re.M) == list(FORMATS)
    recordings = (how_to / "recordings.md").read_text()
    assert all(f"`--source {name}:" in recordings for name, kind in KINDS.items() if kind.module)
    contributing = (how_to.parents[2] / "CONTRIBUTING.md").read_text()
    assert all(f"`{name}`" in contributing for name in ("FORMATS", "KINDS", "SIMULATORS", "TEACHERS", "FILTERS"))
