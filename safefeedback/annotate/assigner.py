"""Assigns pairs to annotators, and counts the answers to each pair."""

from __future__ import annotations

import hashlib
import math
import random
import secrets
from collections.abc import Iterable

import numpy as np

from safefeedback.annotate import assignment
from safefeedback.annotate.material import Truth
from safefeedback.annotate.person import Item, Person
from safefeedback.annotate.store import Store
from safefeedback.annotate.study import Study

AHEAD = 3  # items given at once: the current one and those to fetch


class PairAssigner:
    """The assignment of pairs to annotators.

    Attributes:
        pools: what the pairs are used for.
        answered: how many persons have answered each pair, int [N].
        row_of: pair_id -> row.
    """

    def __init__(self, store: Store, study: Study, truth: Truth, rng: random.Random) -> None:
        self.store, self.study, self.truth, self.rng = store, study, truth, rng
        assert study.cost_limit is not None
        self.seed = int(hashlib.sha256(store.about["id"].encode()).hexdigest()[:15], 16)
        self.pools = assignment.pools(study, truth, study.cost_limit, self.seed)
        self.row_of = {int(pair): row for row, pair in enumerate(truth.pair_id)}
        self.answered = np.zeros(len(truth.pair_id), np.int64)
        self.set_order(None)

    def set_order(self, asked: dict[int, float] | None) -> None:
        """Sorts the pairs again; `asked` is the output of `presa ask`."""
        assert self.study.cost_limit is not None
        self.weight = assignment.weights(self.study.order, self.truth, self.study.cost_limit, asked)
        self.key = assignment.keys(self.weight, self.seed)

    def count(self, people: Iterable[Person]) -> None:
        """Counts again how many persons have answered each pair."""
        self.answered[:] = 0
        for person in people:
            items = (person.items[id] for id in person.standing if id in person.items)
            self.answered[list({self.row_of[item.pair_id] for item in items if item.kind == "ordinary"})] += 1

    def fill(self, person: Person, people: Iterable[Person]) -> None:
        """Assigns a person the next items, within `Store.transaction`."""
        if not self.study.quick and not any(item.kind == "practice" for item in person.items.values()):
            for row in np.flatnonzero(self.pools.practice):
                self._assign(person, assignment.DrawnPair(int(row), "practice", "practice", 1.0))
        taken = self.answered.copy()
        others = (other for other in people if other is not person and other.present)
        for item in (item for other in others for item in other.open if item.kind == "ordinary"):
            taken[self.row_of[item.pair_id]] += 1
        for item in person.open:
            if item.kind == "ordinary" and taken[self.row_of[item.pair_id]] >= self.study.overlap:
                self.store.event(person.id, "release", {"item": item.id})
                person.released.add(item.id)
        while len(person.open) < AHEAD:
            assigned_rows = {self.row_of[pair] for pair in person.assigned}
            again = [self.row_of[pair] for pair in person.repeatable(assignment.APART)]
            drawn = assignment.draw(self.study, self.pools, self.weight, self.key, taken, assigned_rows, again, self.rng)
            if drawn is None:
                return
            self._assign(person, drawn)

    def may_get_more(self, person: Person) -> bool:
        """Whether pairs assigned to others may still become available to the person."""
        had = {self.row_of[pair] for pair in person.assigned}
        return any(row not in had for row in np.flatnonzero(self.pools.ordinary & (self.answered < self.study.overlap)))

    def expected_items(self, person: Person, people: int) -> int:
        """About how many items a person can expect, given how many the others take.

        Gold pairs and repeats enter by their expected number: a count that rises when one is assigned would reveal it.
        """
        study = self.study
        had = np.zeros(len(self.answered), bool)
        had[[self.row_of[pair] for pair in person.assigned]] = True
        free = self.pools.ordinary & ~had & (self.answered < study.overlap)
        answers_left = int((study.overlap - self.answered[free]).sum())
        ordinary = min(int(free.sum()), math.ceil(answers_left / max(study.overlap, people)))
        if not ordinary and not person.open:
            return 0
        dealt = [item for item in person.items.values() if item.kind == "ordinary" and item.id not in person.released]
        expected = math.floor((len(dealt) + ordinary) / (1 - study.gold - study.repeat))
        return max(len(person.open), expected - len(person.standing))

    def _assign(self, person: Person, draw: assignment.DrawnPair) -> None:
        pair_id = int(self.truth.pair_id[draw.row])
        item = Item(secrets.token_hex(8), pair_id, draw.kind, bool(self.rng.getrandbits(1)), len(person.items))
        chance = {"draw": draw.order, "probability": draw.probability, "position": item.position}
        place = {"pair_id": pair_id, "kind": draw.kind, "swapped": int(item.swapped)}
        self.store.add("item", id=item.id, person=person.id, **place, **chance, time=self.store.now())
        person.items[item.id] = item
