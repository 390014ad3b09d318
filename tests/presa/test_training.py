"""The training loop and runs: the same seed, another process, interruption and continuation, caching, warnings, stopping."""

from __future__ import annotations

import json
import math
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from feedback_cases import TINY, presa, set_column, write_dataset  # noqa: E402
from one_run import fit  # noqa: E402

from presa.algorithms import ALGORITHMS, configure, find_algorithm  # noqa: E402
from presa.algorithms.base import Examples, Training  # noqa: E402
from presa.data.pairs import load_data  # noqa: E402
from presa.fitting.batches import ShuffledBatches  # noqa: E402
from presa.fitting.fit import Snapshot, with_reference  # noqa: E402
from presa.losses import segment_score  # noqa: E402
from presa.networks.adam import Adam  # noqa: E402
from presa.networks.mlp import initial_parameters, log_probability, mean_action  # noqa: E402
from presa.offline import action_statistics, held_out_accuracy, preference_accuracy  # noqa: E402
from presa.rollouts.policy import load  # noqa: E402
from presa.runs import run as runs  # noqa: E402
from presa.runs.interruption import deferred_signals  # noqa: E402
from presa.runs.records import MonitorSettings, metrics_warnings, open_folder, oversaturated, read_metrics  # noqa: E402
from presa.tensors import load_tensors  # noqa: E402
from safefeedback.errors import InputError  # noqa: E402

OFTEN = MonitorSettings(report_every=10, checkpoint_every=10)


