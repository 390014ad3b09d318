"""Runs trained side by side: each as if it were alone, whatever happens to the others."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from feedback_cases import TINY, write_dataset  # noqa: E402
from one_run import fit  # noqa: E402

from presa.algorithms import ALGORITHMS, configure, find_algorithm  # noqa: E402
from presa.algorithms.base import Examples, Training  # noqa: E402
from presa.algorithms.cloning import Cloning  # noqa: E402
from presa.data.pairs import Data, load_data  # noqa: E402
from presa.fitting.fit import Snapshot, _Table, fit_stack, with_reference  # noqa: E402
from presa.networks.mlp import initial_parameters  # noqa: E402
from safefeedback.errors import InputError  # noqa: E402

SEEDS = (0, 1, 5)


@pytest.fixture
def datas(tmp_path: Path, ball_file: Path) -> list[Data]:
    """The same segments under labels of three limits."""
    data = load_data(write_dataset(tmp_path / "data", ball_file))
    other = (data.train.safe.roll(1, 0), 1 - data.train.safe)
    return [data, *(replace(data, train=replace(data.train, safe=safe)) for safe in other)]


def begin(algorithm: Training, data: Data, seed: int) -> tuple[Examples, Snapshot]:
    parameters = algorithm.initial_parameters(data, seed)
    examples = algorithm.examples(data)
    if algorithm.uses_reference:
        examples = with_reference(examples, algorithm.initial_parameters(data, seed + 100))
    return examples, Snapshot(0, parameters, {}, algorithm.state(examples))


@pytest.mark.parametrize(
    "name",
    ["cloning", *(n for n in ALGORITHMS if find_algorithm(n).stackable and n not in ("bc-all", "bc-safe", "trac"))],
)
def test_a_run_in_a_stack_is_the_run_alone(name: str, datas: list[Data]) -> None:
    torch.set_num_threads(1)
    tiny = TINY | {"steps": 100, "bc_steps": 0, "z_ref": "ema", "rate_after_bc": "flat", "learning_rate": 1e-3}
    longer = {"weighted-bc": 106, "trac-feedback": 103, "caps-feedback": 106}
    tiny |= {"steps": longer[name], "model_steps": 3} if name in longer else {}
    if name == "trac-feedback":  # a score of each segment, as its model would give
        datas = [replace(one, train=replace(one.train, score=one.train.observations.mean((-1, -2)))) for one in datas]
    if name == "caps-feedback":  # a reward and a cost of each step
        datas = [one.with_step_values(one.train.safe.mean() - one.steps.observations[:, :2].abs()) for one in datas]
        tiny["dropout"] = 0.0
    known = Cloning() if name == "cloning" else configure(name)
    settings = {key: value for key, value in tiny.items() if key in known.__dataclass_fields__}
    algorithm = replace(known, **settings)  # type: ignore[arg-type]
    examples, starts = zip(*(begin(algorithm, data, seed) for data, seed in zip(datas, SEEDS, strict=True)), strict=True)
    stacked = list(fit_stack(algorithm, examples, starts, SEEDS, "main", 1))
    for run, seed in enumerate(SEEDS):
        alone = list(fit(algorithm, examples[run], starts[run], seed, "main", 1))
        for at, first, second in ((0, 1e-5, 1e-5), (99, 1e-3, 1e-3)):
            outcome = stacked[at][run]
            assert not isinstance(outcome, InputError)
            for key, value in alone[at][0].parameters.items():
                torch.testing.assert_close(outcome[0].parameters[key], value, atol=second, rtol=0)
            for key, value in alone[at][0].moments.items():  # after one step, a tenth of the gradient, and its square
                torch.testing.assert_close(outcome[0].moments[key], value, atol=first / 10, rtol=0)
            assert outcome[1] == pytest.approx(alone[at][1], rel=1e-4, abs=1e-5, nan_ok=True)
        moved = alone[99][0].parameters["weight_0"] - starts[run].parameters["weight_0"]
        assert moved.abs().max() > 0.01
    different = [outcome[0].parameters["weight_0"] for outcome in stacked[99]]  # type: ignore[index]
    assert not torch.allclose(different[0], different[1], atol=1e-2)


@dataclass(frozen=True)
class FailsWhereTold(Training):
    """Least squares whose loss is NaN from the step in the state on."""

    def loss(self, log_probability: torch.Tensor, batch: dict, state: dict) -> tuple:
        loss = -log_probability.mean() * torch.where(state["left"] <= 0, torch.nan, 1.0)
        return loss, {}, {"left": state["left"] - 1}


def test_a_run_that_fails_harms_no_other(datas: list[Data]) -> None:
    algorithm = FailsWhereTold(steps=12, batch_size=4, hidden=(8,))
    examples = Examples(datas[0].train.observations, datas[0].train.actions, {}, 1)
    starts = [Snapshot(0, initial_parameters(8, 2, (8,), seed), {}, {"left": torch.tensor(left)}) for seed, left in
              zip(SEEDS, (99, 7, 99), strict=True)]  # fmt: skip
    reports = list(fit_stack(algorithm, [examples] * 3, starts, SEEDS, "main", 4))
    assert [[isinstance(outcome, InputError) for outcome in report] for report in reports] == [
        [False, False, False], [False, True, False], [False, True, False],
    ]  # fmt: skip
    assert "step 8 of stage main" in str(reports[1][1])
    for run in (0, 2):
        *_, (alone, numbers) = fit(algorithm, examples, starts[run], SEEDS[run], "main", 4)
        outcome = reports[-1][run]
        assert not isinstance(outcome, InputError) and outcome[1] == pytest.approx(numbers)
        for key, value in alone.parameters.items():
            torch.testing.assert_close(outcome[0].parameters[key], value, atol=1e-6, rtol=0)


def test_rows_of_runs_with_examples_of_different_number_and_width() -> None:
    """The second run's rows follow the three of the first; only widths are filled up."""
    one, other, index = torch.arange(3.0), torch.arange(10.0, 15.0), torch.tensor([[0, 2], [0, 4]])
    assert _Table([one, other]).rows(index).tolist() == [[0, 2], [10, 14]]
    wide = _Table([one[:, None], torch.stack([other, -other], -1)]).rows(index)
    assert wide.tolist() == [[[0, 0], [2, 0]], [[10, -10], [14, -14]]]


