"""Parses and checks the requests of an annotator's browser."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from safefeedback.annotate.refusal import Refusal

ID = re.compile(r"[0-9A-Fa-f-]{16,40}", re.ASCII)
PREFERENCES = ("left", "right", "equal", "cannot-tell")
SAFETIES = ("safe", "unsafe", "cannot-tell")
QUESTIONS = {"preference": PREFERENCES, "safe_left": SAFETIES, "safe_right": SAFETIES}
LARGEST = 2**53


@dataclass(frozen=True)
class SubmittedAnswer:
    """One person's answers about one item, by side as they were shown.

    Attributes:
        id: made by the browser, of this answer.
        item: what was answered.
        values: by question; None where it was not asked.
        shown_at, answered_at: milliseconds since 1970, by the browser's clock.
        milliseconds: between the two.
        plays: how often the left and the right clip were played.
        page: the page's version.
    """

    id: str
    item: str
    values: dict[str, str | None]
    shown_at: int
    answered_at: int
    milliseconds: int
    plays: tuple[int, int]
    page: str


def read_answer(body: Any, asked: tuple[str, ...]) -> SubmittedAnswer:
    """An answer from a request's JSON; `asked` are the questions of the study.

    Raises:
        Refusal: naming what is wrong.
    """
    body = _table(body)
    values: dict[str, str | None] = {}
    for key, known in QUESTIONS.items():
        value = body.get(key)
        if key in asked and value not in known:
            raise Refusal("bad-request", f"The answer to '{key}' is missing, or is not one of {', '.join(known)}.")
        if key not in asked and value is not None:
            raise Refusal("bad-request", f"The question '{key}' is not asked in this study.")
        values[key] = value
    plays = body.get("plays", [0, 0])
    if not isinstance(plays, list) or len(plays) != 2:
        raise Refusal("bad-request", "'plays' must be two numbers.")
    page = body.get("page", "")
    if not isinstance(page, str) or len(page) > 40 or not page.isascii():
        raise Refusal("bad-request", "'page' must be a short text.")
    shown_at, answered_at, spent = (_whole(body.get(key, 0), key) for key in ("shown_at", "answered_at", "milliseconds"))
    played = _whole(plays[0], "plays"), _whole(plays[1], "plays")
    return SubmittedAnswer(read_id(body), read_id(body, "item"), values, shown_at, answered_at, spent, played, page)


def read_id(body: Any, key: str = "id") -> str:
    """An identifier from a request's JSON."""
    value = _table(body).get(key)
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise Refusal("bad-request", f"'{key}' must be an identifier of 16 to 40 hexadecimal digits and dashes.")
    return value


def read_choice(body: Any, key: str) -> Any:
    """A value from a request's JSON."""
    return _table(body).get(key)


def _table(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise Refusal("bad-request", "The request must be a JSON object.")
    return body


def _whole(value: Any, key: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < LARGEST:
        raise Refusal("bad-request", f"'{key}' must be a number that is not negative.")
    return int(value)
