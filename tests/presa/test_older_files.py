"""Files written by commit e5be358 are still read: a dataset with label sets, two runs, a cached cloning stage.

tests/data/e5be358 was made by that commit, in an empty folder with PRESA_CACHE=cache and OMP_NUM_THREADS=1:

    safefeedback build --task BallRun --pairs 12 --length 8 --noise 0.1 --test-fraction 0.25 --source recordings --out data
    safefeedback relabel data --cost-limit 40 --name limit40
    safefeedback labels import data answers.csv --name people
    presa train data --steps 6 --bc-steps 4 --set hidden=4 --set batch_size=2 --device cpu --report-every 2 \
        --checkpoint-every 2 --out run
    presa evaluate run --episodes 1 --processes 1
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import presa
import safefeedback
from presa.cli import main
from presa.data.limits import load_limits
from presa.data.pairs import load_data
from presa.runs.cloning_cache import Entry
from safefeedback.dataset.reading import open_dataset
from safefeedback.verification.verify import verify

OLD = Path(__file__).parents[1] / "data" / "e5be358"
TRAIN = ("--steps", "6", "--bc-steps", "4", "--set", "hidden=4", "--set", "batch_size=2", "--device", "cpu")
SEGMENTS = ("--set", "cloning=segments")  # which was the only way then
REPORTS = ("--report-every", "2", "--checkpoint-every", "2")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return Path(shutil.copytree(OLD, tmp_path / "old"))


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return int(ended.value.code or 0)


def test_a_dataset_is_read_verified_and_trained_on(old: Path, tmp_path: Path):
    checks = {check.name: check.problems for check in verify(old / "data") if check.name != "card"}
    assert not any(checks.values()) and {"content", "labels/limit40", "labels/people"} <= set(checks), checks
    data, folder = safefeedback.read(old / "data"), open_dataset(old / "data")
    assert data.observations.shape == (9, 2, 8, 7) and data.recipe["content"]["sha256"] == folder.manifest.content_sha256
    assert list(folder.label_sets) == ["limit40", "people"] and folder.label_sets["people"].by_people
    published, other = load_limits(old / "data", (20, 40))
    assert other.identity["labels"] == "limit40" and other.segment_limit == 2 * published.segment_limit
    assert len(load_data(old / "data", "people").train) == 6
    assert run("train", old / "data", *TRAIN, "--out", tmp_path / "new") == 0


def test_a_finished_run_is_loaded_and_not_trained_again(old: Path, capsys: pytest.CaptureFixture[str]):
    policy = presa.load(str(old / "run"))
    policy.reset(1)
    assert np.isfinite(policy.act(np.zeros((1, 7), np.float32))).all()
    before = (old / "run" / "policy.safetensors").read_bytes()
    assert run("train", old / "data", *TRAIN, *REPORTS, "--out", old / "run") == 2  # steps are cloned now, once each
    assert "configuration.cloning is segments, not steps" in capsys.readouterr().err
    assert run("train", old / "data", *TRAIN, *SEGMENTS, *REPORTS, "--out", old / "run") == 0
    assert "it was finished already" in capsys.readouterr().out
    assert (old / "run" / "policy.safetensors").read_bytes() == before


def test_an_interrupted_run_is_continued(old: Path):
    for name in ("policy.safetensors", "evaluation.json", "checkpoints/step-000000006.safetensors"):
        (old / "run" / name).unlink()
    before = (old / "run" / "metrics.jsonl").read_text().splitlines()
    assert run("train", old / "data", *TRAIN, *SEGMENTS, *REPORTS, "--out", old / "run") == 0
    lines = [json.loads(line) for line in (old / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [json.loads(line)["step"] for line in before]
    assert lines[0] == json.loads(before[0])  # the first stage was not done again
    presa.load(str(old / "run"))


def test_a_kept_cloning_stage_is_read(old: Path):
    (kept,) = (old / "cache" / "cloned").iterdir()
    parameters, lines = Entry(kept).get("cpu")
    assert sorted(parameters) and all(np.isfinite(values.numpy()).all() for values in parameters.values())
    assert [line["step"] for line in lines] == [4]
