"""What each algorithm trains on and minimises, and how configurations are made."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from feedback_cases import set_column, write_dataset  # noqa: E402

from presa import losses  # noqa: E402
from presa.algorithms import ALGORITHMS, PRESETS, configuration, configure, find_algorithm, parse  # noqa: E402
from presa.algorithms.base import Examples  # noqa: E402
from presa.algorithms.binary_alignment import good_segments  # noqa: E402
from presa.algorithms.unified_comparison import unified_preference  # noqa: E402
from presa.data.pairs import load_data  # noqa: E402
from presa.data.trajectories import find_episodes  # noqa: E402
from safefeedback.errors import InputError  # noqa: E402
from safefeedback.tasks import find_task  # noqa: E402

NAN = float("nan")
PREFERENCE = torch.tensor([1.0, 0.0, 0.5, 0.0])
SAFE = torch.tensor([[1.0, 1.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
BATCH = {"preference": PREFERENCE, "safe": SAFE, "reference": torch.zeros(4, 2, 1)}
SCORES = torch.tensor([[0.2, 0.9], [-0.4, 0.3], [1.0, -1.0], [0.5, 0.1]])[..., None]


def pairs(**labels: torch.Tensor) -> Examples:
    return Examples(torch.zeros(4, 2, 1, 8), torch.zeros(4, 2, 1, 2), labels, 1)


def test_a_bound_that_was_reached_is_the_bound_by_hand() -> None:
    """Two pairs, the second left out; z_ref 0, weights 1, scores 2, -1 | 1, 0 with labels safe, unsafe | safe, unsafe."""
    settings = {"delta_steps": 2, "z_ref": "none", "lambda_safe": 1.0, "lambda_unsafe": 1.0, "steps": 20, "bc_steps": 10}
    algorithm = configure("presa", None, {**settings, "nu_initial": 3.0, "nu_learning_rate": 0.5})
    score = torch.tensor([[2.0, -1.0], [1.0, 0.0]])
    safe = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    batch = {
        "preference": torch.tensor([0.0, 0.0]),
        "safe": safe,
        "reference": torch.zeros(2, 2, 1),
        "apart": torch.tensor([0.0, 1.0]),
    }
    state = algorithm.state(Examples(score[..., None], score[..., None], {"safe": safe}, 1))
    loss, info, after = algorithm.loss(score[..., None], batch, state)
    p = [1 / (1 + math.exp(-x)) for x in (2.0, 1.0, 1.0, 0.0)]
    assert loss.item() == pytest.approx((1 - p[0] + 1 - p[1]) / 2)  # the labels of the first pair alone
    assert after["reached"].tolist() == pytest.approx([0.01 * (p[2] + p[3]) / 2, 0.01])
    assert after["nu"].item() == 3.0 and info["delta"].item() == pytest.approx(0.95)
    _, _, after = algorithm.loss(score[..., None], batch, after)
    loss, info, end = algorithm.loss(score[..., None], batch, after)
    delta = (p[2] + p[3]) / 2
    violation = delta - sum(p) / 4
    assert info["delta"].item() == pytest.approx(delta) and end["nu"].item() == pytest.approx(max(0.0, 3 + 0.5 * violation))
    assert loss.item() == pytest.approx(info["preference_loss"].item() + 3 * violation)
    assert torch.equal(end["reached"], after["reached"])
    high = {**after, "reached": torch.tensor([0.99, 1.0])}
    assert algorithm.loss(score[..., None], batch, high)[1]["delta"].item() == pytest.approx(0.95)
    with pytest.raises(InputError, match="delta_steps must be fewer than the 10 steps after cloning"):
        configure("presa", None, {**settings, "delta_steps": 10})


def test_presa_minimises_eq_15_and_ascends_in_nu() -> None:
    algorithm = configure("presa", None, {"nu_initial": 2.0, "beta": 0.5, "eta": 0.1, "delta": 0.9})
    state = algorithm.state(pairs(safe=SAFE))
    loss, info, after = algorithm.loss(SCORES, BATCH, state)
    s, sigma = SCORES[..., 0].tolist(), lambda x: 1 / (1 + math.exp(-x))
    costs = [
        -math.log(sigma(0.2 * (b - a))) if y == 1 else -math.log(sigma(0.2 * (a - b)))
        for (a, b), y in zip(s, [1, 0, 0, 0], strict=True)
    ]
    costs[2] = (-math.log(sigma(0.4)) - math.log(sigma(-0.4))) / 2  # the tie
    psi = [[0.5 * x for x in row] for row in s]
    z_ref = sum(map(sum, psi)) / 8
    n_s, n_u = 6, 2
    weight = {1.0: 8 / (1.1 * n_s), 0.0: 0.1 * 8 / (1.1 * n_u)}
    labels = SAFE.tolist()
    terms = [
        weight[labels[i][k]] * (0.9 - sigma((2 * labels[i][k] - 1) * (psi[i][k] - z_ref))) for i in range(4) for k in range(2)
    ]
    violation = sum(terms) / 8
    assert loss.item() == pytest.approx(sum(costs) / 4 + 2 * violation)
    assert info["z_ref"].item() == pytest.approx(z_ref) and info["nu"].item() == 2
    assert after["nu"].item() == pytest.approx(2 + 0.005 * violation)
    assert state["nu"].item() == 2  # nothing was mutated


def test_safety_alone_is_eq_9_and_preference_alone_eq_4() -> None:
    safety = configure("safety")
    state = safety.state(pairs(safe=SAFE))
    p = losses.safety_probability(SCORES[..., 0], SAFE, SCORES.mean())
    expected = losses.weighted_mean(1 - p, SAFE, (state["lambda_safe"], state["lambda_unsafe"]), "all")
    assert safety.loss(SCORES, BATCH, state)[0].item() == pytest.approx(expected.item())
    preference = configure("preference")
    expected = losses.preference_loss(0.2 * SCORES[..., 0], PREFERENCE)
    assert preference.loss(SCORES, BATCH, {})[0].item() == pytest.approx(expected.item())


def test_lambda_is_kept_where_a_filter_dropped_pairs(tmp_path: Path, ball_file: Path) -> None:
    filters = ("drop-preferred-unsafe", "drop-both-unsafe")
    made = {"whole": (), "some": filters[:1], "both": filters[::-1]}
    data = {name: load_data(write_dataset(tmp_path / name, ball_file, filters=chosen)) for name, chosen in made.items()}
    whole = data["whole"].train.safe
    for name in ("some", "both"):
        left, lost = data[name].train.safe, data[name].filtered_out
        assert len(left) < len(whole) and lost[1] > 0
        counts = [int((left == label).sum()) for label in (1, 0)]
        assert [counts[0] + lost[0], counts[1] + lost[1]] == [int((whole == label).sum()) for label in (1, 0)]
        weights = {
            (counts, source): configure("safety", None, {"lambda_counts": counts}).state(
                configure("safety").examples(data[source])
            )
            for counts in ("labels", "before-filters")
            for source in ("whole", name)
        }
        ratios = {key: float(state["lambda_unsafe"] / state["lambda_safe"]) for key, state in weights.items()}
        kept = ratios["before-filters", name]
        assert kept == pytest.approx(ratios["labels", "whole"]) == pytest.approx(ratios["before-filters", "whole"])
        assert ratios["labels", name] > kept * 1.05  # fewer unsafe segments weigh more
    first = load_data(tmp_path / "some", pairs=5)
    assert first.filtered_out is None  # what the filter took from the first five is not known
    with pytest.raises(InputError, match="take all pairs"):
        configure("presa", None, {"lambda_counts": "before-filters"}).state(configure("presa").examples(first))


def test_weights_can_be_fixed_so_that_a_filter_and_lambda_are_told_apart() -> None:
    algorithm = configure("presa", None, {"lambda_safe": "2.5", "lambda_unsafe": "0.5"})
    state = algorithm.state(pairs(safe=SAFE))
    assert (state["lambda_safe"].item(), state["lambda_unsafe"].item()) == (2.5, 0.5)
    with pytest.raises(InputError, match="belong together"):
        configure("presa", None, {"lambda_safe": 2.5})


def test_binary_alignment_calls_good_what_is_safe_and_preferred() -> None:
    preference = torch.tensor([1.0, 0.0, 0.0, 0.5, NAN, NAN, 0.0])
    safe = torch.tensor([[1, 1], [0, 1], [1, 0], [1, 1], [1, 0], [NAN, 0], [NAN, NAN]], dtype=torch.float32)
    good = good_segments(preference, safe)
    expected = [[0, 1], [0, 0], [1, 0], [0, 0], [NAN, 0], [NAN, 0], [NAN, 0]]
    np.testing.assert_array_equal(good.numpy(), np.array(expected, np.float32))


def test_unified_comparison_puts_safety_first() -> None:
    safe = torch.tensor([[1, 0], [0, 1], [1, 1], [0, 0], [1, NAN], [1, 1]], dtype=torch.float32)
    preference = torch.tensor([1.0, 0.0, 1.0, 0.5, 0.0, NAN])
    expected = [0, 1, 1, 0.5, NAN, NAN]
    np.testing.assert_array_equal(unified_preference(preference, safe).numpy(), np.array(expected, np.float32))


def test_cloning_of_safe_segments_takes_exactly_those(tmp_path: Path, ball_file: Path) -> None:
    data = load_data(write_dataset(tmp_path / "data", ball_file))
    algorithm = configure("bc-safe-seg", settings={"cloning": "segments"})
    examples = algorithm.examples(data)
    safe = [(i, k) for i in range(len(data.train)) for k in range(2) if data.train.safe[i, k] == 1]
    assert len(examples) == len(safe) > 0 and examples.per_pair == 2
    for row, (i, k) in enumerate(safe):
        assert torch.equal(examples.observations[row], data.train.observations[i, k])
    assert algorithm.loss(torch.tensor([[-2.0, -4.0]]), {}, {})[0].item() == 3.0


def test_cloning_of_the_steps_of_safe_segments_takes_each_once(tmp_path: Path, ball_file: Path) -> None:
    data = load_data(write_dataset(tmp_path / "data", ball_file))
    examples = configure("bc-safe-seg").examples(data)
    train, shown = data.train, {}
    assert train.episode is not None and train.start is not None
    for i, k in np.argwhere(train.safe.numpy() == 1):
        for t in range(data.length):
            shown[int(train.episode[i, k]), int(train.start[i, k]) + t] = train.observations[i, k, t], train.actions[i, k, t]
    assert examples.per_pair == 2 * data.length and len(examples) == len(shown) < len(data.steps)
    for row, place in enumerate(sorted(shown)):
        assert torch.equal(examples.observations[row], shown[place][0])
        assert torch.equal(examples.actions[row], shown[place][1])


def test_cloning_of_episodes_knows_their_true_cost_and_leaves_out_held_out_ones(tmp_path: Path, ball_file: Path) -> None:
    data = load_data(write_dataset(tmp_path / "data", ball_file, cost_limit=12))
    episodes = find_episodes(data.task, data.identity["source_sha256"], ball_file)
    data = data.with_episodes(episodes)
    assert data.held_out and data.identity["trajectories_sha256"] == data.identity["source_sha256"]
    for name in ("bc-all", "bc-safe"):
        rows = []
        for e in range(12):
            begin, end = episodes.bounds[e], episodes.bounds[e + 1]
            if e not in data.held_out and (name == "bc-all" or episodes.costs[begin:end].sum() <= 12):
                rows += range(begin, end)
        examples = configure(name).examples(data)
        np.testing.assert_array_equal(examples.observations.numpy(), episodes.observations[rows])
        np.testing.assert_array_equal(examples.actions.numpy(), episodes.actions[rows])
        assert examples.per_pair == 16  # a batch has as many steps as the pairs of segments
    assert 0 < len(rows) < 1500


def test_held_out_episodes_are_those_of_the_datasets_own_file(tmp_path: Path, ball_file: Path) -> None:
    data = load_data(write_dataset(tmp_path / "data", ball_file))
    data = data.with_episodes(find_episodes(data.task, data.identity["source_sha256"], ball_file))
    assert len(configure("bc-all").spans(data)) == 12 - len(data.held_out) < 12  # type: ignore[attr-defined]
    other = replace(data, identity={**data.identity, "source_sha256": "0" * 64})
    with pytest.warns(UserWarning, match="not the file the dataset was cut from"):
        assert len(configure("bc-all").spans(other)) == 12  # type: ignore[attr-defined]


def test_the_source_is_found_by_its_fingerprint(tmp_path: Path, ball_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load_data(write_dataset(tmp_path / "data", ball_file))
    monkeypatch.setenv("DSRL_DATASET_DIR", str(tmp_path / "cache"))
    with pytest.raises(InputError, match="--trajectories"):
        find_episodes(data.task, data.identity["source_sha256"])
    (tmp_path / "cache").mkdir()
    cached = tmp_path / "cache" / str(data.task.file)
    cached.write_bytes(ball_file.read_bytes())
    assert len(find_episodes(data.task, data.identity["source_sha256"])) == 12
    with pytest.raises(InputError, match="--trajectories"):  # a file of that name with other content is not used
        find_episodes(data.task, "0" * 64)


def test_shipped_recordings_are_found_by_their_fingerprint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from safefeedback import sources
    from safefeedback.files import file_sha256

    file = Path(sources.__file__).parent / "recordings" / "BallRun.hdf5"
    if not file.is_file():
        pytest.skip("no recordings of BallRun are shipped")
    monkeypatch.setenv("DSRL_DATASET_DIR", str(tmp_path))
    episodes = find_episodes(find_task("BallRun"), file_sha256(file))
    assert episodes.source.fingerprint == file_sha256(file) and len(episodes) > 1


@pytest.mark.parametrize("label", [True, False])
def test_labels_of_one_kind_leave_eq_9_undefined(label: bool, tmp_path: Path, ball_file: Path) -> None:
    folder = write_dataset(tmp_path / "data", ball_file)
    for side in (0, 1):
        set_column(folder, f"is_safe_{side}", [label] * 45)
    data = load_data(folder)
    for name in ("presa", "safety"):
        with pytest.raises(InputError, match=f"no {'unsafe' if label else 'safe'} segment"):
            configure(name).examples(data)
    configure("preference").examples(data)
    if not label:
        with pytest.raises(InputError, match="no safe segment to clone"):
            configure("bc-safe-seg").examples(data)
        with pytest.raises(InputError, match="safe and preferred"):
            configure("binary-alignment").examples(data)


def test_presets_are_table_4() -> None:
    bullet, gym = (configure("presa", f"paper-{name}") for name in ("bullet", "safetygym"))
    table = {  # BulletGym, SafetyGym
        "steps": (100_000, 200_000), "bc_steps": (30_000, 60_000), "batch_size": (32, 96), "hidden": ((256, 256), (256, 256)),
        "dropout": (0.1, 0.25), "learning_rate": (1e-4, 1e-4), "alpha": (0.2, 0.2), "beta": (1.0, 0.2), "discount": (1.0, 1.0),
        "eta": (0.1, 2.0), "delta": (0.95, 0.9), "nu_learning_rate": (0.005, 0.0005),
    }  # fmt: skip
    for name, values in table.items():
        assert (getattr(bullet, name), getattr(gym, name)) == values, name
    assert set(PRESETS["paper-bullet"]) == set(PRESETS["paper-safetygym"]) == set(table)
    assert bullet == configure("presa")  # our defaults
    assert configure("bc-safe-seg", "paper-safetygym").dropout == 0.25


def test_every_open_choice_is_a_setting_with_the_documented_default() -> None:
    defaults = {
        "eta_direction": "unsafe-to-safe", "lambda_scale": "mean-one", "safety_average": "all", "z_ref": "batch",
        "nu_initial": 1.0, "nu_maximum": None,
        "delta_steps": 0, "rate_after_bc": "warm-up", "warm_up_steps": 10_000, "rate_factor": 0.1,
        "normalize_observations": False, "bias": 1.0, "selection": "last",
    }  # fmt: skip
    settings = configuration(configure("presa"))
    assert {name: settings[name] for name in defaults} == defaults


def test_the_rate_warms_up_to_a_tenth_or_stays() -> None:
    warm, flat = configure("presa"), configure("presa", None, {"rate_after_bc": "flat"})
    assert [warm.rate(step) for step in (0, 4_999, 9_999, 50_000)] == pytest.approx([1e-9, 5e-6, 1e-5, 1e-5])
    assert [flat.rate(step) for step in (0, 50_000)] == [1e-4, 1e-4]


def test_settings_are_read_and_bad_ones_refused() -> None:
    algorithm = configure(
        "presa", None, {"hidden": "64,32", "normalize_observations": "true", "nu_maximum": "none", "steps": "50000"}
    )
    assert (algorithm.hidden, algorithm.normalize_observations, algorithm.nu_maximum, algorithm.own_steps) == (
        (64, 32),
        True,
        None,
        35_000,  # of 50,000 steps cloning takes its usual three tenths
    )
    for settings, message in (
        ({"etas": "1"}, "no setting 'etas': did you mean eta?"),
        ({"zzz": "1"}, "no setting 'zzz': it has steps,"),
        ({"eta": "x"}, "eta must be a number"),
        ({"steps": "1.5"}, "steps must be a whole number"),
        ({"z_ref": "mean"}, "z_ref must be batch or ema or balanced or none"),
        ({"bc_steps": 100_000}, "bc_steps must lie between"),
        ({"dropout": 1.0}, "dropout must be"),
        ({"nu_initial": 3.0, "nu_maximum": 2.0}, "nu_initial must lie between 0 and nu_maximum = 2"),
    ):
        with pytest.raises(InputError, match=message):
            configure("presa", None, settings)
    with pytest.raises(InputError, match="no setting 'bc_steps'"):
        configure("bc-all", None, {"bc_steps": 10})
    with pytest.raises(InputError, match="no preset 'paper'"):
        configure("presa", "paper")
    with pytest.raises(InputError, match="did you mean presa"):
        find_algorithm("pressa")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("learning_rate", ["0", "-1", "nan", "inf"]),
        ("dropout", ["nan", "-0.1", "1"]),
        ("rate_factor", ["0", "-1", "inf"]),
        ("warm_up_steps", ["0", "-5"]),
        ("discount", ["0", "1.1", "nan"]),
        ("nu_learning_rate", ["-0.1", "nan"]),
        ("nu_initial", ["nan", "inf"]),
        ("nu_maximum", ["nan", "inf"]),
        ("z_ref_decay", ["-0.1", "1", "nan"]),
        ("lambda_safe", ["-1", "inf"]),
        ("lambda_unsafe", ["-1", "nan"]),
        ("alpha", ["0", "-1", "inf"]),
        ("beta", ["0", "-1", "nan"]),
        ("eta", ["0", "-1", "inf"]),
        ("bias", ["nan"]),
        ("delta", ["0", "1.01", "nan"]),
    ],
)
def test_settings_out_of_range_are_refused_in_one_line(name: str, values: list[str]) -> None:
    others = {"lambda_safe": "1", "lambda_unsafe": "1"} if name.startswith("lambda") else {}
    for value in values:
        with pytest.raises(InputError, match=f"^{name} must ") as caught:
            configure("presa", None, {**others, name: value})
        assert "\n" not in str(caught.value)
    if name == "alpha":
        with pytest.raises(InputError, match="alpha must be positive"):
            configure("preference", None, {"alpha": "0"})


def test_kinds_of_settings_are_read_from_text() -> None:
    optional: Any = Optional[float]  # noqa: UP045
    for text, kind, value in (
        ("0.5", optional, 0.5),
        ("none", optional, None),
        ("none", float | None, None),
        ("0.5,2", tuple[float, ...], (0.5, 2.0)),
        ("3", tuple[int, ...], (3,)),
    ):
        assert parse("x", text, kind) == value
    for text, kind, message in (
        ("a", optional, "x must be a number"),
        ("0.5,a", tuple[float, ...], "x must be numbers with commas"),
        ("0.5", tuple[int, ...], "x must be whole numbers with commas"),
        ("1", dict[str, int], "cannot be given as text"),
        ("1", list, "cannot be given as text"),
        ("1,2", tuple, "cannot be given as text"),
    ):
        with pytest.raises(InputError, match=message):
            parse("x", text, kind)


def test_settings_at_their_bounds_are_taken() -> None:
    edges = {"discount": "1", "nu_learning_rate": "0", "z_ref_decay": "0", "lambda_safe": "0", "lambda_unsafe": "0"}
    configure("presa", None, {**edges, "delta": "1", "warm_up_steps": "1", "dropout": "0"})


def test_every_algorithm_is_a_frozen_dataclass_of_documented_settings() -> None:
    for algorithm in map(find_algorithm, ALGORITHMS):
        with pytest.raises(AttributeError):
            algorithm().steps = 1  # type: ignore[misc]
        documented = "".join(base.__doc__ or "" for base in algorithm.__mro__)
        assert all(field.name in documented for field in fields(algorithm))


OWN = """
from dataclasses import dataclass
from presa.algorithms.cloning import Cloning

@dataclass(frozen=True)
class Mine(Cloning):
    scale: float = 3.0

    def loss(self, log_probability, batch, state):
        loss = -self.scale * log_probability.mean()
        return loss, {"mine": loss.detach()}, state

nothing = 3
"""


def test_an_algorithm_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_algorithms.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    mine = configure("my_algorithms:Mine", None, {"scale": "2"})
    assert mine.loss(torch.tensor([-1.0]), {}, {})[0].item() == 2
    for name, message in (
        ("my_algorithms:nothing", "not an algorithm"),
        ("my_algorithms:Other", "has no 'Other'"),
        ("no_such:X", "imported"),
        (":X", "package.module:name"),
        (".a:X", "package.module:name"),
        ("my_algorithms:", "package.module:name"),
    ):
        with pytest.raises(InputError, match=message):
            find_algorithm(name)
    (tmp_path / "my_broken_algorithms.py").write_text("import math\nmath.no_such_function\n")
    with pytest.raises(InputError, match=r"no_such_function' \(my_broken_algorithms.py, line 2\)"):  # a mistake in the module
        find_algorithm("my_broken_algorithms:Mine")
