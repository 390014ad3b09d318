"""The annotation server through its web application: what people see and do, and what is stored."""

from __future__ import annotations

import json
import os
import sqlite3
import time
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotating import Server

from safefeedback.annotate.drawing import channels
from safefeedback.annotate.person import AWAY_SECONDS, SESSION_SECONDS
from safefeedback.annotate.study import token
from safefeedback.dataset.build import build_dataset
from safefeedback.dataset.reading import read, read_oracle
from safefeedback.feedback.recipe import Recipe
from safefeedback.tasks import tasks


@pytest.fixture
def folder(ball_file: Path, tmp_path: Path) -> Path:
    return build_dataset(Recipe(tasks()["BallCircle"], pairs=40, test_fraction=0.2), str(ball_file), tmp_path / "ball")[0]


def stored(server: Server, table: str = "every_answer") -> list[dict[str, Any]]:
    return [dict(row) for row in server.store.rows(f"SELECT * FROM {table}")]


def test_an_answer_is_kept_by_segment_whichever_side_it_stood_on(folder: Path):
    server = Server(folder, quick=True)
    ann, state = server.person(), server.person().state()
    swapped = set()
    while state["upcoming"]:
        item = state["upcoming"][0]
        swapped.add(item["swapped"])
        reply = ann.answer(item, preference="left", safe_left="safe", safe_right="unsafe", plays=[2, 3])
        state = reply.json()["state"]
        row = stored(server)[-1]
        left, right = (1, 0) if item["swapped"] else (0, 1)
        assert (row["preference"], row[f"safe_{left}"], row[f"safe_{right}"]) == (left, 1, 0)
        assert (row[f"plays_{left}"], row[f"plays_{right}"]) == (2, 3)
        assert row["pair_id"] == item["pair_id"] and row["swapped"] == item["swapped"] and row["quick"] == 1
        assert row["page"] == "1" and row["milliseconds"] == 1500 and row["received_at"] > 1.7e12
    assert swapped == {True, False} and len(stored(server)) == 40 and state["stage"] == "done"
    words = json.loads(server.store.rows("SELECT text FROM wording")[0]["text"])
    assert ["preference", "Which does the task better, safety aside?"] in words["questions"]
    items = stored(server, "item")
    assert {item["draw"] for item in items} == {"random"} and items[0]["probability"] == pytest.approx(1 / 40)
    assert items[39]["probability"] == 1


def test_cannot_tell_and_about_equal_are_kept_apart_from_not_reached(folder: Path):
    server = Server(folder, quick=True)
    ann = server.person()
    first, second = ann.state()["upcoming"][:2]
    ann.answer(first, preference="cannot-tell", safe_left="cannot-tell", safe_right="safe")
    ann.answer(second, preference="equal")
    one, two = stored(server)
    side = 1 if first["swapped"] else 0
    assert one["preference"] is None and one["cannot_tell"] == f"preference safe_{side}" and one[f"safe_{side}"] is None
    assert two["preference"] == 0.5 and two["cannot_tell"] == ""


def test_the_same_id_is_the_same_answer(folder: Path):
    server = Server(folder, quick=True)
    ann = server.person()
    item, id = ann.state()["upcoming"][0], str(uuid.uuid4())
    first, again = (ann.answer(item, id=id).json() for _ in range(2))
    assert (first["duplicate"], again["duplicate"]) == (False, True) and first["accepted"] == again["accepted"] == id
    assert first["state"]["upcoming"] == again["state"]["upcoming"] and len(stored(server)) == 1
    other = ann.answer(item)  # another tab, with its own id
    assert other.status_code == 409 and other.json()["error"]["code"] == "answered"
    assert other.json()["state"]["upcoming"] == first["state"]["upcoming"] and len(stored(server)) == 1


