"""Errors that are sent to an annotator's browser."""

from __future__ import annotations

STATUS = {
    "bad-request": 400,
    "who": 401,
    "origin": 403,
    "not-now": 403,
    "not-found": 404,
    "method": 405,
    "answered": 409,
    "withdrawn": 410,
    "too-large": 413,
    "host": 421,
    "not-played": 422,
    "rate": 429,
    "busy": 503,
    "dataset-changed": 503,
    "disk": 507,
}


class Refusal(Exception):
    """One plain sentence for a person, and a code for the page; `STATUS` has the HTTP status of each code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def status(self) -> int:
        return STATUS[self.code]
