"""Access control: which requests are accepted, and from which annotator."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from safefeedback.annotate.refusal import Refusal
from safefeedback.annotate.store import Store
from safefeedback.annotate.study import NAME, person_of_token

LARGEST_BODY = 16 << 10
A_SECOND, BURST = 20.0, 60.0  # requests of one person
STRANGERS_A_SECOND, STRANGERS_BURST = 5.0, 40.0  # failed attempts from one address
MOST_KEPT = 10_000
HEADERS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors "
)


@dataclass
class Rate:
    """A rate limiter: a token bucket for each key."""

    a_second: float
    burst: float
    _buckets: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, key: str) -> None:
        """Raises Refusal if nothing is left."""
        now = time.monotonic()
        left, then = self._buckets.pop(key, (self.burst, now))
        left = min(self.burst, left + (now - then) * self.a_second)
        self._buckets[key] = (max(0.0, left - 1), now)
        if len(self._buckets) > MOST_KEPT:
            del self._buckets[next(iter(self._buckets))]
        if left < 1:
            raise Refusal("rate", "That was a lot at once; please wait a second.")


@dataclass
class Guard:
    """Checks requests.

    Attributes:
        hosts: accepted host names, with ports; empty for any.
        tokens: whether a person is known by a secret token, and not by name.
        names: of those who may answer; empty: anybody, by name.
        ancestors: who may show the page in a frame.
    """

    store: Store
    hosts: frozenset[str]
    tokens: bool
    names: tuple[str, ...]
    ancestors: str = "'none'"
    people: Rate = field(default_factory=lambda: Rate(A_SECOND, BURST))
    strangers: Rate = field(default_factory=lambda: Rate(STRANGERS_A_SECOND, STRANGERS_BURST))

    @property
    def headers(self) -> dict[str, str]:
        """Of every response."""
        return {**HEADERS, "Content-Security-Policy": POLICY + self.ancestors}

    def check(self, request: Request) -> None:
        """Raises Refusal if the request comes from another site, or is meant for another."""
        host = request.headers.get("host", "")
        if self.hosts and host.lower() not in self.hosts:
            raise Refusal("host", "This address is not the study's; please open the link that you were given.")
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            raise Refusal("origin", "This request came from another site and was refused.")
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") and request.method != "GET":
            raise Refusal("origin", "This request came from another site and was refused.")

    def annotator_name(self, request: Request) -> str:
        """The name of the annotator who sent the request.

        Raises:
            Refusal: if nobody of that name may answer, or the requests are too frequent.
        """
        address = request.client.host if request.client else ""
        name = self._name(request)
        if name is None:
            self.strangers.take(address)
            if self.tokens:
                raise Refusal("who", "This link is not valid; please open the personal link that you were given.")
            raise Refusal("who", "Nobody of that name takes part in this study.")
        self.people.take(name)
        return name

    def _name(self, request: Request) -> str | None:
        if self.tokens:
            kind, _, token = request.headers.get("authorization", "").partition(" ")
            return person_of_token(self.store, self.names, token.strip()) if kind.lower() == "bearer" else None
        name = request.headers.get("x-annotator", "")
        return name if NAME.fullmatch(name) and (not self.names or name in self.names) else None


async def read_json(request: Request) -> Any:
    """The JSON of a request.

    Raises:
        Refusal: if it is too large, or is not JSON.
    """
    import json

    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal("bad-request", "The request must be JSON.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise Refusal("too-large", "The request is too large.")
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal("bad-request", "The request is not JSON.") from None