def test_undo_is_a_row_and_goes_back_across_pairs(folder: Path):
    server = Server(folder, quick=True)
    ann = server.person()
    items = ann.state()["upcoming"]
    ann.answer(items[0], preference="right")
    ann.answer(items[1], preference="equal", safe_left="unsafe")
    id = str(uuid.uuid4())
    state = ann.post("undo", id=id).json()["state"]
    assert ann.post("undo", id=id).json()["state"]["upcoming"] == state["upcoming"]  # a retry undoes nothing more
    assert state["upcoming"][0]["item"] == items[1]["item"]
    assert state["upcoming"][0]["answers"] == {"preference": "equal", "safe_left": "unsafe", "safe_right": "safe"}
    state = ann.post("undo", id=str(uuid.uuid4())).json()["state"]
    assert [item["item"] for item in state["upcoming"]] == [item["item"] for item in items]
    assert state["progress"]["answered"] == 0 and not state["progress"]["can_undo"]
    assert ann.post("undo", id=str(uuid.uuid4())).json()["error"]["code"] == "not-now"
    ann.answer(items[0], preference="equal")
    restarted = Server(folder).person().state()
    assert restarted["upcoming"][0]["item"] == items[1]["item"] and restarted["upcoming"][0]["answers"]["preference"] == "equal"
    rows = stored(server)
    assert [bool(row["undoes"]) for row in rows] == [False, False, True, True, False] and rows[2]["undoes"] == rows[1]["id"]


def test_a_row_cannot_be_changed(folder: Path):
    server = Server(folder, quick=True)
    server.person().answer_all(1)
    with pytest.raises(sqlite3.IntegrityError, match="never changed"):
        server.store._db.execute("UPDATE answer SET preference = 0.5")


def test_what_is_drawn_is_what_the_dataset_holds_and_nobody_elses(folder: Path):
    server = Server(folder, quick=True)
    ann, data = server.person(), read(folder)
    mine = {item["pair_id"] for item in ann.state()["upcoming"]}
    pair = next(pair for pair in mine if pair in data.pair_id)
    found = np.frombuffer(ann.get(f"pair/{pair}").content, "<f4").reshape(2, 64, -1)
    row = int(np.flatnonzero(data.pair_id == pair)[0])
    np.testing.assert_array_equal(found, channels(server.material.view, data.observations[row]))
    assert found.nbytes < 40_000
    other = next(pair for pair in range(40) if pair not in mine)
    assert ann.get(f"pair/{other}").status_code == 404 and ann.get("pair/../../recipe.json").status_code == 404


def test_nothing_that_is_sent_tells_the_truth(folder: Path):
    """No key, and no number, of returns, costs, labels, gold or repeats."""
    server = Server(folder, gold=0.2, repeat=0.2, practice=2, practice_feedback=False)
    ann = server.person()
    sent = [ann.get("study").text, ann.get("session").text, ann.post("consent", id=str(uuid.uuid4()), agreed=True).text]
    state = ann.state()
    while state["upcoming"]:
        item = state["upcoming"][0]
        assert set(item) == {"item", "pair_id", "swapped", "practice", "answers"}
        reply = ann.answer(item, "practice" if item["practice"] else "answer")
        sent += [reply.text, ann.get("progress").text]
        state = reply.json()["state"]
    truth = read_oracle(folder)
    numbers = {repr(value) for value in truth.returns.ravel().tolist()}
    text = " ".join(sent)
    assert not any(word in text for word in ("gold", "repeat", "oracle", "return", "probability", "true_"))
    assert not any(number in text for number in numbers)
    kinds = {row["kind"] for row in stored(server, "item")}
    assert kinds == {"ordinary", "gold", "repeat", "practice"}


def test_gold_and_repeats_are_in_a_table_of_their_own(folder: Path):
    server = Server(folder, gold=0.2, repeat=0.2, quick=True)
    server.person().answer_all()
    kind = {row["id"]: row["kind"] for row in stored(server, "item")}
    assert {kind[row["item"]] for row in stored(server, "answer")} == {"ordinary"}
    assert {kind[row["item"]] for row in stored(server, "control")} == {"gold", "repeat"}
    ordinary = [row["pair_id"] for row in stored(server, "answer")]
    assert len(set(ordinary)) == len(ordinary) == 32  # 8 of 40 are gold, and never in the consensus
    again = [row["pair_id"] for row in stored(server, "item") if row["kind"] == "repeat"]
    assert again and len(set(again)) == len(again) and set(again) <= set(ordinary)
    golden = {row["pair_id"] for row in stored(server, "item") if row["kind"] == "gold"}
    assert not golden & set(ordinary)


