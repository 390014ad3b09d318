"""How our objects appear in a notebook: a few lines, with shapes; and the names that it completes."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

import presa
import safefeedback
from safefeedback.dataset.reading import open_dataset
from safefeedback.values import WIDE, format_repr

OLD = Path(__file__).parent / "data" / "e5be358"
MOST_LINES = 9


def shown(thing: object) -> list[str]:
    lines = repr(thing).splitlines()
    assert 2 <= len(lines) <= MOST_LINES and max(map(len, lines)) <= WIDE, lines
    return lines


def test_a_dataset_and_its_truth():
    data = safefeedback.read(str(OLD / "data"))
    lines = shown(data)
    assert lines[0] == "Dataset: 9 pairs of BallRun"
    assert lines[4].split() == ["observations", "float32", "[9,", "2,", "8,", "7]"] and lines[-1].split()[-1] == "2]"
    lines = shown(safefeedback.read_oracle(str(OLD / "data")))
    assert lines[0] == "Oracle: the truth about 9 pairs" and lines[2].split() == ["returns", "float64", "[9,", "2]"]
    assert shown(data[0])[0].startswith("Pair ") and "float32 [2, 8, 7]" in repr(data[0])


def test_a_task():
    lines = shown(safefeedback.find_task("BallRun"))
    assert lines[0] == "Task: BallRun (BulletGym)" and lines[1].split() == ["observation_dim", "7"]


def test_manifests():
    opened = open_dataset(str(OLD / "data"))
    lines = shown(opened.manifest)
    assert lines[0] == "Manifest: 12 pairs of BallRun" and lines[1].split() == ["splits", "train", "9,", "test", "3"]
    assert lines[2].endswith(" ...") and "length=8" not in lines[2]  # no word is cut in the middle
    assert lines[-1].split() == ["content", opened.manifest.content_sha256]
    lines = shown(opened.label_sets["people"])
    assert lines[0] == "LabelSetManifest: people, 6 pairs" and lines[3].split(None, 2)[2] == "people's answers"
    assert shown(opened.label_sets["limit40"])[2].endswith("of the segments")


def test_a_policy():
    pytest.importorskip("torch")
    lines = shown(presa.load(str(OLD / "run")))
    assert lines[0] == "Policy: presa on BallRun, cost limit 20.0, seed 0"
    assert lines[1:] == ["  acts by  the mean of a tanh MLP, 7 -> 4 -> 2", "  act      observations [n, 7] -> actions [n, 2]"]


def test_the_names_that_are_offered():
    for package in (safefeedback, *([presa] if find_spec("torch") else [])):
        assert dir(package) == sorted(dir(package)) == package.__all__
        for name in dir(package):
            getattr(package, name)
    assert {"Dataset", "Oracle", "Recipe", "Task", "build_dataset", "find_task", "read", "read_oracle"} <= set(
        dir(safefeedback)
    )
    assert "load" in dir(presa)


def test_a_long_part_ends_between_words():
    assert format_repr("T", {"a": "word " * 40}).splitlines()[1] == "  a  " + ("word " * 18).strip() + " ..."
