"""The collector, with the real simulator and the real learner, on a small scale."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import wait_for
from replaying import replay
from typer.testing import CliRunner

from safefeedback import simulators as simulator
from safefeedback.cli.app import app
from safefeedback.errors import InputError
from safefeedback.recorder import collect as collector
from safefeedback.recorder import presets
from safefeedback.recorder.bundle import bundle, export
from safefeedback.recorder.collect import CollectConfig, collect
from safefeedback.recorder.plan import highest_cost
from safefeedback.recorder.ppo_lagrangian import LearnerConfig, Price
from safefeedback.recorder.presets import Plan
from safefeedback.recorder.recording import Episode, read_recording, sums, write_recording
from safefeedback.recorder.thinning import thin_evenly
from safefeedback.tasks import find_task, tasks

SMALL = LearnerConfig(environments=2, rollout=128, epochs=2, cloning_epochs=6, cloning_episodes=1, value_rollouts=1)


def require(name: str) -> None:
    reason = collector.reason_not_collectable(find_task(name))
    if reason is not None:
        pytest.skip(reason)


def content(path: Path) -> dict[str, bytes]:
    """Datasets and attributes of a file, as comparable values."""
    with h5py.File(path, "r") as file:
        arrays = {name: file[name][:] for name in file} | {f"@{name}": np.asarray(value) for name, value in file.attrs.items()}
        return {name: str(values.tolist()).encode() for name, values in arrays.items()}


@pytest.fixture(scope="module")
def ball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collected file of BallRun: 2 units, 20 episodes."""
    require("BallRun")
    out = tmp_path_factory.mktemp("ball") / "ball.hdf5"
    config = CollectConfig(episodes=20, steps=2000, cost_limits=(None, 10.0), learner=SMALL)
    result = collect(find_task("BallRun"), out, config)
    assert (result.kept, result.recorded, result.reused_units) == (20, 40, 0)
    return out


def test_the_file_is_in_dsrls_schema(ball: Path) -> None:
    dtypes = {"observations": "f4", "next_observations": "f4", "actions": "f4", "rewards": "f4", "costs": "f4"}
    with h5py.File(ball, "r") as file:
        assert {name: data.dtype.str[1:] for name, data in file.items()} == dtypes | {"terminals": "b1", "timeouts": "b1"}
        assert {data.compression for data in file.values()} == {"gzip"}
        assert file["observations"].shape == (2000, 7) and file["actions"].shape == (2000, 2)
        assert file["timeouts"][:].sum() == 20 and file["terminals"][:].sum() == 0
        ends = np.flatnonzero(file["timeouts"][:])
        inside = np.setdiff1d(np.arange(1999), ends)
        np.testing.assert_array_equal(file["observations"][:][inside + 1], file["next_observations"][:][inside])
        assert np.abs(file["actions"][:]).max() <= 1
        assert json.loads(file.attrs["units"]) == [{"cost_limit": None, "seed": 0}, {"cost_limit": 10.0, "seed": 0}]
        assert len(file.attrs["episode_seeds"]) == len(file.attrs["episode_units"]) == 20
        assert not {"license", "author", "credit"} & set(file.attrs)  # no author was given
        assert json.loads(file.attrs["versions"])["stable-baselines3"] == "2.3.2"


