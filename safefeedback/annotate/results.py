"""Results of a study, during it and afterwards: the number, quality and speed of each annotator's answers."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np

from safefeedback.annotate.material import Truth
from safefeedback.annotate.measures import agreement_with_others, best_limit, binomial_tail, krippendorff_alpha, raw_agreement
from safefeedback.annotate.standing_answers import GOLD, ORDINARY, REPEAT, VALUES, StandingAnswers, withdrawn
from safefeedback.annotate.store import Store
from safefeedback.annotate.study import Study

FEWEST = 8  # answers, before there can be doubts about a person
ONE_SIDED = 0.9  # share of the preferences for one side
DOUBTFUL = 0.05  # above this probability, a person's answers may be guesses
HURRIED = 0.25  # of the others' median time
PARTS = ((1, 25), (26, 50), (51, None))  # answers of a session


def results(store: Store, study: Study, truth: Truth, standing: StandingAnswers | None = None) -> dict[str, Any]:
    """Numbers about a study, or about some of its answers, JSON-ready; shares are None where there is nothing to count."""
    standing = StandingAnswers.of(store) if standing is None else standing
    row_of = {int(pair): row for row, pair in enumerate(truth.pair_id)}
    votes = standing.votes()
    people = {
        name: _person(standing, person, column, votes, study, truth, row_of)
        for column, (person, name) in enumerate(standing.names.items())
    }
    times = [entry["median_seconds"] for entry in people.values() if entry["median_seconds"] is not None]
    for name, entry in people.items():
        others = [two["median_seconds"] for other, two in people.items() if other != name and two["median_seconds"] is not None]
        entry["doubts"] += _haste(entry, others)
    first = standing.first()
    judged = [(row, side) for row in first.values() for side in (0, 1) if row[f"safe_{side}"] is not None]
    costs = np.array([truth.costs[row_of[row["pair_id"]], side] for row, side in judged])
    limit = best_limit(costs, np.array([row[f"safe_{side}"] for row, side in judged]))
    return {
        "pairs": len(truth.pair_id),
        "pairs_answered": len({pair for pair, _ in first}),
        "answers": len(first),
        "pairs_answered_by": {
            str(count): sum(value == count for value in _per_pair(first).values())
            for count in sorted(set(_per_pair(first).values()))
        },
        "agreement": {
            question: {"alpha": _round(krippendorff_alpha(values)), "raw": _round(raw_agreement(values))}
            for question, values in votes.items()
        },
        "explaining_cost_limit": None
        if limit is None
        else {"cost_limit": limit[0] * truth.horizon / truth.length, "segment_cost": limit[0], "explains": _round(limit[1])},
        "median_seconds": statistics.median(times) if times else None,
        "people": people,
        "withdrawn": len(withdrawn(store)),
    }


def _person(
    standing: StandingAnswers,
    person: str,
    column: int,
    votes: dict[str, np.ndarray],
    study: Study,
    truth: Truth,
    row_of: dict[int, int],
) -> dict[str, Any]:
    ordinary, gold = standing.of_person(person, ORDINARY), standing.of_person(person, GOLD)
    rows = standing.of_person(person, ORDINARY, GOLD, REPEAT)
    right = [(row, key, _right(row, key, study, truth, row_of)) for row in gold for key in VALUES if row[key] is not None]
    known = [(row, key, ok) for row, key, ok in right if ok is not None]
    twice = standing.repeats(person)
    same = [
        first_answer[key] == second_answer[key]
        for first_answer, second_answer in twice
        for key in VALUES
        if first_answer[key] is not None and second_answer[key] is not None
    ]
    sides = [row["preference"] != row["swapped"] for row in rows if row["preference"] in (0, 1)]  # True: the right one
    facts = {
        "answers": len(ordinary),
        "cannot_tell": _round(_share([bool(row["cannot_tell"]) for row in rows])),
        "gold": {"answers": len(known), "accuracy": _round(_share([ok for *_, ok in known]))},
        "gold_by_question": {
            name: _round(_share([ok for _, key, ok in known if key.startswith(name)])) for name in ("preference", "safe")
        },
        "gold_by_position": _by_position(rows, known),
        "repeats": {"answers": len(same), "consistency": _round(_share(same))},
        "left": _round(_share([not right for right in sides])),
        "median_seconds": statistics.median([row["milliseconds"] / 1000 for row in rows]) if rows else None,
        "quick": bool(rows) and all(row["quick"] for row in rows),
        "excluded": person in standing.excluded,
    }
    shared = {question: agreement_with_others(values, column) for question, values in votes.items()}
    facts["with_others"] = {question: _round(agreed / of) if of else None for question, (agreed, of) in shared.items()}
    return {**facts, "doubts": _doubts(sides, [ok for *_, ok in known], shared)}


def _right(row: dict[str, Any], key: str, study: Study, truth: Truth, row_of: dict[int, int]) -> bool | None:
    """Whether an answer to a gold pair is right; None if it was not answered."""
    returns, costs = truth.returns[row_of[row["pair_id"]]], truth.costs[row_of[row["pair_id"]]]
    if key == "preference":
        return bool(row[key] == (0.5 if returns[0] == returns[1] else float(returns[1] > returns[0])))
    if study.safety_question == "judgement":
        return None
    limit = truth.limit(study.cost_limit or 0.0) if study.safety_question == "limit" else 0.0
    return bool((row[key] == 1) == (costs[int(key[-1])] <= limit))


def _by_position(rows: list[dict[str, Any]], known: list[tuple[dict[str, Any], str, bool]]) -> dict[str, float | None]:
    """Accuracy on gold pairs early and late in a session."""
    place: dict[str, int] = {}
    counts: dict[int, int] = {}
    for row in rows:
        counts[row["session"]] = counts.get(row["session"], 0) + 1
        place[row["id"]] = counts[row["session"]]
    return {
        f"{first} to {last}" if last else f"from {first}": _round(
            _share([ok for row, _, ok in known if first <= place[row["id"]] <= (last or place[row["id"]])])
        )
        for first, last in PARTS
    }


def _doubts(sides: list[bool], gold: list[bool], shared: dict[str, tuple[int, int]]) -> list[str]:
    """Reasons to doubt a person's answers, in words."""
    doubts = []
    right = sum(sides)
    if len(sides) >= FEWEST and max(right, len(sides) - right) >= ONE_SIDED * len(sides):
        side = "right" if right * 2 > len(sides) else "left"
        doubts.append(f"takes the {side} one in {max(right, len(sides) - right)} of {len(sides)} decided pairs")
    if len(gold) >= FEWEST and binomial_tail(sum(gold), len(gold)) > DOUBTFUL:
        doubts.append(f"is right in {sum(gold)} of {len(gold)} gold answers, which guessing may be as well")
    for question, (agreed, of) in shared.items():
        if of >= 2 * FEWEST and binomial_tail(agreed, of) > DOUBTFUL:
            doubts.append(f"agrees with the others in {agreed} of {of} answers about {question}, as one who guesses would")
    return doubts


def _haste(entry: dict[str, Any], others: list[float]) -> list[str]:
    own = entry["median_seconds"]
    if own is None or not others or own >= HURRIED * statistics.median(others):
        return []
    return [f"takes {own:.1f} s for a pair, the others {statistics.median(others):.1f} s"]


def _per_pair(first: dict[tuple[int, str], dict[str, Any]]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for pair, _ in first:
        counts[pair] = counts.get(pair, 0) + 1
    return counts


def _share(found: list[bool]) -> float | None:
    return sum(found) / len(found) if found else None


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
