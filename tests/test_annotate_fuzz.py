"""Requests that no browser would send, frames of the simulator, and the order that a model proposes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from annotating import Server
from running import run_cli

from safefeedback.annotate.assignment import AT_RANDOM, Pools, draw, keys, pools, weights
from safefeedback.annotate.frames import COLUMNS, HEIGHT, WIDTH, Frames
from safefeedback.annotate.material import Material
from safefeedback.annotate.opening import open_study
from safefeedback.annotate.rendering import render
from safefeedback.annotate.serve import listen
from safefeedback.annotate.study import Study
from safefeedback.annotate.uncertainty import UncertaintyRanker, missing_packages, rank_pairs
from safefeedback.dataset.build import build_dataset
from safefeedback.errors import InputError
from safefeedback.feedback.recipe import Recipe
from safefeedback.simulators import can_simulate
from safefeedback.sources import recordings_file
from safefeedback.tasks import tasks

BENCHMARKS = Path(__file__).parent / "benchmarks"


def test_fuzzed_requests(tmp_path: Path):
    """Three hundred; tests/benchmarks/fuzz_annotate.py sends five thousand."""
    spec = importlib.util.spec_from_file_location("fuzz_annotate", BENCHMARKS / "fuzz_annotate.py")
    assert spec is not None and spec.loader is not None
    content = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(content)
    folder, _ = build_dataset(Recipe(tasks()["BallRun"], pairs=400, length=16), "recordings", tmp_path / "run")
    codes = content.fuzz(Server(folder, quick=True), 300, seed=1)
    assert codes.get(200, 0) > 10 and codes[400] > 20


def test_frames_are_made_once_and_shown_to_those_who_were_given_the_pair(tmp_path: Path):
    if (reason := can_simulate(tasks()["BallCircle"])) is not None:
        pytest.skip(reason)
    image = pytest.importorskip("PIL.Image")
    folder, _ = build_dataset(Recipe(tasks()["BallCircle"], pairs=2, length=5), "recordings", tmp_path / "ball")
    material, place = Material(folder), tmp_path / "frames"
    told: list[tuple[int, int]] = []
    assert render(material, place, lambda done, total: told.append((done, total))) == 4
    assert told[0] == (0, 4) and told[-1] == (4, 4) and render(material, place) == 0
    frames = Frames.find(place, 5)
    assert frames is not None and frames.description["count"] == 5
    sheet = image.open(place / "0-1.jpg")
    assert sheet.size == (COLUMNS * WIDTH, HEIGHT)
    pixels = np.asarray(sheet)
    assert pixels[:, : 5 * WIDTH].std() > 20 and pixels[:, 5 * WIDTH :].max() < 20  # five frames, and nothing
    (place / "1-0.jpg").unlink()
    assert render(material, place) == 1  # it continues where it stopped
    made_up, _ = build_dataset(Recipe(tasks()["BallCircle"], pairs=2, length=5, seed=1), "recordings", tmp_path / "other")
    assert made_up.is_dir()


def test_frames_need_recordings_that_tell_their_seeds(ball_file: Path, tmp_path: Path):
    if (reason := can_simulate(tasks()["BallCircle"])) is not None:
        pytest.skip(reason)
    pytest.importorskip("PIL.Image")
    folder, _ = build_dataset(Recipe(tasks()["BallCircle"], pairs=2, length=5), str(ball_file), tmp_path / "ball")
    material, place = Material(folder), tmp_path / "frames"
    with pytest.raises(InputError, match="nor shipped with safefeedback: name the file with --source FILE"):
        render(material, place)
    with pytest.raises(InputError, match="hold a seed for each episode, as `safefeedback collect` writes them"):
        render(material, place, source=ball_file)
    with pytest.raises(InputError, match="is not the file that the dataset was built from"):
        render(material, place, source=recordings_file(tasks()["BallCircle"]))
    with pytest.raises(InputError, match="there is no file"):
        render(material, place, source=tmp_path / "none.hdf5")


def test_frames_of_metadrive_are_of_the_map_that_was_driven(tmp_path: Path):
    """A replay on another map would be refused."""
    if (reason := can_simulate(tasks()["easysparse"])) is not None:
        pytest.skip(reason)
    image = pytest.importorskip("PIL.Image")
    folder, _ = build_dataset(Recipe(tasks()["easysparse"], pairs=1, length=5, seed=2), "recordings", tmp_path / "drive")
    assert render(Material(folder), tmp_path / "frames") == 2
    pixels = np.asarray(image.open(tmp_path / "frames" / "0-1.jpg"))
    assert pixels.shape == (HEIGHT, COLUMNS * WIDTH, 3) and pixels[:, : 5 * WIDTH].std() > 10


def test_orders(ball_file: Path, tmp_path: Path):
    """Which pairs come first, with which probability; the pools of gold and practice pairs are separate."""
    import random

    folder, _ = build_dataset(Recipe(tasks()["BallCircle"], pairs=60), str(ball_file), tmp_path / "ball")
    truth, study = Material(folder).truth, Study(gold=0.1, cost_limit=20.0)
    apart = pools(study, truth, 20.0, seed=3)
    assert (apart.gold.sum(), apart.practice.sum(), apart.ordinary.sum()) == (6, 3, 51)
    assert not (apart.gold & apart.practice).any() and not (apart.ordinary & (apart.gold | apart.practice)).any()
    margin = np.abs(truth.returns[:, 1] - truth.returns[:, 0])
    assert margin[apart.gold | apart.practice].min() > np.median(margin)
    near = weights("near-limit", truth, 20.0)
    distance = np.abs(truth.costs - 6.4).min(axis=1)
    assert near[distance.argmin()] == near.max() and near[distance.argmax()] == near.min() and (near > 0).all()
    unsafe = (truth.costs > 6.4).any(axis=1)
    half = weights("stratified", truth, 20.0)
    assert half[unsafe].sum() == pytest.approx(half[~unsafe].sum())
    asked = weights("uncertain", truth, 20.0, {int(truth.pair_id[4]): 3.0, int(truth.pair_id[9]): 1.0})
    assert asked[4] == pytest.approx(0.75 * (1 - AT_RANDOM) + AT_RANDOM / 60) and asked.sum() == pytest.approx(1)
    assert (weights("uncertain", truth, 20.0) == 1).all()
    everything = Pools(np.ones(60, bool), np.zeros(60, bool), np.zeros(60, bool))
    counts = np.zeros(60)
    for seed in range(300):
        nobody, rng = np.zeros(60, int), random.Random(seed)
        found = draw(Study(order="uncertain"), everything, asked, keys(asked, seed), nobody, set(), [], rng)
        assert found is not None and found.probability == pytest.approx(asked[found.row])
        counts[found.row] += 1
    assert 0.5 < counts[4] / 300 < 0.72 and counts[4] > counts[9] > counts[20]


def test_the_uncertain_order_asks_presa(tmp_path: Path):
    if (reason := missing_packages()) is not None:
        pytest.skip(reason)
    folder, _ = build_dataset(Recipe(tasks()["BallRun"], pairs=60, length=8), "recordings", tmp_path / "run")
    server = Server(folder, quick=True, order="uncertain")
    told: list[dict[int, float]] = []
    failed: list[str] = []
    ranker = UncertaintyRanker(folder, server.store.path, 20.0, told.append, failed.append, ("--members", "2", "--steps", "5"))
    server.live.on_answer = ranker.notice
    server.person().answer_all(20)
    assert ranker._running is not None
    ranker._running.join(timeout=300)
    assert not failed and set(told[0]) <= set(range(60)), failed
    answered = {row["pair_id"] for row in server.store.rows("SELECT pair_id FROM answer")}
    assert told[0].keys().isdisjoint(answered) and max(told[0].values()) > 0
    server.live.assigner.set_order(told[0])
    server.person().answer_all(5)
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "oracle", "pairs", "recipe.json"]
    with pytest.raises(OSError):  # which the ranker reports, and goes on
        rank_pairs(tmp_path, server.store.path, 20.0)


def test_a_choice_that_cannot_be_used_creates_no_answers(ball_file: Path, tmp_path: Path) -> None:
    folder, _ = build_dataset(Recipe(tasks()["BallCircle"], pairs=20, length=16), str(ball_file), tmp_path / "data")
    with pytest.raises(InputError, match="--ask has no 'nope'"):
        open_study(folder, "lab", {"ask": "nope"})
    assert not (tmp_path / "data.answers").exists()


def test_a_port_that_does_not_exist_is_refused_and_creates_no_answers(ball_file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--port 99999 cannot be used: .*[^.]; choose another --port"):
        listen("127.0.0.1", 99999)
    folder, _ = build_dataset(Recipe(tasks()["BallCircle"], pairs=20, length=16), str(ball_file), tmp_path / "data")
    done = run_cli("annotate", folder, "--name", "lab", "--port", 99999, "--no-browser", cwd=tmp_path)
    assert done.returncode == 2 and "--port 99999" in done.stderr
    assert not (tmp_path / "data.answers").exists()