@pytest.mark.parametrize("name", ["trac-feedback", "caps-feedback", "cloning"])
def test_a_run_beside_one_of_another_task_is_the_run_alone(name: str, datas: list[Data]) -> None:
    """The first task has fewer observation and action dims, and fewer segments or steps to learn from."""
    data = replace(datas[0], train=replace(datas[0].train, score=datas[0].train.observations.mean((-1, -2))))
    part = {
        name: getattr(data.train, name)[:30] for name in ("preference", "safe", "score", "episode", "start", "episode_length")
    }
    narrow = replace(
        data.train, observations=data.train.observations[:30, ..., :5], actions=data.train.actions[:30, ..., :1], **part
    )
    less = replace(data.task, observation_dim=5, action_dim=1)
    both = [one.with_step_values(one.steps.observations[:, :2]) for one in (replace(data, train=narrow, task=less), data)]
    settings = {"steps": 40, "learning_rate": 1e-3, "bc_steps": 0, "rate_after_bc": "flat", "model_steps": 0}
    settings |= {"trac-feedback": {"steps": 43, "model_steps": 3}, "caps-feedback": {"steps": 46, "model_steps": 3}}.get(
        name, {}
    )
    known = Cloning() if name == "cloning" else configure(name)
    algorithm = replace(known, hidden=(16,), batch_size=4, **{k: v for k, v in settings.items() if hasattr(known, k)})
    examples, starts = zip(*(begin(algorithm, one, 0) for one in both), strict=True)
    assert len(examples[0]) < len(examples[1])
    (outcomes,) = fit_stack(algorithm, examples, starts, (0, 1), "main", 40)
    for run in (0, 1):
        ((alone, numbers),) = fit(algorithm, examples[run], starts[run], run, "main", 40)
        outcome = outcomes[run]
        assert not isinstance(outcome, InputError) and outcome[1] == pytest.approx(numbers, rel=1e-4)
        for key, value in alone.parameters.items():
            torch.testing.assert_close(outcome[0].parameters[key], value, atol=1e-4, rtol=0)
