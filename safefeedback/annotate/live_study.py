"""Handles the requests of annotators: the live state of a study, and the rows added to the store."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from safefeedback.annotate.assigner import AHEAD, PairAssigner
from safefeedback.annotate.feedback import feedback_on
from safefeedback.annotate.messages import SubmittedAnswer, read_answer
from safefeedback.annotate.page_content import PageContent
from safefeedback.annotate.person import BREAK_EVERY, Item, Person
from safefeedback.annotate.refusal import Refusal
from safefeedback.annotate.rows import answer_row, answers_by_side, undo_row
from safefeedback.annotate.store import Store
from safefeedback.annotate.study import person_id


class LiveStudy:
    """A study that is being answered.

    Attributes:
        store, content, study, material: what is stored, what the page shows, what is chosen, and the pairs.
        people: everybody who has come, by name.
        assigner: gives them their pairs.
        unsaved: how many answers are not yet saved elsewhere; None if they are not saved elsewhere at all.
        on_answer: called after each answer with their number.
    """

    def __init__(self, store: Store, content: PageContent, rng: random.Random | None = None) -> None:
        self.store, self.content, self.study, self.material = store, content, content.study, content.material
        self.unsaved: Callable[[], int] | None = None
        self.on_answer: Callable[[int], None] = lambda answers: None
        self.assigner = PairAssigner(store, self.study, self.material.truth, rng or random.SystemRandom())
        rows = store.rows("SELECT id, name FROM person")
        self.people = {row["name"]: Person.load(store, row["id"], row["name"]) for row in rows}
        gone = store.rows("SELECT data FROM event WHERE kind = 'withdrawn'")
        self._withdrawn = {json.loads(row["data"])["person"] for row in gone}
        self.assigner.count(self.people.values())

    @property
    def cost_limit(self) -> float:
        """The cost limit of an episode that the safety question means."""
        assert self.study.cost_limit is not None
        return self.study.cost_limit

    def person(self, name: str) -> Person:
        """The person of that name; nothing is stored of a person who has not done anything yet.

        Raises:
            Refusal: if he or she has withdrawn.
        """
        id = person_id(self.store, name)
        if id in self._withdrawn:
            raise Refusal("withdrawn", "You have withdrawn from this study, and your answers were deleted. Thank you.")
        return self.people.get(name) or Person(id, name)

    # What the page is given

    def session(self, person: Person, again: bool = False) -> dict[str, Any]:
        """Everything that the page needs when it opens; `again` starts a new session if the last one is over."""
        self._record_visit(person, again)
        return {**self.content.session(person), "state": self.state(person)}

    def state(self, person: Person) -> dict[str, Any]:
        """A person's progress and next items."""
        stage = self._stage(person)
        items = {"practice": person.practice, "questions": person.open}.get(stage, [])
        answered, done, seconds_each = len(person.standing), person.session_answered, person.seconds_each()
        left = self.assigner.expected_items(person, len(self.study.annotators) or len(self.people))
        return {
            "stage": stage,
            "upcoming": [self._described_item(person, item) for item in items[:AHEAD]],
            "progress": {
                "answered": answered,
                "total": answered + left,
                "seconds_left": None if seconds_each is None else round(seconds_each * left),
                "session_answered": done,
                "session_seconds_left": round(person.session_left),
                "break_due": done > 0 and done % BREAK_EVERY == 0,
                "can_undo": bool(person.standing),
                "not_yet_saved_remotely": self.unsaved() if self.unsaved is not None else None,
            },
        }

    def pair(self, person: Person, pair_id: int) -> bytes:
        """The data for drawing a pair that was assigned to the person."""
        if pair_id not in person.assigned:
            raise Refusal("not-found", "There is no such pair.")
        return self.material.pair(pair_id)

    # What is done

    def consent(self, person: Person, id: str, agreed: Any) -> dict[str, Any]:
        if agreed is False and not person.consented and not self.study.quick:
            state = self.state(person)
            with self.store.transaction():
                self.store.forget(person.id)
            self.store.compact(answers=False)
            self.people.pop(person.name, None)
            return state
        if agreed is True and not person.consented and not self.study.quick:
            with self._saved(person):
                self.store.event(person.id, "consent", {"wording": self._wording(person)}, id)
                person.requests[id] = "consent"
                person.consented = True
            self._record_visit(person, False)
        return self.state(person)

    def practice(self, person: Person, body: Any) -> dict[str, Any]:
        submitted = self._read_answer(person, body)
        item = person.items.get(submitted.item)
        if item is None or item.kind != "practice":
            raise Refusal("not-found", "There is no such practice pair.")
        if item.id not in person.practised and submitted.id not in person.requests:
            with self._saved(person):
                data = {"item": item.id, "pair_id": item.pair_id, **submitted.values, "milliseconds": submitted.milliseconds}
                self.store.event(person.id, "practice", data, submitted.id)
                person.requests[submitted.id] = item.id
                person.practised.add(item.id)
        feedback = feedback_on(
            self.study, self.material.truth, self.assigner.row_of[item.pair_id], item.swapped, submitted.values
        )
        return {"feedback": feedback if self.study.practice_feedback else [], "state": self.state(person)}

    def answer(self, person: Person, body: Any) -> dict[str, Any]:
        submitted = self._read_answer(person, body)
        if submitted.id in person.requests:
            return {"accepted": submitted.id, "duplicate": True, "state": self.state(person)}
        item = person.items.get(submitted.item)
        if item is None or item.kind == "practice":
            raise Refusal("not-found", "There is no such pair; please load the page again.")
        if item.id in person.standing:
            raise Refusal("answered", "This pair has been answered already, perhaps in another window; here is the next.")
        if not person.session or self._stage(person) in ("information", "practice"):
            raise Refusal("not-now", "Please read the information page, and do the practice pairs, first.")
        if not self.study.quick and 0 in submitted.plays:
            raise Refusal("not-played", "Please play both recordings before you answer.")
        self.material.check()
        self._record_activity(person)
        with self._saved(person):
            self._add(person, item, submitted)
            self.assigner.count(self.people.values())
            self.assigner.fill(person, self.people.values())
        self.on_answer(sum(len(other.standing) for other in self.people.values()))
        return {"accepted": submitted.id, "duplicate": False, "state": self.state(person)}

    def undo(self, person: Person, id: str) -> dict[str, Any]:
        """Undoes the last answer."""
        if id in person.requests:
            return {"undone": person.requests[id], "state": self.state(person)}
        if not person.standing:
            raise Refusal("not-now", "There is no answer to take back.")
        item, row = list(person.standing.items())[-1]
        self._record_activity(person)
        with self._saved(person):
            undone = {**undo_row(row, id), "received_at": self.store.now(), "session": person.session}
            self.store.add("answer" if person.items[item].kind == "ordinary" else "control", **undone)
            person.take(undone)
            person.session_answered -= row["session"] == person.session
            self.assigner.count(self.people.values())
        return {"undone": item, "state": self.state(person)}

    def leave(self, person: Person) -> None:
        """Marks the person as away, so that the open pairs can be assigned to others."""
        person.left = True

    def withdraw(self, person: Person) -> dict[str, Any]:
        """Deletes a person's rows; says what that changed."""
        answers = len(person.standing)
        with self.store.transaction():
            self.store.forget(person.id)
            self.store.event("", "withdrawn", {"person": person.id, "answers": answers})
        self.people.pop(person.name, None)
        self._withdrawn.add(person.id)
        self.assigner.count(self.people.values())
        self.store.compact()
        nothing = {"answered": 0, "total": 0, "seconds_left": None, "session_answered": 0, "session_seconds_left": 0}
        nothing |= {"break_due": False, "can_undo": False, "not_yet_saved_remotely": None}
        message = f"Your {answers} answers were deleted." if answers != 1 else "Your answer was deleted."
        return {"message": message, "state": {"stage": "withdrawn", "upcoming": [], "progress": nothing}}

    # How

    def _read_answer(self, person: Person, body: Any) -> SubmittedAnswer:
        return read_answer(body, tuple(question["key"] for question in self.content.questions(person)))

    def _stage(self, person: Person) -> str:
        if not self.study.quick and not person.consented:
            return "information"
        if not self.study.quick and person.practice:
            return "practice"
        if person.session and person.session_left <= 0:
            return "session-over"
        return "questions" if person.open or self.assigner.may_get_more(person) else "done"

    def _described_item(self, person: Person, item: Item) -> dict[str, Any]:
        before = person.undone.get(item.id)
        described = {"item": item.id, "pair_id": item.pair_id, "swapped": item.swapped, "practice": item.kind == "practice"}
        return {**described, "answers": answers_by_side(before, self.study.ask) if before is not None else None}

    def _record_visit(self, person: Person, again: bool) -> None:
        """Records activity; starts a session if there is none, or if the person was away for long."""
        began = not person.session or not person.recent or (again and person.session_left <= 0)
        with self._saved(person):
            if began:
                self.store.event(person.id, "session", {"number": person.session + 1})
                person.session, person.session_answered, person.began = person.session + 1, 0, time.monotonic()
            self._record_activity(person)
            if self.study.quick or person.consented:
                self.assigner.fill(person, self.people.values())

    def _record_activity(self, person: Person) -> None:
        """Records activity."""
        person.seen, person.left = time.monotonic(), False

    def _add(self, person: Person, item: Item, submitted: SubmittedAnswer) -> None:
        about = {"person": person.id, "received_at": self.store.now(), "wording": self._wording(person)}
        row = {**answer_row(submitted, item), **about, "session": person.session, "quick": int(self.study.quick)}
        self.store.add("answer" if item.kind == "ordinary" else "control", **row)
        person.take(row)
        person.session_answered += 1

    def _wording(self, person: Person) -> str:
        """The sha256 of all text that the person read; each text is stored once."""
        digest, text = self.content.wording(person)
        if not self.store.rows("SELECT 1 FROM wording WHERE sha256 = ?", digest):
            self.store.add("wording", sha256=digest, text=text)
        return digest

    @contextmanager
    def _saved(self, person: Person) -> Iterator[None]:
        """Context of a change that is made both in the store and in memory, or in neither."""
        try:
            with self.store.transaction():
                if person.name not in self.people:
                    self.store.add("person", id=person.id, name=person.name, time=self.store.now())
                yield
            self.people[person.name] = person
        except BaseException:
            fresh = Person.load(self.store, person.id, person.name)
            fresh.began, fresh.seen, fresh.left = person.began, person.seen, person.left
            person.__dict__.update(fresh.__dict__)
            self.assigner.count(self.people.values())
            raise
