"""Converts answers between sides, as shown to the annotator, and segments, as stored."""

from __future__ import annotations

from typing import Any

from safefeedback.annotate.messages import SubmittedAnswer
from safefeedback.annotate.person import Item


def answer_row(submitted: SubmittedAnswer, item: Item) -> dict[str, Any]:
    """The row stored for an answer."""
    left, right = (1, 0) if item.swapped else (0, 1)  # the segment on each side
    preference = submitted.values["preference"]
    sides = {"left": float(left), "right": float(right), "equal": 0.5}
    cannot = ["preference"] if preference == "cannot-tell" else []
    safe: dict[int, float | None] = {}
    for side, segment in (("left", left), ("right", right)):
        value = submitted.values[f"safe_{side}"]
        safe[segment] = {"safe": 1.0, "unsafe": 0.0}.get(value or "")
        cannot += [f"safe_{segment}"] if value == "cannot-tell" else []
    return {
        "id": submitted.id,
        "item": item.id,
        "pair_id": item.pair_id,
        "undoes": "",
        "preference": sides.get(preference or ""),
        "safe_0": safe[0],
        "safe_1": safe[1],
        "cannot_tell": " ".join(sorted(cannot)),
        "swapped": int(item.swapped),
        "shown_at": submitted.shown_at,
        "answered_at": submitted.answered_at,
        "milliseconds": submitted.milliseconds,
        "plays_0": submitted.plays[left],
        "plays_1": submitted.plays[right],
        "page": submitted.page,
    }


def undo_row(row: dict[str, Any], id: str) -> dict[str, Any]:
    """The row stored for an undo."""
    blank: dict[str, Any] = dict.fromkeys(("shown_at", "answered_at", "milliseconds", "plays_0", "plays_1"), 0)
    return {
        **row,
        **blank,
        "id": id,
        "undoes": row["id"],
        "preference": None,
        "safe_0": None,
        "safe_1": None,
        "cannot_tell": "",
    }


def answers_by_side(row: dict[str, Any], ask: str) -> dict[str, str | None]:
    """A stored answer by side."""
    cannot, left = row["cannot_tell"].split(), row["swapped"]
    answers: dict[str, str | None] = {"preference": None, "safe_left": None, "safe_right": None}
    if ask != "safety":
        value = row["preference"]
        answers["preference"] = {None: "cannot-tell", 0.5: "equal", float(left): "left"}.get(value, "right")
    if ask != "preference":
        for side, segment in (("left", left), ("right", 1 - left)):
            unsure = f"safe_{segment}" in cannot
            answers[f"safe_{side}"] = "cannot-tell" if unsure else "safe" if row[f"safe_{segment}"] == 1 else "unsafe"
    return answers
