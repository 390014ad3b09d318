"""Teachers, annotators, consensus and samplers: hand-computed answers, and properties that all must have."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safefeedback.errors import InputError
from safefeedback.feedback.annotators import ANNOTATORS, Boundary, Drift, Panel, Rates, Threshold
from safefeedback.feedback.consensus import dawid_skene, majority
from safefeedback.feedback.labels import prefer_by_return, window_sum
from safefeedback.feedback.recipe import Recipe
from safefeedback.feedback.sampling import SAMPLERS, sample
from safefeedback.feedback.teachers import TEACHERS, Teacher, speeds
from safefeedback.feedback.variants import canonical, parse
from safefeedback.tasks import tasks
from safefeedback.types import Episodes, Source

NAN = float("nan")
COUNT = 4000
returns_of = st.integers(0, 2**31).map(lambda seed: np.random.default_rng(seed).normal(5, 3, (COUNT, 2)).round(1))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def within(count: int, rate: float, total: int) -> bool:
    """Whether a count lies within five standard deviations of what a rate would give."""
    return abs(count - rate * total) <= 5 * math.sqrt(total * rate * (1 - rate)) + 1e-9


@settings(max_examples=10, deadline=None)
@given(returns_of, st.sampled_from(list(TEACHERS)), st.integers(0, 1000))
def test_any_teacher_repeats_keeps_ties_and_answers_in_range(returns: np.ndarray, name: str, seed: int):
    first, marks, facts = TEACHERS[name](returns, returns, rng(seed))
    again, _, _ = TEACHERS[name](returns, returns, rng(seed))
    np.testing.assert_array_equal(first, again)
    tie = returns[:, 0] == returns[:, 1]
    assert np.isin(first[~np.isnan(first)], (0, 0.5, 1)).all() and (np.isnan(first[tie]) | (first[tie] == 0.5)).all()
    assert np.isnan(first).sum() == marks["preference_skipped"].sum() == facts["skipped"]
    few, _, _ = Teacher(beta=1, eps_mistake=0.3, unit="reward")(returns[:100], returns[:100], rng(seed))
    many, _, _ = Teacher(beta=1, eps_mistake=0.3, unit="reward")(returns, returns, rng(seed))
    np.testing.assert_array_equal(few, many[:100])


@settings(max_examples=10, deadline=None)
@given(returns_of, st.floats(0, 1), st.integers(0, 1000))
def test_mistakes_come_at_their_rate(returns: np.ndarray, rate: float, seed: int):
    truth = prefer_by_return(returns)
    preference, marks, _ = Teacher(eps_mistake=rate)(returns, returns, rng(seed))
    wrong = preference != truth
    np.testing.assert_array_equal(wrong, marks["preference_mistaken"])
    assert within(int(wrong.sum()), rate, int((truth != 0.5).sum()))
    np.testing.assert_array_equal(Teacher(eps_mistake=0)(returns, returns, rng(seed))[0], truth)


def test_boltzmann_is_measured_in_the_datasets_own_differences():
    returns = np.tile([[0.0, 300.0]], (20_000, 1))  # every difference is the root mean square: P = sigmoid(beta)
    preference, marks, facts = Teacher(beta=2.0)(returns, returns, rng())
    assert facts["scale"] == 300.0
    assert marks["preference_probability"][0] == np.float32(round(1 / (1 + math.exp(-2)), 6))
    assert within(int(preference.sum()), 1 / (1 + math.exp(-2)), 20_000)
    raw, _, _ = Teacher(beta=2.0, unit="reward")(returns, returns, rng())
    assert (raw == 1).all()


def test_skip_and_equal_by_hand():
    returns = np.array([[0.0, 1.0], [9.0, 9.1], [2.0, 4.0], [20.0, 10.0]])  # mean 6.8875, in B-Pref's units
    preference, marks, _ = Teacher(eps_skip=0.2, eps_equal=0.1, unit="reward")(returns, returns, rng())
    np.testing.assert_array_equal(preference, [NAN, 0.5, 1.0, 0.0])  # 1 < 0.2 * 6.8875; 0.1 < 0.1 * 6.8875
    assert marks["preference_equal"].tolist() == [False, True, False, False]
    with pytest.raises(InputError, match=r"mean return of a segment is -6\.8875"):
        Teacher(eps_equal=0.1, unit="reward")(-returns, -returns, rng())
    shifted, _, _ = Teacher(eps_skip=0.5, eps_equal=0.1)(returns, returns, rng())
    moved, _, _ = Teacher(eps_skip=0.5, eps_equal=0.1)(3 * returns - 700, 3 * returns - 700, rng())
    np.testing.assert_array_equal(shifted, moved)  # the dataset's own units do not depend on the reward's


def test_a_myopic_sum_weighs_the_last_step_most():
    assert window_sum(np.array([1.0, 10.0, 100.0]), np.array([0]), 3, 0.5).tolist() == [100 + 5 + 0.25]


@settings(max_examples=10, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 1000))
def test_misses_and_false_alarms_come_at_their_rates(miss: float, false_alarm: float, seed: int):
    costs = rng(seed).integers(0, 20, (COUNT, 2)).astype(float)
    clean = (costs <= 10).astype(np.float32)
    labels, _ = Rates(miss, false_alarm)(clean, costs, 10, rng(seed))
    for truth, rate in ((0, miss), (1, false_alarm)):
        of_kind = clean == truth
        assert within(int((labels[of_kind] != truth).sum()), rate, int(of_kind.sum()))
    np.testing.assert_array_equal(Rates(0, 0)(clean, costs, 10, rng(seed))[0], clean)
    np.testing.assert_array_equal(Boundary(0)(clean, costs, 10, rng(seed))[0], clean)


def test_errors_near_the_limit_follow_the_probit():
    costs = np.repeat([[10.0, 13.0]], 20_000, axis=0)
    labels, marks = Boundary(1.5)((costs <= 10).astype(np.float32), costs, 10, rng())
    assert marks["is_safe_error_probability"][0].tolist() == pytest.approx([0.5, 0.02275], abs=1e-5)  # Phi(0), Phi(-2)
    assert within(int((labels[:, 0] == 0).sum()), 0.5, 20_000) and within(int((labels[:, 1] == 1).sum()), 0.02275, 20_000)


def test_the_line_drawn_elsewhere_by_hand():
    costs = np.array([[0.0, 1.0], [2.0, 2.1], [4.0, 8.1]])
    clean = (costs <= 4).astype(np.float32)
    said = {name: ANNOTATORS[name](clean, costs, 4.0, rng())[0].tolist() for name in ("any-violation", "strict", "lenient")}
    assert said == {
        "any-violation": [[1, 0], [0, 0], [0, 0]],
        "strict": [[1, 1], [1, 0], [0, 0]],
        "lenient": [[1, 1], [1, 1], [1, 0]],
    }
    assert Threshold(1.0)(clean, costs, 4.0, rng())[0].tolist() == clean.tolist()


def test_a_line_that_drifts_by_hand():
    """From 1 to 0.5 of the limit over four pairs, and then no further: 4, 3.5, 3, 2.5, 2, 2."""
    costs = np.tile([[2.0, 3.2]], (6, 1))
    labels, _ = Drift(over=4)(np.ones((6, 2), np.float32), costs, 4.0, rng())
    assert labels.tolist() == [[1, 1], [1, 1], [1, 0], [1, 0], [1, 0], [1, 0]]
    few, _ = Drift(over=4)(np.ones((3, 2), np.float32), costs[:3], 4.0, rng())
    assert few.tolist() == labels[:3].tolist()
    assert Drift(end=0.0, over=1)(np.ones((6, 2), np.float32), costs, 4.0, rng())[0][1:].sum() == 0


def test_halo_prefers_the_safe_side_at_its_rate_and_a_tie_stays_one():
    returns = np.tile([[1.0, 2.0], [1.0, 2.0], [1.0, 1.0]], (4000, 1))
    safe = np.tile(np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 0.0]], np.float32), (4000, 1))
    preference, marks, _ = Teacher(halo=0.25)(returns, returns, rng(), safe)
    kinds = preference.reshape(-1, 3)
    assert (kinds[:, 1] == 1).all() and (kinds[:, 2] == 0.5).all() and within(int((kinds[:, 0] == 0).sum()), 0.25, 4000)
    np.testing.assert_array_equal(marks["preference_halo"].reshape(-1, 3)[:, 0], kinds[:, 0] == 0)
    few, _, _ = Teacher(halo=0.25)(returns[:9], returns[:9], rng(), safe[:9])
    np.testing.assert_array_equal(few, preference[:9])
    always, _, _ = Teacher(halo=1.0, beta=1.0)(returns, returns, rng(), safe)
    assert (always.reshape(-1, 3)[:, 0] == 0).all()


def test_speed_is_how_far_observations_move_by_hand():
    """Two episodes; the dimensions' largest values are 1 and 10; nothing moves at a first step."""
    seen = np.array([[0, 0], [3, 4], [3, 4], [0, 10], [0, 0]], np.float32) / np.array([3, 1], np.float32)
    nothing = np.zeros(5)
    actions, bounds = np.zeros((5, 2), np.float32), np.array([0, 3, 5])
    episodes = Episodes(tasks()["BallRun"], seen, actions, nothing, nothing, bounds, Source("file", "", ""))
    assert speeds(episodes).tolist() == pytest.approx([0, math.hypot(1, 0.4), 0, 0, 1])
    assert Teacher(score="speed").needs_steps and not Teacher(score="speed").needs_advantages


