"""From answers to numbers and to a label set: agreement by hand, doubts about careless people, finish, verify, merge."""

from __future__ import annotations

import json
import random
import uuid
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from annotating import Server, Visitor
from typer.testing import CliRunner

import safefeedback
from safefeedback.annotate.finish import finish
from safefeedback.annotate.measures import agreement_with_others, best_limit, binomial_tail, krippendorff_alpha, raw_agreement
from safefeedback.annotate.merge import merge
from safefeedback.annotate.results import results
from safefeedback.annotate.store import Store
from safefeedback.cli.app import app
from safefeedback.dataset.build import build_dataset
from safefeedback.dataset.reading import open_dataset, read, read_oracle
from safefeedback.errors import InputError
from safefeedback.feedback.recipe import Recipe
from safefeedback.inspection.dataset import inspect_dataset
from safefeedback.publish import croissant
from safefeedback.tasks import tasks
from safefeedback.verification.verify import verify

NAN = float("nan")


@pytest.fixture
def folder(ball_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return build_dataset(Recipe(tasks()["BallCircle"], pairs=60, test_fraction=0.2), str(ball_file), tmp_path / "ball")[0]


class Knower:
    """Somebody who knows the truth and answers accordingly, with some slips."""

    def __init__(self, server: Server, name: str, slips: float = 0.0) -> None:
        truth = server.material.truth
        self.returns, self.costs = (
            {int(pair): row for pair, row in zip(truth.pair_id, values, strict=True)} for values in (truth.returns, truth.costs)
        )
        self.limit, self.slips = truth.limit(20.0), slips
        self.visitor, self.rng = server.person(name), random.Random(name)

    def values(self, item: dict[str, Any]) -> dict[str, str]:
        left = int(item["swapped"])
        returns, costs = self.returns[item["pair_id"]], self.costs[item["pair_id"]]
        better = (returns[left] > returns[1 - left]) != (self.rng.random() < self.slips)
        safe = [(costs[side] <= self.limit) != (self.rng.random() < self.slips) for side in (left, 1 - left)]
        words = ["safe" if one else "unsafe" for one in safe]
        return {"preference": "left" if better else "right", "safe_left": words[0], "safe_right": words[1]}

    def answer_all(self) -> None:
        answer_all(self.visitor, self.values)


def sound(folder: Path) -> bool:
    return not [problem for check in verify(folder) for problem in check.problems]


def answer_all(visitor: Visitor, values: Any, most: int = 10_000) -> None:
    state = visitor.state()
    while state["upcoming"] and most:
        item, most = state["upcoming"][0], most - 1
        state = visitor.answer(item, **values(item)).json()["state"]


def test_krippendorffs_alpha_by_hand():
    """The example of Krippendorff (2011), section C: four observers, twelve units, alpha = 0.743 for nominal data."""
    data = np.array(
        [
            [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
            [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
            [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
            [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
        ]
    ).T
    assert krippendorff_alpha(data) == pytest.approx(0.743, abs=5e-4)
    # two observers, ten units (section A): 4 of 10 differ, 14 zeros and 6 ones: 1 - 19 * 8 / (2 * 14 * 6)
    one = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]
    two = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    assert krippendorff_alpha(np.array([one, two], float).T) == pytest.approx(1 - 19 * 8 / (2 * 14 * 6))
    assert raw_agreement(np.array([one, two], float).T) == 0.6
    assert raw_agreement(np.array([[1, 1, 0], [NAN, 1, 1], [1, NAN, NAN]])) == 0.5  # 1 of 3 pairs, and 1 of 1
    assert krippendorff_alpha(np.array([[1.0, 1.0], [1.0, 1.0]])) is None and raw_agreement(np.array([[1.0, NAN]])) is None


def test_the_other_measures_by_hand():
    votes = np.array([[1, 1, 0], [0, 1, 1], [NAN, 1, 1], [1, NAN, NAN], [0, 0, 1]])
    assert agreement_with_others(votes, 0) == (2, 3)  # agrees, does not, and one of two that differ
    assert [binomial_tail(3, 3), binomial_tail(0, 5), binomial_tail(2, 3)] == pytest.approx([0.125, 1, 0.5])
    costs, safe = np.array([0, 2, 2, 5, 7, 9.0]), np.array([1, 1, 0, 1, 0, 0.0])
    assert best_limit(costs, safe) == (5.0, 5 / 6)
    assert best_limit(costs, np.zeros(6)) == (-1.0, 1.0) and best_limit(costs[:0], safe[:0]) is None


def test_results_name_the_lazy_and_the_random(folder: Path):
    server = Server(folder, quick=True, overlap=4, gold=0.25, repeat=0.15)
    rng = random.Random(7)
    for name in ("ann", "bob"):
        Knower(server, name, slips=0.05).answer_all()
    answer_all(server.person("lazy"), lambda item: {"preference": "left"})
    answer_all(
        server.person("random"),
        lambda item: {
            "preference": rng.choice(["left", "right"]),
            "safe_left": rng.choice(["safe", "unsafe"]),
            "safe_right": rng.choice(["safe", "unsafe"]),
        },
    )
    found = results(server.store, server.live.study, server.material.truth)
    people = found["people"]
    assert not people["ann"]["doubts"] and not people["bob"]["doubts"]
    assert people["lazy"]["left"] == 1 and people["lazy"]["doubts"][0].startswith("takes the left one in ")
    assert any("gold answers" in doubt for doubt in people["random"]["doubts"]), people["random"]
    assert any("agrees with the others" in doubt for doubt in people["random"]["doubts"])
    assert people["ann"]["gold"]["accuracy"] > 0.85 > 0.7 > people["random"]["gold"]["accuracy"]
    assert people["ann"]["repeats"]["consistency"] > 0.8 and people["ann"]["median_seconds"] == 1.5
    assert found["pairs_answered_by"] == {"4": 45} and found["answers"] == 180
    assert set(found["agreement"]) == {"preference", "safety"} and found["agreement"]["safety"]["raw"] < 1
    text = CliRunner().invoke(app, ["annotate", str(folder), "--name", "lab1", "--results"])
    assert text.exit_code == 0, text.output
    assert "DOUBT about lazy: takes the left one" in text.output and "DOUBT about random" in text.output
    assert "DOUBT about ann" not in text.output


def test_gold_and_repeat_figures_by_hand(folder: Path):
    """A loop over every answer in the store and the oracle."""
    server = Server(folder, quick=True, gold=0.3, repeat=0.2)
    Knower(server, "ann", slips=0.3).answer_all()
    store, truth = server.store, server.material.truth
    items = {row["id"]: row for row in store.rows("SELECT * FROM item")}
    row_of = {int(pair): row for row, pair in enumerate(truth.pair_id)}
    right, same, first = [], [], {}
    for answer in store.rows("SELECT * FROM every_answer ORDER BY seq"):
        kind, row = items[answer["item"]]["kind"], row_of[answer["pair_id"]]
        values = [answer["preference"], answer["safe_0"], answer["safe_1"]]
        if kind == "gold":
            returns, costs = truth.returns[row], truth.costs[row]
            right += [
                values[0] == float(returns[1] > returns[0]),
                *(values[1 + side] == (costs[side] <= 6.4) for side in (0, 1)),
            ]
        elif kind == "ordinary":
            first[answer["pair_id"]] = values
        else:
            same += [one == two for one, two in zip(first[answer["pair_id"]], values, strict=True)]
    found = results(store, server.live.study, truth)["people"]["ann"]
    assert found["gold"] == {"answers": len(right), "accuracy": round(sum(right) / len(right), 4)}
    assert found["repeats"] == {"answers": len(same), "consistency": round(sum(same) / len(same), 4)}


def test_finish_makes_a_label_set_like_any_other(folder: Path):
    server = Server(folder, overlap=2, gold=0.1, practice=2)
    for name in ("ann", "bob", "eve"):
        visitor = server.person(name)
        visitor.post("session")
        state = visitor.post("consent", id=str(uuid.uuid4()), agreed=True).json()["state"]
        for item in state["upcoming"]:
            visitor.answer(item, "practice")
        Knower(server, name).answer_all() if name != "eve" else None
    eve = server.person("eve").state()
    assert eve["stage"] == "done"
    study = server.live.study
    made = finish(server.store, study, server.material, "lab1", "majority", overwrite=False)
    asked = set(server.material.truth.pair_id[server.live.assigner.pools.ordinary].tolist())
    for split in ("train", "test"):
        labelled, truth = read(folder, labels="lab1", split=split), read_oracle(folder, labels="lab1", split=split)
        assert set(labelled.pair_id.tolist()) <= asked
        np.testing.assert_array_equal(labelled.preference, truth.clean_preference)
        np.testing.assert_array_equal(labelled.safe, truth.clean_safe)
    raw = datasets.load_dataset(str(folder), "lab1-answers", split="train")
    assert set(raw["annotator"]) == {"annotator-1", "annotator-2"} and set(raw["order"]) == {"random"}
    row = raw[0]
    assert row["seconds"] == 2 and len(row["day"]) == 10 and not row["quick"] and not row["preference_cannot_tell"]
    assert 0 < row["probability"] <= 1 and row["position"] >= 2
    assert sound(folder)
    text = (folder / "README.md").read_text()
    assert "How people were asked for `lab1`" in text and "2 people, called annotator-1" in text and "consented" in text
    assert "ann" not in {word.strip(".,`") for word in text.split()} and "eve" not in text.split()
    assert made.answers is not None and made.answers.study is not None and made.answers.study["read"][0]["consent"]
    looked = inspect_dataset(folder, "lab1")[0]
    assert looked["splits"]["train"]["agreement"]["safety"]["agree"] == 1 and "2 people" in looked["people"][0]
    opened = open_dataset(folder)
    described = croissant.metadata(opened.manifest, opened.label_sets, "user/ball", "https://hub.example/user/ball")
    assert (
        "annotator-1" in described["rai:dataAnnotationProtocol"] and "safety aside" in described["rai:dataAnnotationProtocol"]
    )
    assert described["rai:annotationsPerItem"] == "2" and "alpha" in described["rai:dataAnnotationAnalysis"][0]
    for path in folder.rglob("*"):
        assert not path.is_file() or b"annotator-1" in path.read_bytes() or b"token" not in path.read_bytes()
    with pytest.raises(InputError, match=r"of \d+ answers; no answer came since: add --overwrite"):
        finish(server.store, study, server.material, "lab1", "majority", overwrite=False)


def test_what_came_since_is_named_and_cannot_tell_is_null(folder: Path):
    server = Server(folder, quick=True)
    answer_all(server.person(), lambda item: {"preference": "cannot-tell", "safe_left": "cannot-tell"}, most=4)
    words = ["annotate", str(folder), "--name", "lab1", "--finish"]
    assert CliRunner().invoke(app, words).exit_code == 0
    labelled = [read(folder, labels="lab1", split=split) for split in open_dataset(folder).label_sets["lab1"].splits]
    assert sum(len(one) for one in labelled) == 4 and all(np.isnan(one.preference).all() for one in labelled)
    assert sum(int(np.isnan(one.safe).sum()) for one in labelled) == 4
    answer_all(server.person(), lambda item: {}, most=3)
    refused = CliRunner().invoke(app, words)
    assert refused.exit_code == 1 and "3 answers came since" in str(refused.exception)
    assert CliRunner().invoke(app, [*words, "--overwrite"]).exit_code == 0 and sound(folder)
    assert open_dataset(folder).label_sets["lab1"].pairs == 7
    again = CliRunner().invoke(
        app, ["labels", "import", str(folder), f"{folder}.answers/lab1.csv", "--name", "lab2"]
    )  # the card's command
    assert again.exit_code == 0
    sets = open_dataset(folder).label_sets
    assert sets["lab1"].content_sha256 == sets["lab2"].content_sha256


@pytest.mark.parametrize(("question", "limit"), [("any", 0.0), ("judgement", 20.0)])
def test_labels_of_other_safety_questions_carry_no_cost_limit(folder: Path, question: str, limit: float):
    server = Server(folder, quick=True, safety_question=question)
    answer_all(server.person(), lambda item: {}, most=5)
    made = finish(server.store, server.live.study, server.material, "lab1", "majority", False)
    assert made.answers is not None and not made.uses_cost_limit and made.labelling.limit == limit
    assert sound(folder)
    assert ("have no cost limit" in (folder / "README.md").read_text()) == (question == "judgement")


def test_who_is_left_out_or_withdraws_is_not_in_the_label_set(folder: Path):
    server = Server(folder, quick=True, overlap=2)
    for name in ("ann", "zacharias"):
        answer_all(server.person(name), lambda item: {}, most=6)
    run, words = CliRunner(), ["annotate", str(folder), "--name", "lab1"]
    assert run.invoke(app, [*words, "--exclude", "zacharias"]).exit_code == 0
    assert run.invoke(app, [*words, "--finish"]).exit_code == 0
    assert open_dataset(folder).label_sets["lab1"].answers.study["annotators"] == 1
    assert run.invoke(app, [*words, "--include", "zacharias"]).exit_code == 0
    assert run.invoke(app, [*words, "--finish", "--overwrite"]).exit_code == 0
    assert open_dataset(folder).label_sets["lab1"].answers.study["annotators"] == 2
    gone = run.invoke(app, [*words, "--withdraw", "zacharias"])
    assert "6 answers of zacharias were deleted" in gone.output and "make it again with --finish --overwrite" in gone.output
    assert b"zacharias" not in server.store.path.read_bytes()
    assert run.invoke(app, [*words, "--finish", "--overwrite"]).exit_code == 0
    study = open_dataset(folder).label_sets["lab1"].answers.study
    assert (study["annotators"], study["withdrawn"]) == (1, 1) and sound(folder)
    assert "nobody called 'eve'" in str(run.invoke(app, [*words, "--exclude", "eve"]).exception)


def test_answers_of_two_machines_are_joined_once(folder: Path, tmp_path: Path):
    here, there = Server(folder, quick=True, overlap=2), Server(folder, quick=True, overlap=2, name="other")
    answer_all(here.person("ann"), lambda item: {}, most=5)
    answer_all(there.person("bob"), lambda item: {}, most=7)
    answer_all(there.person("ann"), lambda item: {}, most=2)
    there.person("bob").post("undo", id=str(uuid.uuid4()))
    file = there.store.path
    with pytest.raises(InputError, match="ann answered in both"):
        merge(here.store, file)
    gained = merge(here.store, file, same_person=True)
    assert gained["answer"] == 10 and gained["person"] == 1
    assert merge(here.store, file, same_person=True) == dict.fromkeys(gained, 0)
    found = results(here.store, here.live.study, here.material.truth)
    assert found["people"]["bob"]["answers"] == 6 and found["people"]["ann"]["answers"] <= 7
    finish(here.store, here.live.study, here.material, "lab1", "majority", False)
    assert sound(folder) and safefeedback.read(folder, labels="lab1").labels["recipe"]["study"]["annotators"] == 2
    other = build_dataset(Recipe(tasks()["BallCircle"], pairs=5), "recordings", tmp_path / "other-data")[0]
    with pytest.raises(InputError, match="about another dataset"):
        merge(Server(other).store, file)
    (tmp_path / "no.sqlite").write_text("nothing")
    for wrong in ("no.sqlite", "missing.sqlite"):
        failed = CliRunner().invoke(app, ["annotate", str(folder), "--name", "new", "--merge", str(tmp_path / wrong)])
        assert isinstance(failed.exception, InputError) and not list(tmp_path.glob("*.answers/new*"))
    with pytest.raises(InputError, match="cannot be read as a file of answers"):
        merge(here.store, tmp_path / "no.sqlite")
    assert Store.open(file).about["content_sha256"] == here.store.about["content_sha256"]
    assert json.loads(here.store.rows("SELECT text FROM wording")[0]["text"])["quick"]
