"""What an attacker, unlucky timing or a second machine could do to a study's answers."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest
from annotating import Server
from hub_server import Hub
from typer.testing import CliRunner

from safefeedback.annotate.backup import Backup, restore
from safefeedback.annotate.frames import Frames, file_name
from safefeedback.annotate.measures import binomial_tail
from safefeedback.annotate.merge import merge
from safefeedback.annotate.opening import exclusive, frames_folder, open_study
from safefeedback.annotate.refusal import Refusal
from safefeedback.annotate.space import write_space
from safefeedback.annotate.store import Store
from safefeedback.annotate.study import stored_study
from safefeedback.cli.app import app
from safefeedback.dataset.build import build_dataset
from safefeedback.dataset.reading import open_dataset
from safefeedback.errors import InputError
from safefeedback.feedback.recipe import Recipe
from safefeedback.tasks import tasks


@pytest.fixture
def folder(ball_file: Path, tmp_path: Path) -> Path:
    return build_dataset(Recipe(tasks()["BallCircle"], pairs=30), str(ball_file), tmp_path / "ball")[0]


def withdraw(server: Server, name: str) -> None:
    assert server.person(name).post("withdraw", id=str(uuid.uuid4()), confirm="withdraw").status_code == 200


def test_what_follows_a_withdrawal_is_saved_elsewhere_as_well(hub: Hub, online: list[float], folder: Path, tmp_path: Path):
    """The person who answered last withdraws: the numbers of those rows must not come again, or they count as saved."""
    hub.put("dataset", "user/lab-answers", {})
    server = Server(folder, quick=True)
    backup = Backup("user/lab-answers", server.store.path)
    for name in ("ann", "bob"):
        server.person(name).answer_all(3)
    backup.upload()
    withdraw(server, "bob")
    server.person("ann").answer_all(2)
    server.person("eve").answer_all(1)
    assert backup.unsaved(server.store) == 3
    backup.upload()
    again = Store.create(tmp_path / "again.sqlite", "ball", server.material.content_sha256)
    assert restore(again, "user/lab-answers") == 6
    assert len(again.rows("SELECT * FROM person")) == 2  # bob stays away


def test_batches_that_overlap_bring_each_row_once(hub: Hub, online: list[float], folder: Path, tmp_path: Path):
    """An upload that arrived but was not acknowledged is repeated under another name."""
    hub.put("dataset", "user/lab-answers", {})
    server = Server(folder, quick=True)
    server.person().answer_all(3)
    for _ in range(2):
        backup = Backup("user/lab-answers", server.store.path)
        backup._saved = {}
        backup.upload()
    again = Store.create(tmp_path / "again.sqlite", "ball", server.material.content_sha256)
    assert restore(again, "user/lab-answers") == 3


def test_uploads_go_on_after_a_moment_without_room(folder: Path, monkeypatch: pytest.MonkeyPatch):
    server, told = Server(folder, quick=True), []
    backup = Backup("user/lab-answers", server.store.path, told.append)

    def refuse() -> int:
        raise Refusal("busy", "in use")

    monkeypatch.setattr(backup, "upload", refuse)
    backup._try_upload()
    assert told == ["in use"]


def test_no_file_of_a_space_names_a_person(folder: Path, tmp_path: Path):
    server = Server(folder, quick=True, annotators=("zacharias", "bob"))
    write_space(server.live, "", tmp_path / "space", "user/lab", False)
    study = (tmp_path / "space" / "space" / "study.json").read_text()
    assert "zacharias" not in study and json.loads(study)["study"]["quick"]


def test_another_address_needs_tokens_as_another_interface_does(folder: Path):
    words = ["annotate", str(folder), "--quick", "--no-browser", "--address", "https://lab.example.org"]
    with pytest.raises(InputError, match=r"https://lab[.]example[.]org lets others in"):
        CliRunner().invoke(app, words, catch_exceptions=False)


def test_frames_of_another_dataset_are_not_shown(folder: Path, ball_file: Path):
    live, _, frames = open_study(folder, "lab1", {"quick": True})
    place = frames_folder(folder, live.material.content_sha256)
    place.mkdir(parents=True)
    (place / file_name(0, 0)).write_bytes(b"old")
    assert isinstance(open_study(folder, "lab1", {})[2], Frames) and frames is None
    build_dataset(Recipe(tasks()["BallCircle"], pairs=30, seed=1), str(ball_file), folder, overwrite=True)
    assert open_study(folder, "lab2", {"quick": True})[2] is None


def test_answers_to_other_questions_are_not_joined(folder: Path, tmp_path: Path):
    there = Server(folder, quick=True, name="other", safety_question="any")
    there.person("bob").answer_all(2)
    with pytest.raises(InputError, match="another --safety-question"):
        merge(Server(folder, quick=True).store, there.store.path)
    new = Store.create(tmp_path / "new.sqlite", "ball", there.material.content_sha256)
    assert merge(new, there.store.path)["answer"] == 2 and stored_study(new).safety_question == "any"
    same = Server(folder, quick=True, name="same", cost_limit=20.0), Server(folder, quick=True, name="default")
    assert merge(same[0].store, same[1].store.path, cost_limit=20.0)["answer"] == 0
    with pytest.raises(InputError, match="another --cost-limit"):
        merge(same[0].store, same[1].store.path, cost_limit=30.0)


def test_a_broken_file_of_answers_is_told(folder: Path, tmp_path: Path):
    there = Server(folder, quick=True, name="other")
    there.store._db.execute("DROP TABLE wording")
    with pytest.raises(InputError, match="cannot be read as a file of answers"):
        merge(Server(folder, quick=True).store, there.store.path)


def test_a_page_that_is_opened_again_begins_no_session(folder: Path):
    server = Server(folder, quick=True)
    ann = server.person()
    ann.answer_all(3)
    ann.post("leave")
    assert ann.state()["progress"]["session_answered"] == 3 and server.live.people["ann"].session == 1
    ann.post("leave")  # another window of hers
    assert ann.post("undo", id=str(uuid.uuid4())).json()["state"]["stage"] == "questions"


def test_who_does_not_agree_leaves_no_name(folder: Path):
    server = Server(folder)
    ann = server.person("zacharias")
    ann.state()
    assert len(server.store.rows("SELECT * FROM person")) == 1
    file = server.store.path.with_suffix(".csv")
    file.write_text("answers of others")
    ann.post("consent", id=str(uuid.uuid4()), agreed=False)
    ann.post("leave")
    assert not server.store.rows("SELECT * FROM person") and not server.store.rows("SELECT * FROM event")
    assert b"zacharias" not in server.store.path.read_bytes() and file.exists()
    assert ann.post("consent", id=str(uuid.uuid4()), agreed=True).json()["state"]["stage"] == "practice"
    assert server.live.people["zacharias"].session == 1


def test_a_withdrawal_takes_the_answers_that_were_written_as_well(folder: Path):
    server = Server(folder, quick=True)
    server.person("ann").answer_all(3)
    run = CliRunner().invoke(app, ["annotate", str(folder), "--name", "lab1", "--finish"])
    file = server.store.path.with_suffix(".csv")
    assert run.exit_code == 0 and file.exists()
    withdraw(server, "ann")
    assert not file.exists()


def test_the_card_tells_the_agreement_of_the_answers_that_count(folder: Path):
    server = Server(folder, quick=True, overlap=3)
    for name, preference in (("ann", "left"), ("bob", "left"), ("eve", "cannot-tell")):
        state = server.person(name).state()
        for _ in range(6):
            item = state["upcoming"][0]
            side = "right" if item["swapped"] else "left"  # segment 0
            told = {"preference": side if preference == "left" else {"left": "right", "right": "left"}[side]}
            state = server.person(name).answer(item, **told).json()["state"]
    run = CliRunner()
    for words in (["--exclude", "eve"], ["--finish"]):
        assert run.invoke(app, ["annotate", str(folder), "--name", "lab1", *words]).exit_code == 0
    assert open_dataset(folder).label_sets["lab1"].answers.study["agreement"]["preference"]["raw"] == 1.0


def test_chance_of_many_answers():
    """2,000 tosses: a probability, where the number of ways has 600 digits."""
    assert binomial_tail(1000, 2000) == pytest.approx(0.508919, abs=1e-5)
    assert binomial_tail(1200, 2000) < 1e-15


def test_a_page_version_that_is_no_text(folder: Path):
    server = Server(folder, quick=True)
    ann = server.person()
    item = ann.state()["upcoming"][0]
    given = {"id": str(uuid.uuid4()), "item": item["item"], "preference": "left", "safe_left": "safe", "safe_right": "safe"}
    body = json.dumps({**given, "page": "\ud800"}).encode()  # half a character
    headers = {**ann.headers, "Content-Type": "application/json"}
    assert ann.client.post("/api/answer", headers=headers, content=body).status_code == 400


def test_an_id_of_somebody_elses_answer_is_refused(folder: Path):
    server = Server(folder, quick=True, gold=0.0)
    ann, bob = server.person("ann"), server.person("bob")
    id = str(uuid.uuid4())
    assert ann.answer(ann.state()["upcoming"][0], id=id).status_code == 200
    reply = bob.answer(bob.state()["upcoming"][0], id=id)
    assert reply.status_code == 400 and reply.json()["error"]["message"] == "This identifier is in use already."
    assert bob.answer(bob.state()["upcoming"][0]).json()["state"]["progress"]["answered"] == 1


def test_a_second_server_changes_nothing(folder: Path):
    server = Server(folder, quick=True)
    words = ["annotate", str(folder), "--name", "lab1", "--overlap", "3"]
    with exclusive(server.store.path), pytest.raises(InputError, match="is being served by another process"):
        CliRunner().invoke(app, words, catch_exceptions=False)
    assert stored_study(server.store).overlap == 1
    with pytest.raises(InputError):
        CliRunner().invoke(app, ["annotate", str(folder.parent / "none")], catch_exceptions=False)
    assert not list(folder.parent.glob("none*"))


def test_the_count_of_what_is_left_tells_no_gold_and_no_repeat(folder: Path):
    server = Server(folder, quick=True, gold=0.2, repeat=0.2)
    person = server.person()
    totals = []
    for _ in range(20):
        person.answer_all(1)
        totals.append(person.get("session").json()["state"]["progress"]["total"])
    kinds = {row["kind"] for row in server.store.rows("SELECT kind FROM item")}
    assert {"gold", "ordinary"} <= kinds and len(set(totals)) == 1, totals