@pytest.fixture(autouse=True)
def one_thread_and_a_cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setenv("PRESA_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path, ball_file: Path) -> Path:
    return write_dataset(tmp_path / "data", ball_file)


def train(
    folder: Path,
    out: Path,
    algorithm: str = "presa",
    settings: MonitorSettings = OFTEN,
    on_report: Any = None,
    on_step: Any = lambda run, done: None,
    **changes: Any,
) -> dict:
    tiny = {key: value for key, value in (TINY | changes).items() if key in configure(algorithm).__dataclass_fields__}
    listen = on_report or (lambda line: None)
    chosen, data = configure(algorithm, None, tiny), load_data(folder)
    return runs.train(algorithm, chosen, data, out, settings=settings, on_report=listen, on_step=on_step)


def test_every_example_once_an_epoch_in_an_order_of_its_own() -> None:
    batches = ShuffledBatches(10, 4, seed=3, stage="main")
    drawn = np.concatenate([batches.index(step) for step in range(10)]).reshape(4, 10)
    assert all(sorted(epoch) == list(range(10)) for epoch in drawn.tolist())
    assert len({tuple(epoch) for epoch in drawn.tolist()}) == 4
    np.testing.assert_array_equal(
        ShuffledBatches(10, 4, 3, "main").index(7), batches.index(7)
    )  # a step does not depend on earlier ones
    assert len(ShuffledBatches(3, 8, 0, "main").index(0)) == 8  # batches larger than the data


def test_the_loop_steps_as_torchs_adam_does(folder: Path) -> None:
    """Three steps of the loop are three of torch.optim.Adam, in doubles, on the same batches."""
    small = {"steps": 3, "hidden": (4,), "dropout": 0.0, "batch_size": 5, "learning_rate": 0.01}
    algorithm = configure("bc-safe-seg", None, {**small, "cloning": "segments"})
    examples = algorithm.examples(load_data(folder))
    start = initial_parameters(8, 2, (4,), seed=0)
    *_, (last, numbers) = fit(algorithm, examples, Snapshot(0, start, {}, {}), 0, "main", 1)
    parameters = {name: value.detach().double().requires_grad_() for name, value in start.items()}
    adam = torch.optim.Adam(parameters.values(), lr=0.01)
    for step in range(3):
        index = ShuffledBatches(len(examples), 10, 0, "main").index(step)
        mean = mean_action(parameters, examples.observations[index].double())
        loss = -log_probability(mean, examples.actions[index].double()).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    for name, value in parameters.items():
        torch.testing.assert_close(last.parameters[name].double(), value.detach(), atol=1e-5, rtol=1e-4)
    assert numbers["loss"] == pytest.approx(loss.item(), rel=1e-4)


@pytest.mark.parametrize("decay", [0.0, 0.02])
def test_adam_is_torchs(decay: float) -> None:
    """Twenty steps along drawn gradients, some of them tiny, some zero; with decay it is AdamW."""
    draw = torch.Generator().manual_seed(0)
    shapes = {"weight_0": (3, 4), "bias_0": (4,), "scale": (1,)}
    start = {name: torch.randn(shape, generator=draw) for name, shape in shapes.items()}
    ours = Adam(start, {})
    theirs = {name: value.clone().requires_grad_() for name, value in start.items()}
    rate = 0.05
    optimizer = torch.optim.AdamW(theirs.values(), lr=rate, weight_decay=decay / rate)
    for step in range(1, 21):
        gradients = [torch.randn(shape, generator=draw) * 10.0 ** (step % 5 - 4) for shape in shapes.values()]
        gradients[2] = torch.zeros(1)
        ours.step(gradients, rate, step, decay)
        for value, gradient in zip(theirs.values(), gradients, strict=True):
            value.grad = gradient
        optimizer.step()
    for name, value in theirs.items():
        torch.testing.assert_close(ours.parameters[name], value.detach(), atol=1e-6, rtol=1e-5)
    assert not torch.equal(ours.parameters["weight_0"], start["weight_0"])


def test_reports_are_means_since_the_last_one(folder: Path) -> None:
    algorithm = configure("preference", None, TINY | {"steps": 7, "bc_steps": 0})
    start = initial_parameters(8, 2, (16, 16), 0)
    examples = with_reference(algorithm.examples(load_data(folder)), start)
    by_step = [numbers["loss"] for _, numbers in fit(algorithm, examples, Snapshot(0, start, {}, {}), 0, "main", 1)]
    by_three = list(fit(algorithm, examples, Snapshot(0, start, {}, {}), 0, "main", 3))
    expected = [np.mean(by_step[:3]), np.mean(by_step[3:6]), by_step[6]]
    assert [numbers["loss"] for _, numbers in by_three] == pytest.approx(expected)
    assert [snapshot.step for snapshot, _ in by_three] == [3, 6, 7]


def test_the_reference_is_frozen_without_dropout(folder: Path) -> None:
    data = load_data(folder)
    parameters = initial_parameters(8, 2, (16, 16), 0)
    examples = with_reference(configure("presa").examples(data), parameters)
    expected = log_probability(mean_action(parameters, data.train.observations), data.train.actions)
    torch.testing.assert_close(examples.labels["reference"], expected)
    assert not examples.labels["reference"].requires_grad
    # at the reference itself every score is 0: p is 1/2 and the preference loss log 2
    score = segment_score(expected, examples.labels["reference"])
    assert score.abs().max() < 1e-5


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if not find_algorithm(name).needs_trajectories])
def test_every_algorithm_trains_and_the_same_seed_repeats_it(algorithm: str, folder: Path, tmp_path: Path) -> None:
    summary = train(folder, tmp_path / "one", algorithm)
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    train(folder, tmp_path / "two", algorithm)
    for name in ("metrics.jsonl", "policy.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert summary["steps"] == 60 and read_metrics(tmp_path / "one")[-1]["step"] == 60
    assert summary["metrics"]["test_preference_accuracy"] is not None


class Stop(Exception):
    pass


@pytest.mark.parametrize("algorithm", ["presa", "bc-safe-seg"])
@pytest.mark.parametrize("at", [5, 15, 35, 50])
def test_an_interrupted_run_continues_to_the_same_result(
    at: int, algorithm: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    changes = {"z_ref": "ema", "normalize_observations": True, "rate_after_bc": "flat"}
    settings = MonitorSettings(report_every=5, checkpoint_every=10)
    train(folder, whole, algorithm, settings, **changes)
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)

    def stop(line: dict) -> None:
        if line["step"] == at:
            raise Stop

    with pytest.raises(Stop):
        train(folder, broken, algorithm, settings, stop, **changes)
    assert not (broken / "policy.safetensors").exists()
    summary = train(folder, broken, algorithm, settings, **changes)
    assert summary["resumed_from"] == at // 10 * 10 and not summary["already_finished"]
    assert (whole / "policy.safetensors").read_bytes() == (broken / "policy.safetensors").read_bytes()
    assert read_metrics(whole) == read_metrics(broken)
    assert train(folder, broken, algorithm, settings, **changes)["already_finished"]


@pytest.mark.parametrize("algorithm", ["presa", "bc-safe-seg"])
@pytest.mark.parametrize("at", [1, 7, 20, 33, 60])
def test_a_signal_is_obeyed_after_a_checkpoint_at_any_step(at: int, algorithm: str, folder: Path, tmp_path: Path) -> None:
    """In cloning too, and between two reports, whose means are those of the run that was not interrupted."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    changes = {"z_ref": "ema", "normalize_observations": True, "rate_after_bc": "flat"}
    settings = MonitorSettings(report_every=10, checkpoint_every=1000)
    train(folder, whole, algorithm, settings, **changes)
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    before = signal.getsignal(signal.SIGINT)

    def stop(_: Path, done: int) -> None:
        if done == at:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(folder, broken, algorithm, settings, on_step=stop, **changes)
    assert signal.getsignal(signal.SIGINT) is before and not (broken / "policy.safetensors").exists()
    steps: list[int] = []
    summary = train(folder, broken, algorithm, settings, on_step=lambda _, done: steps.append(done), **changes)
    assert summary["resumed_from"] == at and [step for step in sorted(set(steps)) if step > at] == list(range(at + 1, 61))
    assert (whole / "policy.safetensors").read_bytes() == (broken / "policy.safetensors").read_bytes()
    assert read_metrics(whole) == read_metrics(broken)


def test_a_second_signal_is_obeyed_at_once_and_an_ignored_one_not_at_all() -> None:
    with pytest.raises(KeyboardInterrupt), deferred_signals() as asked:
        signal.raise_signal(signal.SIGINT)
        assert asked()
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the second one came too late")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with deferred_signals() as asked:
            signal.raise_signal(signal.SIGINT)
            assert not asked()
    finally:
        signal.signal(signal.SIGINT, before)


def test_cloning_reports_and_keeps_checkpoints_as_often_as_every_stage(folder: Path, tmp_path: Path) -> None:
    train(folder, tmp_path / "run", "presa", MonitorSettings(report_every=5, checkpoint_every=10))
    assert [line["step"] for line in read_metrics(tmp_path / "run")] == list(range(5, 61, 5))
    kept = sorted(path.stem for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert kept == [f"step-{step:09d}" for step in range(10, 61, 10)]


def test_a_metrics_line_that_was_cut_off_is_dropped(folder: Path, tmp_path: Path) -> None:
    train(folder, tmp_path / "run")
    with open(tmp_path / "run" / "metrics.jsonl", "a") as file:
        file.write('{"stage": "main", "st')
    assert read_metrics(tmp_path / "run")[-1]["step"] == 60


def test_rollouts_that_cannot_be_played_are_refused_before_training(folder: Path, tmp_path: Path) -> None:
    data = load_data(folder)
    data = replace(data, task=replace(data.task, env_id=None))
    with pytest.raises(InputError, match="names no simulator"):
        runs.train("presa", configure("presa", None, TINY), data, tmp_path / "run", settings=MonitorSettings(evaluate_every=10))
    assert not (tmp_path / "run").exists()


def test_cloning_is_done_once_and_shared(folder: Path, tmp_path: Path) -> None:
    train(folder, tmp_path / "one", "presa")
    (kept,) = (tmp_path / "cache" / "cloned").iterdir()
    before = kept.stat().st_mtime_ns
    train(folder, tmp_path / "two", "safety", eta=2.0)
    set_column(folder, "is_safe_0", [True] * 45)  # cloning ignores labels
    train(folder, tmp_path / "three", "preference")
    assert [path.stat().st_mtime_ns for path in (tmp_path / "cache" / "cloned").iterdir()] == [before]
    references = [(tmp_path / name / "reference.safetensors").read_bytes() for name in ("one", "two", "three")]
    assert references[0] == references[1] == references[2]
    cloned = [[line for line in read_metrics(tmp_path / name) if line["stage"] == "bc"] for name in ("one", "two")]
    assert cloned[0] == cloned[1] != []
    for change in ({"dropout": 0.2}, {"bc_steps": 21}, {"batch_size": 9}, {"normalize_observations": True}):
        train(folder, tmp_path / f"four-{next(iter(change))}", "presa", **change)
    assert len(list((tmp_path / "cache" / "cloned").iterdir())) == 5


def test_without_cloning_the_reference_is_the_first_policy(folder: Path, tmp_path: Path) -> None:
    train(folder, tmp_path / "run", "preference", bc_steps=0)
    tensors, _ = load_tensors(tmp_path / "run" / "reference.safetensors")
    start = initial_parameters(8, 2, (16, 16), 0)
    assert all(torch.equal(tensors[name], start[name]) for name in start)
    assert not (tmp_path / "cache" / "cloned").exists()


def test_a_folder_of_another_run_is_refused_and_overwritten_on_request(folder: Path, tmp_path: Path) -> None:
    train(folder, tmp_path / "run")
    with pytest.raises(InputError, match=r"another run \(configuration.eta is 0.1, not 0.2\)"):
        train(folder, tmp_path / "run", eta=0.2)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").touch()
    with pytest.raises(InputError, match="not a run of presa"):
        train(folder, tmp_path / "other")
    algorithm = configure("presa", None, TINY | {"eta": 0.2})
    runs.train("presa", algorithm, load_data(folder), tmp_path / "run", settings=OFTEN, overwrite=True)
    with pytest.raises(InputError, match="not a run of presa"):
        runs.train("presa", algorithm, load_data(folder), tmp_path / "other", settings=OFTEN, overwrite=True)
    assert (tmp_path / "other" / "letter.txt").exists()


def test_a_run_from_before_a_setting_was_there_goes_on_at_its_default(folder: Path, tmp_path: Path) -> None:
    train(folder, tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    config = json.loads(path.read_text())
    del config["configuration"]["alpha"]
    path.write_text(json.dumps(config))
    assert train(folder, tmp_path / "run")["already_finished"]
    with pytest.raises(InputError, match=r"another run \(configuration.alpha is None, not 0.5\)"):
        train(folder, tmp_path / "run", alpha=0.5)


def test_overwrite_deletes_nothing_but_runs(folder: Path, tmp_path: Path) -> None:
    for content in ('{"model_type": "bert"}', "[]", '{"format_version": 1, "algorithm": "presa", "data": {}}'):
        model = tmp_path / "model"
        model.mkdir(exist_ok=True)
        (model / "config.json").write_text(content)
        (model / "model.safetensors").touch()
        for overwrite in (True, False):
            with pytest.raises(InputError, match="not a run of") as caught:
                runs.train("presa", configure("presa", None, TINY), load_data(folder), model, overwrite=overwrite)
            assert "\n" not in str(caught.value)
        assert (model / "config.json").read_text() == content and (model / "model.safetensors").exists()


RUN = {"format_version": 1, "algorithm": "presa", "seed": 0, "cost_limit": 20.0, "task": {"name": "BallRun"}, "data": {}}


def test_a_start_that_failed_can_be_repeated(tmp_path: Path) -> None:
    config = {**RUN, "configuration": {"eta": math.nan}}
    with pytest.raises(ValueError):
        open_folder(tmp_path / "run", config)
    assert list((tmp_path / "run").iterdir()) == []
    config["configuration"] = {"eta": 1.0}
    assert open_folder(tmp_path / "run", config) is None and open_folder(tmp_path / "run", config) == 0


def test_watching_makes_another_run_only_where_it_chooses_the_policy(tmp_path: Path) -> None:
    def config(selection: str, every: int) -> dict:
        rest = {"configuration": {"selection": selection}, "watching": {"report_every": every}}
        return {**RUN, **rest}

    for selection in ("last", "best"):
        assert open_folder(tmp_path / selection, config(selection, 10)) is None
    assert open_folder(tmp_path / "last", config("last", 20)) == 0
    with pytest.raises(InputError, match=r"another run .watching.report_every is 10, not 20"):
        open_folder(tmp_path / "best", config("best", 20))


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(folder: Path) -> None:
    class Broken(Training):
        def loss(self, scores: torch.Tensor, batch: dict, state: dict) -> tuple:
            loss = scores.mean() * state["factor"]
            return loss, {}, {"factor": torch.where(state["count"] == 6, torch.nan, 1.0), "count": state["count"] + 1}

    data = load_data(folder)
    start = Snapshot(0, initial_parameters(8, 2, (4,), 0), {}, {"factor": torch.tensor(1.0), "count": torch.tensor(0)})
    examples = Examples(data.train.observations, data.train.actions, {}, 1)
    steps = []
    with pytest.raises(InputError, match="step 8 of stage main"):  # the eighth step is the first with the new factor
        for snapshot, _ in fit(Broken(12, 4, (4,), 0.0, 0.01), examples, start, 0, "main", 5):
            steps.append(snapshot.step)
    assert steps == [5]


def test_a_diverging_run_leaves_no_policy(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not finite at step"):
        train(folder, tmp_path / "run", "safety", learning_rate=1e38, rate_after_bc="flat", dropout=0.0)
    assert not (tmp_path / "run" / "policy.safetensors").exists()


def test_saturation_is_measured_and_warned_about(folder: Path) -> None:
    train_split = load_data(folder).train
    parameters = initial_parameters(8, 2, (4,), 0)
    parameters["bias_1"] = torch.tensor([9.0, 0.0])
    parameters["weight_1"] = parameters["weight_1"] * 0
    numbers = action_statistics(parameters, train_split)
    actions = train_split.actions.numpy()
    assert numbers["saturated"] == 0.5
    assert numbers["saturated_recorded"] == pytest.approx((np.abs(actions) > 0.99).mean())
    assert numbers["data_mse"] == pytest.approx(
        (((1 - actions[..., 0]) ** 2).mean() + (actions[..., 1] ** 2).mean()) / 2, rel=1e-4
    )
    fine = {"step": 1, "saturated": 0.5, "saturated_recorded": 0.0}
    bang_bang = {"step": 2, "saturated": 0.7, "saturated_recorded": 0.6}  # as the recordings do
    collapsed = {"step": 7000, "saturated": 0.75, "saturated_recorded": 0.38}
    assert [oversaturated(line) for line in (fine, bang_bang, collapsed)] == [False, False, True]
    assert metrics_warnings([fine, bang_bang]) == []
    assert "SATURATED: at step 7,000 the policy put 75%" in metrics_warnings([fine, collapsed, fine])[0]


def test_held_out_accuracy_by_hand() -> None:
    score = torch.tensor([[1.0, 2.0], [3.0, 1.0], [0.0, 5.0], [1.0, 1.0], [2.0, 0.0]])
    preference = torch.tensor([1.0, 1.0, math.nan, 0.0, 0.5])
    assert preference_accuracy(score, preference) == pytest.approx((1 + 0 + 0.5) / 3)
    assert math.isnan(preference_accuracy(score, torch.full((5,), 0.5)))


def test_held_out_numbers_are_of_the_test_split(folder: Path) -> None:
    data = load_data(folder)
    assert data.test is not None
    policy, reference = initial_parameters(8, 2, (4,), 1), initial_parameters(8, 2, (4,), 2)

    def scores(parameters: dict) -> np.ndarray:
        mean = mean_action(parameters, data.test.observations).numpy()
        return -((mean - np.clip(data.test.actions.numpy(), -1 + 1e-5, 1 - 1e-5)) ** 2).sum(-1).sum(-1)

    score, safe = scores(policy) - scores(reference), data.test.safe.numpy()
    agree = (score[:, 1] > score[:, 0]) == (data.test.preference.numpy() > 0.5)
    per_step = log_probability(mean_action(reference, data.test.observations), data.test.actions)
    numbers = held_out_accuracy(policy, data.test, per_step, 1.0)
    assert numbers["test_preference_accuracy"] == pytest.approx(agree.mean())
    assert numbers["test_safe_accuracy"] == pytest.approx((score > score.mean())[safe == 1].mean())
    assert numbers["test_unsafe_accuracy"] == pytest.approx((score <= score.mean())[safe == 0].mean())


def test_normalised_observations_are_folded_into_the_policy(folder: Path, tmp_path: Path) -> None:
    train(folder, tmp_path / "run", "bc-safe-seg", normalize_observations=True)
    data = load_data(folder)
    states, recorded = data.train.observations.flatten(0, -2), data.steps.observations  # every step that the pairs show, once
    shift, scale = recorded.mean(0), recorded.std(0)
    (checkpoint,) = (tmp_path / "run" / "checkpoints").glob("step-000000060.*")
    tensors, _ = load_tensors(checkpoint)
    parameters = {key.partition("/")[2]: value for key, value in tensors.items() if key.startswith("parameters/")}
    expected = mean_action(parameters, (states - shift) / scale)
    np.testing.assert_allclose(load(tmp_path / "run").act(states.numpy()), expected.numpy(), atol=1e-5)


def test_training_changes_none_of_its_data(folder: Path, tmp_path: Path) -> None:
    data = load_data(folder)
    tensors = [value for value in vars(data.train).values() if isinstance(value, torch.Tensor)]
    assert len(tensors) == 4
    copies = [tensor.clone() for tensor in tensors]
    for name in ("presa", "binary-alignment"):
        runs.train(name, configure(name, None, TINY | {"normalize_observations": True}), data, tmp_path / name, settings=OFTEN)
    assert all(torch.equal(before, after) for before, after in zip(copies, tensors, strict=True))


def test_preferences_of_a_known_policy_are_learnt(tmp_path: Path, ball_file: Path) -> None:
    """Labels that say "near a hidden policy is better and safe" lead towards that policy."""
    folder = write_dataset(tmp_path / "data", ball_file, pairs=400, test_fraction=0.0)
    data = load_data(folder)
    hidden = mean_action(initial_parameters(8, 2, (8,), 7), data.train.observations)
    distance = (hidden - data.train.actions).square().sum((-1, -2))
    labels = vars(data.train) | {
        "preference": (distance[:, 1] < distance[:, 0]).float(), "safe": (distance < distance.median()).float(),
    }  # fmt: skip
    data = type(data)(**{**vars(data), "train": type(data.train)(**labels)})
    settings = TINY | {"steps": 500, "bc_steps": 100, "rate_after_bc": "flat", "learning_rate": 1e-3, "dropout": 0.0}
    runs.train("presa", configure("presa", None, settings), data, tmp_path / "run", settings=MonitorSettings(report_every=100))
    lines = read_metrics(tmp_path / "run")
    assert lines[-1]["preference_loss"] < lines[1]["preference_loss"] - 0.03
    assert lines[-1]["p_safe"] > 0.6

    def gap(name: str) -> float:
        parameters, _ = load_tensors(tmp_path / "run" / f"{name}.safetensors")
        return float((mean_action(parameters, data.train.observations) - hidden).square().mean())

    assert gap("policy") < 0.8 * gap("reference")


def test_the_same_seed_gives_the_same_metrics_in_another_process(folder: Path, tmp_path: Path) -> None:
    train(folder, tmp_path / "here")
    words = ["--set", "hidden=16,16", "--set", "batch_size=8", "--set", "warm_up_steps=20", "--set", "learning_rate=0.01"]
    words += ["--steps", 60, "--bc-steps", 20, "--report-every", 10, "--checkpoint-every", 10, "--device", "cpu"]
    words += ["--out", tmp_path / "there", "--json"]
    done = presa("train", folder, *words, cwd=tmp_path, fresh=True, OMP_NUM_THREADS="1", PRESA_CACHE=str(tmp_path / "other"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["steps"] == 60
    for name in ("metrics.jsonl", "policy.safetensors", "config.json"):
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()