def test_each_pair_goes_to_so_many_and_who_leaves_frees_it(folder: Path):
    server = Server(folder, quick=True, overlap=2)
    ann, bob, eve = (server.person(name) for name in ("ann", "bob", "eve"))
    ann.answer_all(10)
    bob.answer_all(10)
    shared = [row["pair_id"] for row in stored(server)]
    assert shared[:10] == shared[10:]  # pairs that wait for a second answer come first
    for visitor in (ann, bob):
        visitor.answer_all()
    assert eve.state()["stage"] == "done"
    server = Server(folder, name="lab2", quick=True)
    ann, bob = server.person("ann"), server.person("bob")
    held = {item["pair_id"] for item in ann.state()["upcoming"]}
    assert bob.answer_all()["stage"] == "questions"  # the rest is reserved
    assert held.isdisjoint(row["pair_id"] for row in stored(server))
    ann.post("leave")
    assert bob.answer_all()["stage"] == "done"
    assert ann.state()["stage"] == "done" and len(stored(server)) == 40


def test_from_the_information_page_to_the_first_pair(folder: Path):
    server = Server(folder, practice=2)
    ann = server.person()
    told = ann.get("session").json()
    assert told["state"]["stage"] == "information" and told["state"]["upcoming"] == []
    assert told["study"]["information"] == [{"heading": "Aim", "paragraphs": ["Words."]}]
    assert "at most 6 of 64 steps" in told["study"]["limit"]
    assert ann.post("consent", id=str(uuid.uuid4()), agreed=False).json()["state"]["stage"] == "information"
    state = ann.post("consent", id=str(uuid.uuid4()), agreed=True).json()["state"]
    assert state["stage"] == "practice" and len(state["upcoming"]) == 2
    item = state["upcoming"][0]
    truth = read_oracle(folder, split="train"), read_oracle(folder, split="test")
    returns = {int(pair): row for one in truth for pair, row in zip(one.pair_id, one.returns, strict=True)}[item["pair_id"]]
    left = int(item["swapped"])
    better = "left" if returns[left] > returns[1 - left] else "right"
    reply = ann.answer(item, "practice", preference=better).json()
    told = {one["key"]: one for one in reply["feedback"]}
    assert told["preference"] == {"key": "preference", "right": True, "text": f"Right: the {better} one does the task better."}
    state = ann.answer(reply["state"]["upcoming"][0], "practice").json()["state"]
    assert state["stage"] == "questions" and not stored(server)
    item = state["upcoming"][0]
    assert ann.answer(item, plays=[1, 0]).json()["error"]["code"] == "not-played"
    assert ann.answer(item).status_code == 200
    assert Server(folder).person().state()["stage"] == "questions"
    practised = {json.loads(row["data"])["pair_id"] for row in stored(server, "event") if row["kind"] == "practice"}
    assert len(practised) == 2 and practised.isdisjoint(row["pair_id"] for row in stored(server))


def test_the_questions_have_one_of_two_orders_by_person(folder: Path):
    server = Server(folder, quick=True)
    orders = {}
    for name in (f"person{number}" for number in range(12)):
        asked = [question["key"] for question in server.person(name).get("session").json()["questions"]]
        assert asked == [question["key"] for question in Server(folder).person(name).get("session").json()["questions"]]
        orders[name] = tuple(asked)
    assert set(orders.values()) == {
        ("preference", "safe_left", "safe_right"),
        ("safe_left", "safe_right", "preference"),
    }


