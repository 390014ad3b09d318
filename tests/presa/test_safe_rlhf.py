"""Safe-RLHF: its losses and models, what it relabels, what it says about the oracle, and that runs resume."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from feedback_cases import write_dataset  # noqa: E402

from presa.algorithms import configure  # noqa: E402
from presa.algorithms.safe_rlhf.step_models import (  # noqa: E402
    BinaryCostModel,
    ModelExamples,
    RewardModel,
    correlation,
    costlier_segment,
    step_inputs,
)
from presa.cli import main  # noqa: E402
from presa.data.pairs import Data, load_data  # noqa: E402
from presa.data.trajectories import find_episodes  # noqa: E402
from presa.losses import cost_model_loss, preference_loss  # noqa: E402
from presa.rollouts.policy import load  # noqa: E402
from presa.runs import run as runs  # noqa: E402
from presa.runs.records import MonitorSettings, read_metrics  # noqa: E402
from presa.tensors import load_tensors  # noqa: E402
from safefeedback import read_oracle  # noqa: E402
from safefeedback.errors import InputError  # noqa: E402

SMALL = {"steps": 20, "batch_size": 4, "hidden": (16,), "heads": 2, "context": 3, "model_steps": 5, "model_hidden": (8,)}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def folder(tmp_path: Path, ball_file: Path) -> Path:
    return write_dataset(tmp_path / "data", ball_file)


def read(folder: Path, recordings: Path, oracle: bool = True) -> Data:
    data = load_data(folder, oracle=oracle)
    return data.with_episodes(find_episodes(data.task, "", recordings))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def trained_by(model: RewardModel, parameters: dict, examples: ModelExamples, index: torch.Tensor) -> torch.Tensor:
    """The loss of a batch, as the loop sees it."""
    stacked = {name: value[None] for name, value in parameters.items()}
    observations, actions = examples.observations[index][None], examples.actions[index][None]
    scores = model.network(stacked, actions[..., 0].numel()).scores(stacked, observations, actions)
    labels = {name: label[index] for name, label in examples.labels.items()}
    return model.loss(scores[0], labels, model.state(examples))[0]


def test_the_cost_loss_by_hand() -> None:
    cost = torch.tensor([[3.0, 7.0], [5.0, 1.0], [2.0, 2.5]])
    safe = torch.tensor([[1.0, 0.0], [0.0, math.nan], [1.0, 1.0]])
    worse = torch.tensor([1.0, 0.0, 0.5])
    labels = -math.log(sigmoid(1)) - math.log(sigmoid(3)) - math.log(sigmoid(1)) - math.log(sigmoid(2)) - math.log(sigmoid(1.5))
    order = -2 * math.log(sigmoid(4)) - (math.log(sigmoid(0.5)) + math.log(sigmoid(-0.5))) / 2
    assert cost_model_loss(cost, safe, 4.0).item() == pytest.approx(labels / 3)
    assert cost_model_loss(cost, safe, 4.0, worse).item() == pytest.approx((labels + order) / 3)


def test_models_by_hand(folder: Path, ball_file: Path) -> None:
    data = read(folder, ball_file)
    model = BinaryCostModel(hidden=(8,))
    examples = model.examples(data)
    assert data.segment_limit == pytest.approx(20 * 8 / 200) and set(examples.labels) == {"safe"}
    parameters = model.initial_parameters(data, 0)
    state, action = examples.observations[0, 1, 2], examples.actions[0, 1, 2].clamp(-1, 1)
    hidden = (torch.cat([state, action]) @ parameters["weight_0"] + parameters["bias_0"]).relu()
    expected = (hidden @ parameters["weight_1"] + parameters["bias_1"])[0]
    assert RewardModel().values(parameters, step_inputs(examples.observations, examples.actions))[
        0, 1, 2
    ].item() == pytest.approx(expected.item(), abs=1e-5)
    costs = model.values(parameters, step_inputs(examples.observations, examples.actions))
    assert costs[0, 1, 2].item() == pytest.approx(math.log1p(math.exp(expected.item())), abs=1e-5)
    index = torch.tensor([3, 0])
    loss = trained_by(model, parameters, examples, index)
    assert loss.item() == pytest.approx(cost_model_loss(costs[index].sum(-1), data.train.safe[index], 0.8).item())
    reward = RewardModel(hidden=(8,))
    loss = trained_by(reward, parameters, reward.examples(data), index)
    score = RewardModel().values(parameters, step_inputs(examples.observations, examples.actions)).sum(-1)
    assert loss.item() == pytest.approx(preference_loss(score[index], data.train.preference[index]).item())


def test_models_in_bf16_lead_where_those_in_fp32_do(folder: Path, ball_file: Path) -> None:
    data = read(folder, ball_file)
    gradients = []
    for precision in ("fp32", "bf16"):
        model = BinaryCostModel(hidden=(8, 8), precision=precision)
        examples = model.examples(data)
        parameters = {name: value.requires_grad_() for name, value in model.initial_parameters(data, 0).items()}
        loss = trained_by(model, parameters, examples, torch.arange(20))
        gradients.append([loss, *torch.autograd.grad(loss, list(parameters.values()))])
    for exact, rounded in zip(*gradients, strict=True):
        assert rounded.dtype == torch.float32
        assert 0 < (rounded - exact).norm() < 0.03 * exact.norm()


def test_models_are_judged_by_held_out_answers_and_true_steps(folder: Path, ball_file: Path) -> None:
    data = read(folder, ball_file)
    model = BinaryCostModel(hidden=(8,))
    examples, parameters = model.examples(data), model.initial_parameters(data, 0)
    numbers = model.report(parameters, examples, data.train, data.test, None)
    episodes = data.episodes
    rows = np.concatenate([np.arange(*episodes.bounds[e : e + 2]) for e in sorted(data.held_out)])
    inputs = step_inputs(torch.from_numpy(episodes.observations[rows]), torch.from_numpy(episodes.actions[rows]))
    values = model.values(parameters, inputs).numpy()
    assert numbers["true_correlation"] == pytest.approx(np.corrcoef(values, episodes.costs[rows])[0, 1], abs=1e-5)
    said = model.values(parameters, step_inputs(data.test.observations, data.test.actions)).sum(-1).numpy() <= 0.8
    assert numbers["test_safety_accuracy"] == pytest.approx((said == (data.test.safe.numpy() == 1)).mean())
    assert correlation(torch.tensor([1.0, 2, 3]), torch.tensor([2.0, 4, 6])) == pytest.approx(1)
    assert costlier_segment(torch.tensor([[1.0, 2.0], [2.0, 1.0], [1.0, 1.0]])).tolist() == [1, 0, 0.5]


def test_only_the_oracle_knows_costs(folder: Path, ball_file: Path) -> None:
    told = read(folder, ball_file)
    np.testing.assert_allclose(told.train.costs.numpy(), read_oracle(folder).costs)
    np.testing.assert_allclose(told.test.costs.numpy(), read_oracle(folder, split="test").costs)
    assert told.identity["oracle"] == "true costs of the segments"
    untold = read(folder, ball_file, oracle=False)
    assert untold.train.costs is None and "oracle" not in untold.identity
    model = configure("safe-rlhf-cdt", None, SMALL).preparations()["cost"]
    assert set(model.examples(told).labels) == {"safe", "costlier"}
    with pytest.raises(InputError, match="oracle"):
        model.examples(untold)
    binary = configure("safe-rlhf-cdt-binary", None, SMALL)
    assert set(binary.preparations()["cost"].examples(untold).labels) == {"safe"}
    assert not binary.needs_oracle and not binary.notes


def test_trajectories_are_relabelled_and_the_truth_is_not_learnt_from(folder: Path, ball_file: Path) -> None:
    data = read(folder, ball_file, oracle=False)
    algorithm = configure("safe-rlhf-cdt-binary", None, SMALL)
    results = {name: model.initial_parameters(data, 1) for name, model in algorithm.preparations().items()}
    relabelled = algorithm.prepared(data, results).episodes
    raw = RewardModel().values(
        results["cost"], step_inputs(torch.from_numpy(data.episodes.observations), torch.from_numpy(data.episodes.actions))
    )
    np.testing.assert_allclose(relabelled.costs, np.log1p(np.exp(raw.numpy())), rtol=1e-4)
    assert (relabelled.costs > 0).all() and not np.allclose(relabelled.rewards, data.episodes.rewards)
    lying = replace(data, episodes=replace(data.episodes, rewards=data.episodes.rewards + 5, costs=data.episodes.costs * 3))
    one, other = (algorithm.examples(algorithm.prepared(each, results)) for each in (data, lying))
    assert torch.equal(one.to_go, other.to_go) and torch.equal(one.end, other.end) and one.targets == other.targets


def train(data: Data, out: Path, name: str, on_report: Any = lambda line: None) -> dict[str, Any]:
    algorithm = configure(name, None, SMALL)
    return runs.train(name, algorithm, data, out, 0, MonitorSettings(report_every=2, checkpoint_every=2), on_report)


class Stop(Exception):
    pass


@pytest.mark.parametrize("at", [4, 5, 8, 14])
def test_a_run_continues_in_whatever_stage_it_was_interrupted(at: int, folder: Path, ball_file: Path, tmp_path: Path) -> None:
    data = read(folder, ball_file)
    train(data, tmp_path / "whole", "safe-rlhf-cdt")
    lines = read_metrics(tmp_path / "whole")
    assert [line["stage"] for line in lines] == ["reward"] * 3 + ["cost"] * 3 + ["main"] * 5
    assert [line["step"] for line in lines] == [2, 4, 5, 7, 9, 10, 12, 14, 16, 18, 20]

    def stop(line: dict[str, Any]) -> None:
        if line["step"] >= at:
            raise Stop

    with pytest.raises(Stop):
        train(data, tmp_path / "broken", "safe-rlhf-cdt", stop)
    train(data, tmp_path / "broken", "safe-rlhf-cdt")
    for name in ("policy.safetensors", "metrics.jsonl", "config.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "broken" / name).read_bytes()


def test_every_result_says_where_cost_preferences_come_from(
    folder: Path, ball_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(
        "presa.runs.card.draw_learning_curve", lambda *_: False
    )  # a picture is of no use here and takes seconds
    words = [f"--set={name}={','.join(map(str, v)) if isinstance(v, tuple) else v}" for name, v in SMALL.items()]
    given = ["--trajectories", ball_file, *words, "--out", tmp_path / "run"]
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in ["train", folder, "--algorithm", "safe-rlhf-cdt", *given]])
    assert not caught.value.code
    assert "note: The cost preferences it learnt from come from the oracle" in capsys.readouterr().out
    run = tmp_path / "run"
    config, card = json.loads((run / "config.json").read_text()), (run / "README.md").read_text()
    assert "come from the oracle" in config["notes"][0] and config["data"]["oracle"] == "true costs of the segments"
    assert "come from the oracle" in card and "Model of cost, last report" in card and "true_correlation" in card
    policy = load(run)
    assert "come from the oracle" in policy.facts["notes"][0]
    # it sums its own models' costs, and aims at the limit and the relabelled episodes' quantile
    cost, _ = load_tensors(run / "cost.safetensors")
    state = np.ones((1, 8), np.float32)
    action = policy.act(state)
    said = np.logaddexp(0, RewardModel().values(cost, step_inputs(torch.from_numpy(state), torch.from_numpy(action))).numpy())
    policy.observe(np.array([100.0]), np.array([100.0]))
    assert policy.to_go[0, 1] == pytest.approx(20 - said[0], abs=1e-5)