def test_majority_by_hand():
    votes = np.array([[1, 1, 0], [0, 1, NAN], [NAN, NAN, NAN], [0.5, 0.5, 1]], np.float32)
    np.testing.assert_array_equal(majority(votes), [1, NAN, NAN, 0.5])  # a split vote is no answer


def test_dawid_skene_learns_whom_to_believe():
    truth = rng(1).integers(0, 2, 3000)
    error = np.array([0.05, 0.45, 0.45])  # one expert, two who guess
    votes = np.where(rng(2).random((3000, 3)) < error, 1 - truth[:, None], truth[:, None]).astype(np.float32)
    by_count, by_trust = (votes_of(votes) == truth for votes_of in (majority, dawid_skene))
    assert by_count.mean() < 0.8 < 0.93 < by_trust.mean()


def test_a_panel_keeps_every_vote():
    clean = np.ones((50, 2), np.float32)
    labels, marks = Panel(miss=(0, 0, 0), false_alarm=(0, 0, 1))(clean, clean, 1, rng())
    assert marks["is_safe_votes"].shape == (50, 2, 3) and (marks["is_safe_votes"] == [1, 1, 0]).all() and (labels == 1).all()
    split, _ = Panel(miss=(0, 0), false_alarm=(0, 1))(clean, clean, 1, rng())
    assert np.isnan(split).all()


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("boltzmann", "boltzmann"),
        ("boltzmann:beta=1", "boltzmann"),
        ("boltzmann:eps_skip=.2,beta=2.0", "boltzmann:beta=2,eps_skip=0.2"),
        ("myopic:gamma=0.95", "myopic:gamma=0.95"),
    ],
)
def test_a_choice_is_written_in_one_way(text: str, written: str):
    assert canonical(text, TEACHERS, "--teacher") == written
    assert parse(written, TEACHERS, "--teacher") == parse(text, TEACHERS, "--teacher")


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("teacher", "kind", "--teacher has no 'kind': choose from oracle, boltzmann"),
        ("teacher", "halo:halo=2", r"--teacher halo: halo must lie in \[0, 1\], not 2"),
        ("safety_noise", "lenient:factor=-1", "lenient: factor must be 0 or a positive share of the limit, not -1"),
        ("safety_noise", "drift:over=0", "over must be at least 1 pair, not 0"),
        ("teacher", "boltzmann:beta", "takes settings as name=value, not 'beta'"),
        ("teacher", "boltzmann:beta=x", "beta must be a number, not 'x'"),
        ("teacher", "boltzmann:beta=nan", "beta must be a number, not 'nan'"),
        ("teacher", "boltzmann:beta=-1", "beta must be 0 or more"),
        ("teacher", "boltzmann:beta=1,beta=2", "sets beta twice"),
        ("teacher", "regret", "--teacher regret and --advantages FILE belong together"),
        ("safety_noise", "rates:miss=2", r"miss must lie in \[0, 1\], not 2"),
        ("safety_noise", "panel:miss=0.1", "need a rate for each annotator, not 1 and 3"),
        ("safety_noise", "panel:consensus=oracle", "consensus must be majority or dawid-skene"),
        ("sampler", "stratified:safe=1.5", r"safe must lie in \[0, 1\]"),
        ("sampler", "cover:bins=1.5", "bins must be a whole number"),
    ],
)
def test_refused(option: str, text: str, message: str):
    with pytest.raises(InputError, match=message):
        Recipe(tasks()["BallCircle"], pairs=10, **{option: text})