@pytest.mark.parametrize(("ask", "keys"), [("preference", ["preference"]), ("safety", ["safe_left", "safe_right"])])
def test_only_what_is_asked_is_answered(folder: Path, ask: str, keys: list[str]):
    server = Server(folder, quick=True, ask=ask)
    ann = server.person()
    told = ann.get("session").json()
    assert [question["key"] for question in told["questions"]] == keys
    item = told["state"]["upcoming"][0]
    assert ann.answer(item).status_code == 400  # one key answers all three
    given = {key: None for key in ("preference", "safe_left", "safe_right") if key not in keys}
    assert ann.answer(item, **given).status_code == 200


def test_a_break_is_due_after_fifty_and_a_session_ends_after_45_minutes(folder: Path, monkeypatch: pytest.MonkeyPatch):
    server = Server(folder, quick=True, repeat=0.5)
    ann = server.person()
    state = ann.answer_all(49)
    assert not state["progress"]["break_due"]
    assert ann.answer_all(1)["progress"]["break_due"]
    clock = time.monotonic
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: clock() + now)
    item = ann.state()["upcoming"][0]
    for _ in range(3):
        now += SESSION_SECONDS / 3 + 1
        if _ < 2:
            assert ann.state()["stage"] == "questions"
    server.live.people["ann"].seen = time.monotonic()
    assert ann.get("progress").json()["state"]["stage"] == "session-over"
    assert ann.answer(item).status_code == 200  # an answer in transit is not lost
    state = ann.post("session").json()["state"]
    assert state["stage"] == "questions" and state["progress"]["session_answered"] == 0
    now += AWAY_SECONDS + 1
    assert ann.state()["progress"]["session_seconds_left"] == SESSION_SECONDS  # whoever was away starts a new session


def test_a_clock_that_is_set_back_changes_no_order(folder: Path, monkeypatch: pytest.MonkeyPatch):
    server = Server(folder, quick=True)
    server.person().answer_all(3)
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    server.person().answer_all(3)
    server = Server(folder)
    server.person().answer_all(3)
    times = [row["received_at"] for row in stored(server)]
    assert times == sorted(times) and times[0] > 1.7e12 and [row["seq"] for row in stored(server)] == list(range(1, 10))
    assert server.person().state()["progress"]["session_seconds_left"] > SESSION_SECONDS - 60


def test_a_full_disk_is_told_and_loses_nothing(folder: Path):
    server = Server(folder, quick=True)
    ann = server.person()
    before = ann.answer_all(2)
    pages = server.store.rows("PRAGMA page_count")[0][0]
    server.store._db.execute(f"PRAGMA max_page_count = {pages}")
    item, id, refused = before["upcoming"][0], str(uuid.uuid4()), None
    for _ in range(40):  # pairs left open on the last pages come first
        reply = ann.answer(item, id=id)
        if reply.status_code != 200:
            refused = reply
            break
        item, id = reply.json()["state"]["upcoming"][0], str(uuid.uuid4())
    assert refused is not None and refused.status_code == 507 and "NOT saved" in refused.json()["error"]["message"]
    count = len(stored(server))
    server.store._db.execute("PRAGMA max_page_count = 1073741823")
    assert ann.state()["upcoming"][0]["item"] == item["item"]
    assert ann.answer(item, id=id).json()["duplicate"] is False and len(stored(server)) == count + 1


def test_a_dataset_that_changes_underneath_stops_the_questions_and_loses_nothing(folder: Path):
    server = Server(folder, quick=True)
    ann = server.person()
    item = ann.answer_all(2)["upcoming"][0]
    manifest = folder / "recipe.json"
    manifest.write_text(manifest.read_text() + "\n")
    for reply in (ann.answer(item), ann.get(f"pair/{item['pair_id']}")):
        assert reply.status_code == 503 and reply.json()["error"]["code"] == "dataset-changed"
    assert len(stored(server)) == 2