def test_dsrls_own_loader_reads_it(ball: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dsrl")
    monkeypatch.setenv("DSRL_DATASET_DIR", str(tmp_path))
    monkeypatch.setenv("DSRL_SUPPRESS_IMPORT_ERROR", "1")
    with simulator.quiet():
        import dsrl.offline_bullet_safety_gym  # noqa: F401
        import gymnasium

        theirs = gymnasium.make("OfflineBallRun-v0", disable_env_checker=True).unwrapped
        data = theirs.get_dataset(str(ball))
    with h5py.File(ball, "r") as file:
        assert set(data) == set(file)
        np.testing.assert_array_equal(data["rewards"], file["rewards"][:])


def test_the_same_seed_gives_the_same_content_and_another_does_not(ball: Path, tmp_path: Path) -> None:
    config = CollectConfig(episodes=20, steps=2000, cost_limits=(None, 10.0), learner=SMALL)
    collect(find_task("BallRun"), tmp_path / "again.hdf5", config)
    assert content(tmp_path / "again.hdf5") == content(ball)
    collect(find_task("BallRun"), tmp_path / "other.hdf5", CollectConfig(**{**vars(config), "seed": 1}))
    assert content(tmp_path / "other.hdf5")["rewards"] != content(ball)["rewards"]


def test_killed_three_times_it_ends_with_the_same_content(tmp_path: Path) -> None:
    """At random moments of the second, third and fourth training run: tests/benchmarks/kill_training.py does it 20 times."""
    require("BallRun")
    config = CollectConfig(episodes=20, steps=300, cost_limits=(None, 40.0, 20.0, 10.0), learner=SMALL)
    task, out = find_task("BallRun"), tmp_path / "killed.hdf5"
    whole = collect(task, tmp_path / "whole.hdf5", config).path
    rng, parts = np.random.default_rng(0), tmp_path / "killed.hdf5.parts"
    for count in (1, 2, 3):
        process = multiprocessing.get_context("fork").Process(target=collect, args=(task, out, config))
        process.start()
        wait_for(lambda count=count: len(list(parts.glob("*.hdf5"))) >= count)
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        process.join()
        assert not out.exists()
    written = {path: path.stat().st_mtime_ns for path in parts.glob("*.hdf5")}
    assert collect(task, out, config).reused_units == len(written) >= 3
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert content(out) == content(whole)


def replays(path: Path, name: str, count: int = 10) -> None:
    episodes, _ = read_recording(path)
    for index in np.linspace(0, len(episodes) - 1, count).astype(int):
        replay(find_task(name), episodes[index])


def test_units_do_not_share_episodes(ball: Path) -> None:
    episodes, _ = read_recording(ball)
    assert len({episode.seed for episode in episodes}) == len({episode.observations.tobytes() for episode in episodes}) == 20
    assert {episode.unit for episode in episodes} == {0, 1}


def test_episodes_replay_from_their_seeds(ball: Path) -> None:
    replays(ball, "BallRun")


@pytest.mark.parametrize("name", ["DroneRun", "PointCircle1"])
def test_other_simulators_replay_as_well(name: str, tmp_path: Path) -> None:
    """DroneRun ends some episodes by a fall; PointCircle1 is safety-gymnasium's."""
    require(name)
    steps = {"DroneRun": 1000, "PointCircle1": 1000}[name]
    config = CollectConfig(episodes=5, steps=steps, cost_limits=(20.0,), learner=SMALL)
    collect(find_task(name), tmp_path / "recording.hdf5", config)
    replays(tmp_path / "recording.hdf5", name, count=2)


def test_into_a_folder_the_name_is_dsrls(tmp_path: Path) -> None:
    require("BallRun")
    config = CollectConfig(episodes=3, steps=256, cost_limits=(None,), learner=SMALL)
    result = collect(find_task("BallRun"), tmp_path, config)
    with h5py.File(result.path, "r") as file:
        worst = max(np.add.reduceat(file["costs"][:], np.r_[0, np.flatnonzero(file["timeouts"][:])[:-1] + 1]))
    assert result.path == tmp_path / f"SafetyBallRun-v0-{int(worst)}-{result.kept}.hdf5"
    assert os.listdir(tmp_path / "BallRun.parts")


def test_a_warm_start_clones_first_and_credits_dsrl(ball: Path, tmp_path: Path) -> None:
    config = CollectConfig(episodes=30, steps=512, cost_limits=(10.0,), learner=SMALL, warm_start=ball)
    result = collect(find_task("BallRun"), tmp_path / "warm.hdf5", config)
    assert result.recorded == 2 * (SMALL.cloning_stages + 1) + 2 * 2  # played while cloning, then while learning
    with h5py.File(tmp_path / "warm.hdf5", "r") as file:
        assert "ball.hdf5 sha256" in file.attrs["warm_start"] and "ball.hdf5" in file.attrs["credit"]
        assert "author and licence are not stated" in file.attrs["credit"] and "citation" not in file.attrs
    with h5py.File(ball, "r") as ours, h5py.File(tmp_path / "SafetyBallRun-v0.hdf5", "w") as theirs:
        for name in ours:  # DSRL's files carry no attributes, and its names
            theirs[name] = ours[name][:]
    theirs = CollectConfig(**{**vars(config), "warm_start": tmp_path / "SafetyBallRun-v0.hdf5", "steps": 256})
    collect(find_task("BallRun"), tmp_path / "credited.hdf5", theirs)
    collect(
        find_task("BallRun"),
        tmp_path / "passed_on.hdf5",
        CollectConfig(**{**vars(config), "warm_start": tmp_path / "credited.hdf5"}),
    )
    for name in ("credited.hdf5", "passed_on.hdf5"):
        with h5py.File(tmp_path / name, "r") as file:
            assert "arXiv 2306.09303" in file.attrs["credit"] and "2306.09303" in file.attrs["citation"]
    with h5py.File(tmp_path / "SafetyBallRun-v0.hdf5", "r+") as file:
        file.attrs["author"], file.attrs["license"] = "Jane", "mit"
    terms = {"author": "John", "license": "cc0-1.0"}
    collect(find_task("BallRun"), tmp_path / "janes.hdf5", CollectConfig(**{**vars(theirs), **terms}))
    with h5py.File(tmp_path / "janes.hdf5", "r") as file:
        assert file.attrs["credit"] == "Warm-started by cloning episodes of Jane (mit)"
        assert (file.attrs["author"], file.attrs["license"]) == ("John", "cc0-1.0")


def test_a_bundled_file_is_small_and_exports_to_the_full_one(ball: Path, tmp_path: Path) -> None:
    bundle(ball, tmp_path / "small.hdf5", episodes=8, cost_limit=20)
    with h5py.File(tmp_path / "small.hdf5", "r") as file:
        assert "next_observations" not in file and file["observations"].shuffle and len(file.attrs["episode_seeds"]) == 8
    export(tmp_path / "small.hdf5", tmp_path / "full.hdf5")
    whole = {episode.seed: episode for episode in read_recording(ball)[0]}
    back, attributes = read_recording(tmp_path / "full.hdf5")
    assert len(back) == 8 and attributes["episodes_kept"] == 8 and "last_observations" not in attributes
    for episode in back:
        np.testing.assert_array_equal(episode.observations, whole[episode.seed].observations)
    bundle(ball, tmp_path / "all.hdf5", episodes=100, cost_limit=20)
    export(tmp_path / "all.hdf5", tmp_path / "whole.hdf5")
    assert content(tmp_path / "whole.hdf5") == content(ball)
    with pytest.raises(InputError, match="overwrite"):
        export(tmp_path / "all.hdf5", tmp_path / "all.hdf5")


def test_a_bundle_keeps_a_share_of_the_rare_kind(tmp_path: Path) -> None:
    def episode(cost: float, seed: int) -> Episode:
        costs = np.array([cost], np.float32)
        return Episode(np.zeros((2, 3), np.float32), np.zeros((1, 2), np.float32), np.ones(1, np.float32), costs, False, seed)

    write_recording(tmp_path / "safe.hdf5", [episode(21 if n < 9 else n % 20, n) for n in range(200)], {})
    bundle(tmp_path / "safe.hdf5", tmp_path / "small.hdf5", episodes=32, cost_limit=20)
    episodes, _ = read_recording(tmp_path / "small.hdf5")
    assert len(episodes) == 32 and sum(episode.total_cost > 20 for episode in episodes) == 8
    bundle(tmp_path / "safe.hdf5", tmp_path / "large.hdf5", episodes=100, cost_limit=20)  # there are only 9
    assert sum(episode.total_cost > 20 for episode in read_recording(tmp_path / "large.hdf5")[0]) == 9


def test_many_episodes_fit_into_attributes(tmp_path: Path) -> None:
    """HDF5's older layout holds 64 KiB in an attribute."""
    one = [np.zeros((2, 3), np.float32), np.zeros((1, 2), np.float32), np.zeros(1, np.float32), np.zeros(1, np.float32)]
    write_recording(tmp_path / "many.hdf5", [Episode(*one, terminal=False, seed=n) for n in range(40_000)], {})
    episodes, _ = read_recording(tmp_path / "many.hdf5")
    assert len(episodes) == 40_000 and episodes[-1].seed == 39_999


def test_thinning_is_even_where_the_data_are_not() -> None:
    # 900 episodes in one corner, 10 in each of nine other places: 100 chosen take all of the rare and 10 of the crowd
    places = [(0.0, 0.0)] + [(100.0 * a, 25.0 * b) for a in (1, 2, 3) for b in (1, 2, 3)]
    returns = np.concatenate([np.full(900 if i == 0 else 10, place[0]) for i, place in enumerate(places)])
    costs = np.concatenate([np.full(900 if i == 0 else 10, place[1]) for i, place in enumerate(places)])
    chosen = thin_evenly(returns, costs, 100, np.random.default_rng(0))
    assert len(set(chosen)) == 100 and (np.diff(chosen) > 0).all()
    assert [(chosen < 900).sum(), *np.histogram(chosen, np.arange(900, 1000, 10))[0][:8]] == [10] * 9
    np.testing.assert_array_equal(chosen, thin_evenly(returns, costs, 100, np.random.default_rng(0)))
    assert (chosen != thin_evenly(returns, costs, 100, np.random.default_rng(1))).any()
    np.testing.assert_array_equal(thin_evenly(returns, costs, 5000, np.random.default_rng(0)), np.arange(990))


def test_what_costs_more_than_the_benchmarks_range_is_left_out() -> None:
    assert {name: highest_cost(find_task(name)) for name in ("BallRun", "CarRun", "AntRun")} == {
        "BallRun": 80, "CarRun": 80, "AntRun": 150
    }  # fmt: skip
    assert highest_cost(replace(find_task("BallRun"), reference_costs=None)) == float("inf")


def test_the_price_follows_cost_against_its_limit() -> None:
    price = Price(limit=10, horizon=100, rate=0.2, first=2.0)
    assert price.shaped(4.0, 0.0) == pytest.approx(1 / 3)  # 4 / mean |r| of 4, over 1 + lambda
    assert price.shaped(-2.0, 1.0) == pytest.approx((-2 / 3 - 2) / 3)
    price.update(60)
    assert price.multiplier == pytest.approx(2 + 0.2 * 50 / 100)
    for _ in range(1000):
        price.update(0)
    assert price.multiplier == 0
    free = Price(limit=None, horizon=100, rate=0.2, first=2.0)
    free.update(90)
    assert free.multiplier == 0 and free.shaped(4.0, 1.0) == 1


def test_what_cannot_be_collected_is_refused_with_a_reason(tmp_path: Path) -> None:
    refused = {"easymean": "MetaDrive|scripted driver", "CarButton1": "collecting CarButton1 is not supported"}
    for name, words in refused.items():
        with pytest.raises(InputError, match=words):
            collect(find_task(name), tmp_path / "no.hdf5", CollectConfig())
    supported = [task.name for task in tasks().values() if collector.reason_not_collectable(task) is None]
    if supported:
        assert len(supported) == 8 + 7
    bad: list[Callable[[], object]] = [
        lambda: CollectConfig(episodes=0),
        lambda: CollectConfig(cost_limits=()),
        lambda: CollectConfig(cost_limits=(10.0, 10.0)),
        lambda: CollectConfig(cost_limits=(-1.0,)),
        lambda: CollectConfig(seed=-1),
    ]
    for make in bad:
        with pytest.raises(InputError):
            make()


def test_a_warm_start_of_another_task_is_refused(ball: Path, tmp_path: Path) -> None:
    require("BallCircle")
    with pytest.raises(InputError, match="the task needs"):
        collect(find_task("BallCircle"), tmp_path / "no.hdf5", CollectConfig(warm_start=ball))
    with pytest.raises(InputError, match="there is no file"):
        collect(find_task("BallRun"), tmp_path / "no.hdf5", CollectConfig(warm_start=tmp_path / "absent.hdf5"))
    (tmp_path / "SafetyCarRun-v0.hdf5").write_bytes(ball.read_bytes())  # Ball and Car share their dims
    with pytest.raises(InputError, match="holds recordings of CarRun, not of BallRun"):
        collect(find_task("BallRun"), tmp_path / "no.hdf5", CollectConfig(warm_start=tmp_path / "SafetyCarRun-v0.hdf5"))
    with pytest.raises(InputError, match="holds recordings of BallRun, not of CarRun"):
        collect(find_task("CarRun"), tmp_path / "no.hdf5", CollectConfig(warm_start=ball))
    (tmp_path / "nan.hdf5").write_bytes(ball.read_bytes())
    with h5py.File(tmp_path / "nan.hdf5", "r+") as file:
        file["observations"][3, 0] = np.nan
    with pytest.raises(InputError, match="observations is NaN"):
        collect(find_task("BallRun"), tmp_path / "no.hdf5", CollectConfig(warm_start=tmp_path / "nan.hdf5"))
    assert not list(tmp_path.glob("no.hdf5*"))
    with pytest.raises(InputError, match="give another --out"):
        collect(find_task("BallRun"), ball / "inside" / "a-file.hdf5", CollectConfig())


def test_importing_the_collector_is_light() -> None:
    code = (
        "import sys, safefeedback.recorder.collect, safefeedback.cli.collect, safefeedback.simulators\n"
        "print([name for name in ('torch', 'gymnasium', 'stable_baselines3', 'pybullet', 'mujoco') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_tells_what_it_made(tmp_path: Path) -> None:
    require("BallRun")
    import typer
    from typer.testing import CliRunner

    from safefeedback.cli.collect import collect as command

    app = typer.Typer()
    app.command()(command)
    options = [
        "--task",
        "BallRun",
        "--episodes",
        "10",
        "--steps",
        "4096",
        "--cost-limits",
        "10",
        "--out",
        str(tmp_path / "a.hdf5"),
    ]
    first = CliRunner().invoke(app, options)
    assert first.exit_code == 0 and "10 episodes" in first.output and "recorded 40" in first.output
    refused = CliRunner().invoke(app, options)
    assert isinstance(refused.exception, InputError) and "exists already" in str(refused.exception)
    (tmp_path / "a.hdf5").unlink()
    again = CliRunner().invoke(app, [*options, "--json"])
    assert json.loads(again.output)["reused_units"] == 1


@pytest.mark.parametrize("text", ["ten", "", "10,,20"])
def test_cost_limits_that_are_not_numbers_are_refused(text: str) -> None:
    from safefeedback.cli.collect import parse_limits

    assert parse_limits("none, 40,10") == (None, 40.0, 10.0)
    with pytest.raises(InputError, match="--cost-limits"):
        parse_limits(text)


def test_sums_are_of_whole_episodes() -> None:
    rewards, costs = np.array([1, 2.5], np.float32), np.array([0, 1], np.float32)
    episode = Episode(np.zeros((3, 1), np.float32), np.zeros((2, 1), np.float32), rewards, costs, True, 0)
    assert [values.tolist() for values in sums([episode, episode])] == [[3.5, 3.5], [1.0, 1.0]]


def test_several_tasks_by_a_preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each into a file of its own; what is there is kept; options that are given win over the preset's."""
    require("BallRun")
    plans = {"BallRun": Plan(9, 400), "AntCircle": Plan(3), "AntRun": Plan(2, 50_000, warm=True)}
    monkeypatch.setattr(presets, "PRESETS", {"small": plans})
    words = ["collect", "--task", "BallRun,AntCircle", "--preset", "small", "--out", str(tmp_path / "all")]
    result = CliRunner().invoke(app, [*words, "--episodes", "2", "--json"])
    rows = json.loads(result.stdout)
    assert [(Path(row["path"]).name, row["kept"]) for row in rows] == [("BallRun.hdf5", 2), ("AntCircle.hdf5", 2)]
    (tmp_path / "all" / "AntCircle.hdf5").unlink()
    again = CliRunner().invoke(app, words)
    assert "BallRun.hdf5: 9 episodes" not in again.stdout and "AntCircle.hdf5: 3 episodes, walked by a scripted" in again.stdout
    assert presets.options(plans["AntRun"], Path("a"))["warm_start"] == Path("a")
    for bad, message in (
        (["--task", "BallRun", "--preset", "none"], "there is no preset 'none': choose from small"),
        (["--task", "CarRun", "--preset", "small"], "the preset small is for BallRun, AntCircle, AntRun, not for CarRun"),
        (["--task", "BallRun,AntRun", "--preset", "small", "--out", "x.hdf5"], "--out x.hdf5 must be a folder"),
    ):
        found = CliRunner().invoke(app, ["collect", "--out", str(tmp_path / "no"), *bad])
        assert isinstance(found.exception, InputError) and str(found.exception).startswith(message)


def test_the_full_preset_is_dsrls_size() -> None:
    bullet = [task for task in tasks().values() if task.domain == "BulletGym"]
    for task in bullet:
        plan = presets.find_plan("full", task)
        assert task.file is not None
        assert plan.episodes == max(1000, int(task.file.removesuffix(".hdf5").rsplit("-", 1)[1]))
