"""The state of one annotator, computed from the stored rows."""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

from safefeedback.annotate.store import Store

SESSION_SECONDS = 45 * 60
BREAK_EVERY = 50
AWAY_SECONDS = 30 * 60  # without activity: the open pairs are free for others, and the session is over
LATEST = 20  # number of answers for the median time


@dataclass(frozen=True)
class Item:
    """A pair that a person was given; as in the table `item`."""

    id: str
    pair_id: int
    kind: str
    swapped: bool
    position: int


@dataclass
class Person:
    """What a person has been given and has answered.

    Attributes:
        id, name: see `study.person_id`.
        items: all assigned items, by id.
        standing: the answers that were not taken back, oldest first: item -> row.
        undone: the answers that were taken back last: item -> row.
        requests: ids of all answers, undos and other requests, to recognise a retry.
        released: items that were given to somebody else.
        practised: practice items that were answered.
        consented: to the study's information page.
        session: number of the session, 0 before the first.
        session_answered: answers in it.
    """

    id: str
    name: str
    items: dict[str, Item] = field(default_factory=dict)
    standing: dict[str, dict[str, Any]] = field(default_factory=dict)
    undone: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: dict[str, str] = field(default_factory=dict)
    released: set[str] = field(default_factory=set)
    practised: set[str] = field(default_factory=set)
    consented: bool = False
    session: int = 0
    session_answered: int = 0
    began: float = 0.0  # of the session, by the clock that is never set back
    seen: float | None = None  # last activity, by that clock
    left: bool = False  # the page was closed since

    @staticmethod
    def load(store: Store, id: str, name: str) -> Person:
        """The person of that id, from the store."""
        person = Person(id, name)
        for row in store.rows("SELECT * FROM item WHERE person = ? ORDER BY position", id):
            item = Item(row["id"], row["pair_id"], row["kind"], bool(row["swapped"]), row["position"])
            person.items[item.id] = item
        began_at = active_at = 0
        for row in store.rows("SELECT * FROM event WHERE person = ? ORDER BY seq", id):
            data = json.loads(row["data"])
            person.requests[row["id"]] = row["kind"]
            if row["kind"] == "consent":
                person.consented = True
            elif row["kind"] == "practice":
                person.practised.add(data["item"])
                person.requests[row["id"]] = data["item"]
            elif row["kind"] == "release":
                person.released.add(data["item"])
            elif row["kind"] == "session":
                person.session += 1
                began_at = active_at = row["time"]
        for row in store.rows("SELECT * FROM every_answer WHERE person = ? ORDER BY received_at, seq", id):
            person.take(dict(row))
            active_at = max(active_at, row["received_at"])
        now = store.now()
        person.session_answered = sum(row["session"] == person.session for row in person.standing.values())
        person.began = time.monotonic() - max(0, now - began_at) / 1000
        if person.session:
            person.seen = time.monotonic() - max(0, now - active_at) / 1000
        return person

    def take(self, row: dict[str, Any]) -> None:
        """Records an answer or an undo."""
        self.requests[row["id"]] = row["item"]
        if row["undoes"]:
            self.undone[row["item"]] = self.standing.pop(row["item"], self.undone.get(row["item"], row))
        else:
            self.standing[row["item"]] = row

    @property
    def practice(self) -> list[Item]:
        """The practice items that are still to be answered."""
        return [item for item in self.items.values() if item.kind == "practice" and item.id not in self.practised]

    @property
    def open(self) -> list[Item]:
        """The items that are still to be answered, in the order in which they were given."""
        left = [
            item
            for item in self.items.values()
            if item.kind != "practice" and item.id not in self.standing and item.id not in self.released
        ]
        return sorted(left, key=lambda item: item.position)

    @property
    def assigned(self) -> set[int]:
        """The pair_ids of all assigned items."""
        return {item.pair_id for item in self.items.values()}

    def repeatable(self, apart: int) -> list[int]:
        """The pair_ids of ordinary answers that were followed by `apart` others, and not asked again."""
        again = {item.pair_id for item in self.items.values() if item.kind == "repeat"}
        old = list(self.standing)[: max(0, len(self.standing) - apart)]
        items = [self.items[id] for id in old if id in self.items]
        return [item.pair_id for item in items if item.kind == "ordinary" and item.pair_id not in again]

    @property
    def present(self) -> bool:
        """Whether the open items are reserved for this person."""
        return self.recent and not self.left

    @property
    def recent(self) -> bool:
        """Whether the session continues: closing and opening the page does not begin another."""
        return self.seen is not None and time.monotonic() - self.seen < AWAY_SECONDS

    @property
    def session_left(self) -> float:
        """Seconds until the session ends; 0 where none has begun, or the person was away for long."""
        if not self.session or not self.recent:
            return 0.0
        return max(0.0, SESSION_SECONDS - (time.monotonic() - self.began))

    def seconds_each(self) -> float | None:
        """The median time of the latest answers."""
        times = [row["milliseconds"] / 1000 for row in list(self.standing.values())[-LATEST:]]
        return statistics.median(times) if len(times) >= 3 else None