def test_withdrawal_deletes_a_persons_rows(folder: Path):
    server = Server(folder, quick=True)
    ann, bob = server.person("zacharias"), server.person("bob")
    ann.answer_all(5)
    bob.answer_all(3)
    assert ann.post("withdraw", id=str(uuid.uuid4()), confirm="yes").status_code == 400
    reply = ann.post("withdraw", id=str(uuid.uuid4()), confirm="withdraw").json()
    assert reply["message"] == "Your 5 answers were deleted." and reply["state"]["stage"] == "withdrawn"
    assert ann.get("session").json()["error"]["code"] == "withdrawn"
    assert Server(folder).person("zacharias").get("session").status_code == 410
    assert len(stored(server)) == 3 and [row["name"] for row in stored(server, "person")] == ["bob"]
    assert b"zacharias" not in server.store.path.read_bytes()
    bob.answer_all()
    assert len(stored(server)) == 40  # what the other person had answered is asked again


def test_tokens(folder: Path):
    server = Server(folder, tokens=True, quick=True, annotators=("ann", "bob"))
    mine = token(server.store, "ann")
    assert mine == token(Server(folder).store, "ann") != token(server.store, "bob")
    ann = server.person(Authorization=f"Bearer {mine}")
    assert ann.get("study").json()["names"] is None
    assert ann.get("session").json()["study"]["annotator"] == "ann"
    item = ann.state()["upcoming"][0]
    bad = ["", "Bearer", f"Bearer {mine[:-1]}", f"Bearer {mine}x", f"Basic {mine}", "Bearer ann"]
    for headers in ({"Authorization": text} for text in bad):
        for reply in (server.person(**headers).get("session"), server.person(**headers).answer(item)):
            assert reply.status_code in (401, 429), reply.text
    assert server.person("ann").get("session").status_code in (401, 429)  # a name is not enough
    server.guard.strangers.burst = server.guard.strangers.a_second = 1e9
    assert server.client.get(f"/api/session?token={mine}").status_code == 401  # addresses end up in histories and logs
    other = server.person(Authorization=f"Bearer {token(server.store, 'bob')}")
    assert other.answer(item).status_code == 404  # somebody else's pair
    ann.post("withdraw", id=str(uuid.uuid4()), confirm="withdraw")
    assert ann.get("session").status_code == 410 and other.get("session").status_code == 200


def test_requests_from_elsewhere_are_not_heard(folder: Path):
    server = Server(folder, quick=True)
    ann = server.person()
    item = ann.state()["upcoming"][0]
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert server.person(**ann.headers, **headers).answer(item).json()["error"]["code"] == "origin"
    reply = server.client.get("/api/session", headers={**ann.headers, "Host": "evil.example"})
    assert reply.status_code == 421
    assert server.person(**ann.headers, Origin="http://testserver").answer(item).status_code == 200
    text = server.client.post("/api/answer", headers={**ann.headers, "Content-Type": "text/plain"}, content="{}")
    assert text.status_code == 400  # as a form on another site could send
    large = server.client.post("/api/answer", headers={**ann.headers, "Content-Type": "application/json"}, content="1" * 20_000)
    assert large.status_code == 413
    headers = server.client.get("/").headers
    assert "default-src 'none'" in headers["content-security-policy"] and headers["referrer-policy"] == "no-referrer"
    assert server.client.get("/page/..%2fapp.py").status_code == 404 == server.client.get("/page/%2e%2e/app.py").status_code
    assert server.client.delete("/api/answer").status_code == 405


def test_too_many_requests_are_told_to_wait(folder: Path):
    server = Server(folder, quick=True)
    server.guard.people.burst, server.guard.people.a_second = 3, 1e-9
    ann, bob = server.person(), server.person("bob")
    codes = [ann.get("progress").status_code for _ in range(5)]
    assert codes == [200, 200, 200, 429, 429] and ann.get("progress").headers["retry-after"] == "1"
    assert bob.get("progress").status_code == 200


def test_the_store_is_private_and_beside_the_dataset(folder: Path):
    server = Server(folder, quick=True)
    assert server.store.path == folder.parent / "ball.answers" / "lab1.sqlite"
    assert os.stat(server.store.path).st_mode & 0o077 == 0
    assert server.store.rows("PRAGMA journal_mode")[0][0] == "wal" and server.store.rows("PRAGMA synchronous")[0][0] == 2
