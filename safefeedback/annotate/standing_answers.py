"""The stored answers of a study as arrays, for its results and for its label set."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from safefeedback.annotate.store import Store

VALUES = ("preference", "safe_0", "safe_1")
ORDINARY, GOLD, REPEAT = "ordinary", "gold", "repeat"


@dataclass(frozen=True)
class StandingAnswers:
    """Every answer that was not undone, oldest first.

    Attributes:
        rows: as in the store, with the item's kind, position, draw and probability.
        names: person id -> name, in the order of coming.
        excluded: ids of those who are left out of the consensus.
    """

    rows: list[dict[str, Any]]
    names: dict[str, str]
    excluded: set[str]

    @staticmethod
    def of(store: Store) -> StandingAnswers:
        items = {row["id"]: dict(row) for row in store.rows("SELECT * FROM item")}
        answers = [dict(row) for row in store.rows("SELECT * FROM every_answer ORDER BY received_at, seq")]
        undone = {row["undoes"] for row in answers}
        rows = [
            {**row, **{key: items[row["item"]][key] for key in ("kind", "position", "draw", "probability")}}
            for row in answers
            if not row["undoes"] and row["id"] not in undone and row["item"] in items
        ]
        people = store.rows("SELECT id, name FROM person ORDER BY time, rowid")
        return StandingAnswers(rows, {row["id"]: row["name"] for row in people}, store.excluded())

    def first(self) -> dict[tuple[int, str], dict[str, Any]]:
        """The answer that counts for each pair and person: the first to an ordinary item."""
        first_answers: dict[tuple[int, str], dict[str, Any]] = {}
        for row in self.rows:
            if row["kind"] == ORDINARY:
                first_answers.setdefault((row["pair_id"], row["person"]), row)
        return first_answers

    def of_person(self, person: str, *kinds: str) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["person"] == person and row["kind"] in kinds]

    def votes(self) -> dict[str, np.ndarray]:
        """The answers to each question, [M, K]: a row a pair (a segment, for safety), a column a person; NaN for none."""
        first, people = self.first(), {person: column for column, person in enumerate(self.names)}
        pairs = {pair: row for row, pair in enumerate(sorted({pair for pair, _ in first}))}
        values = np.full((3, len(pairs), len(people)), np.nan)
        for (pair, person), row in first.items():
            values[:, pairs[pair], people[person]] = [np.nan if row[key] is None else row[key] for key in VALUES]
        return {"preference": values[0], "safety": np.concatenate(values[1:])}

    def repeats(self, person: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """A person's first and second answer to each pair that was asked twice."""
        first = self.first()
        again = self.of_person(person, REPEAT)
        return [(first[row["pair_id"], person], row) for row in again if (row["pair_id"], person) in first]


def withdrawn(store: Store) -> list[dict[str, Any]]:
    """The persons who withdrew, by id, and how many answers of theirs were deleted."""
    return [json.loads(row["data"]) for row in store.rows("SELECT data FROM event WHERE kind = 'withdrawn'")]