def recordings() -> Episodes:
    """Forty episodes of 50 steps; windows of 10 steps cost from 0 to 10; every fourth episode starts in the same state."""
    random = rng(3)
    costs = np.repeat(random.random(200) < 0.15, 10).astype(float)
    observations = random.normal(size=(2000, 8)).astype(np.float32)
    observations[::200] = 0
    bounds = np.arange(41) * 50
    data = (observations, np.zeros((2000, 2), np.float32), random.normal(size=2000), costs)
    return Episodes(tasks()["BallCircle"], *data, bounds, Source("file", "", ""))


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "same-start"])
def test_any_sampler_draws_different_pairs_in_an_order_of_its_own(sampler: str):
    data = recordings()
    few, many = (sample(data, count, 10, 5, 0.25, sampler, 2.0) for count in (100, 1000))
    np.testing.assert_array_equal(few.episode, many.episode[:100])
    np.testing.assert_array_equal(few.start, many.start[:100])
    keys = {tuple(sorted(map(tuple, row))) for row in np.stack([many.episode, many.start], 2).tolist()}
    assert len(keys) == 1000 and (many.start + 10 <= 50).all()


def test_what_samplers_promise():
    data = recordings()

    def costs(sampler: str) -> np.ndarray:
        return window_sum(data.costs, sample(data, 3000, 10, 0, 0, sampler, 2.0).rows(data), 10)

    assert within(int((costs("stratified:safe=0.3") <= 2).sum()), 0.3, 6000)
    near, any_ = costs("near-limit:scale=0.5"), costs("windows")  # at cost 2 the weight is 1, at cost 0 it is 1 / 17
    odds = ((near == 2).sum() / (near == 0).sum()) / ((any_ == 2).sum() / (any_ == 0).sum())
    assert 11 < odds < 25
    spread = np.bincount(np.minimum(costs("cover:bins=5").astype(int) // 2, 4).ravel(), minlength=5) / 6000
    assert spread.min() > 0.1  # every fifth of the range of costs
    same = sample(data, 40, 10, 0, 0, "same-start")
    rows = same.rows(data)
    assert (data.observations[rows[:, 0]] == data.observations[rows[:, 1]]).all() and (rows[:, 0] != rows[:, 1]).all()
    with pytest.raises(InputError, match="only 45 different pairs"):
        sample(data, 46, 10, 0, 0, "same-start")
    assert len({tuple(sorted(row)) for row in sample(data, 45, 10, 0, 0, "same-start").rows(data).tolist()}) == 45
    with pytest.raises(InputError, match="no unsafe segment"):
        sample(data, 10, 10, 0, 0, "stratified", 99.0)


def test_dawid_skene_is_the_expectation_maximisation_of_a_loop():
    """Dawid and Skene (1979), equations 2.3 to 2.5, written out for yes and no, with answers that are missing."""
    rng = np.random.default_rng(5)
    truth = (rng.uniform(size=60) < 0.4).astype(float)
    votes = np.where(rng.uniform(size=(60, 4)) < [0.05, 0.2, 0.3, 0.45], 1 - truth[:, None], truth[:, None])
    votes[rng.uniform(size=votes.shape) < 0.3] = np.nan
    answers = [{k: int(vote) for k, vote in enumerate(row) if not np.isnan(vote)} for row in votes]
    asked = [item for item, given in enumerate(answers) if given]
    belief = {item: [list(answers[item].values()).count(c) / len(answers[item]) for c in (0, 1)] for item in asked}
    for _ in range(100):
        prior = [sum(belief[item][c] for item in asked) / len(asked) for c in (0, 1)]
        says = {}  # (annotator, truth, answer) -> probability
        for k in range(4):
            for t in (0, 1):
                weight = [sum(belief[item][t] for item in asked if answers[item].get(k) == c) for c in (0, 1)]
                for c in (0, 1):
                    says[k, t, c] = weight[c] / sum(weight)
        for item in asked:
            likely = [prior[t] * math.prod(says[k, t, c] for k, c in answers[item].items()) for t in (0, 1)]
            belief[item] = [value / sum(likely) for value in likely]
    expected = np.full(60, np.nan)
    for item in asked:
        expected[item] = float(belief[item][1] > belief[item][0])
    labels = dawid_skene(votes.astype(np.float32))
    np.testing.assert_array_equal(labels, expected.astype(np.float32))
    by_count = majority(votes.astype(np.float32))
    assert (labels == truth).sum() > (by_count == truth).sum() and (labels != by_count).any()
