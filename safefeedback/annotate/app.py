"""The web application: a static page and its JSON API. No path of a request is used as a path on disk."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from safefeedback.annotate.frames import Frames
from safefeedback.annotate.guard import Guard, read_json
from safefeedback.annotate.live_study import LiveStudy
from safefeedback.annotate.messages import read_choice, read_id
from safefeedback.annotate.refusal import Refusal

KINDS = {"html": "text/html; charset=utf-8", "js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}
KINDS |= {"svg": "image/svg+xml"}
FAILED = "The server failed; nothing was lost. Please try again."
NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


def application(live: LiveStudy, guard: Guard, frames: Frames | None = None) -> Starlette:
    """The study as a web application."""
    page = _page()

    def open_to_all(call: Callable[[Request], Any]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            guard.check(request)
            return call(request)

        return endpoint

    def endpoint_of_person(call: Callable[[Any, Request], Any]) -> Callable[[Request], Awaitable[Response]]:
        """Responds with the JSON or bytes that `call` returns for the person of the request."""

        async def endpoint(request: Request) -> Response:
            guard.check(request)
            name = guard.annotator_name(request)
            body = await read_json(request) if request.method == "POST" else None
            person = live.person(name)  # from here on nothing is awaited: requests change the study one after another
            argument: Any = body if request.method == "POST" else request
            try:
                response = call(person, argument)
            except Refusal as refusal:
                extra = {"state": live.state(person)} if refusal.code == "answered" else {}
                return _refused(refusal, extra)
            return (
                Response(response, media_type="application/octet-stream")
                if isinstance(response, bytes)
                else JSONResponse(response)
            )

        return endpoint

    def static(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in page:
            raise Refusal("not-found", "There is no such page.")
        return Response(page[name], media_type=KINDS[name.rpartition(".")[2]])

    def study(request: Request) -> Response:
        names = list(guard.names) or None
        settings = {"identity": "token" if guard.tokens else "name", "names": None if guard.tokens else names}
        return JSONResponse({**settings, "study": live.content.name, "task": live.material.task.name})

    def pair(person: Any, request: Request) -> bytes:
        return live.pair(person, _whole(request.path_params["pair_id"]))

    def frame(person: Any, request: Request) -> Any:
        pair_id, segment = _whole(request.path_params["pair_id"]), _whole(request.path_params["segment"])
        if frames is None or pair_id not in person.assigned or segment not in (0, 1):
            raise Refusal("not-found", "There are no frames of this segment.")
        return frames.image(pair_id, segment)

    def leave(person: Any, body: Any) -> dict[str, Any]:
        live.leave(person)
        return {}

    def withdraw(person: Any, body: Any) -> dict[str, Any]:
        read_id(body)
        if read_choice(body, "confirm") != "withdraw":
            raise Refusal("bad-request", "To withdraw, 'confirm' must be 'withdraw'.")
        return live.withdraw(person)

    gets: dict[str, Callable[[Any, Any], Any]] = {
        "/api/session": lambda person, request: live.session(person),
        "/api/progress": lambda person, request: {"state": live.state(person)},
        "/api/pair/{pair_id}": pair,
        "/api/frames/{pair_id}/{segment}": frame,
    }
    posts: dict[str, Callable[[Any, Any], Any]] = {
        "/api/session": lambda person, body: live.session(person, again=True),
        "/api/consent": lambda person, body: {"state": live.consent(person, read_id(body), read_choice(body, "agreed"))},
        "/api/practice": live.practice,
        "/api/answer": live.answer,
        "/api/undo": lambda person, body: live.undo(person, read_id(body)),
        "/api/leave": leave,
        "/api/withdraw": withdraw,
    }
    routes = [Route(path, open_to_all(static), methods=["GET"]) for path in ("/", "/page/{name}")]
    routes += [Route("/api/study", open_to_all(study), methods=["GET"])]
    routes += [Route(path, endpoint_of_person(call), methods=["GET"]) for path, call in gets.items()]
    routes += [Route(path, endpoint_of_person(call), methods=["POST"]) for path, call in posts.items()]
    app = Starlette(
        routes=_one_route_each(routes),
        exception_handlers={Refusal: _on_refusal, HTTPException: _on_http, ClientDisconnect: _on_gone, Exception: _on_failure},
    )
    app.add_middleware(_WithHeaders, headers=guard.headers)
    return app


def _one_route_each(routes: list[Route]) -> list[Route]:
    """One route for each path, so that a wrong method gives a different error from a wrong path."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        for method in route.methods or ():
            paths.setdefault(route.path, {})[method] = route.endpoint

    def by_method(calls: dict[str, Any]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return await calls[request.method](request)

        return endpoint

    return [Route(path, by_method(calls), methods=list(calls)) for path, calls in paths.items()]


def _page() -> dict[str, bytes]:
    """The files of the page, by name."""
    folder = files("safefeedback.annotate") / "page"
    return {
        file.name: file.read_bytes() for file in folder.iterdir() if file.is_file() and file.name.rpartition(".")[2] in KINDS
    }


def _whole(text: str) -> int:
    if not NUMBER.fullmatch(text):
        raise Refusal("not-found", "There is no such pair.")
    return int(text)


def _refused(refusal: Refusal, extra: dict[str, Any] | None = None) -> Response:
    headers = {"Retry-After": "1"} if refusal.code in ("rate", "busy") else None
    error = {"error": {"code": refusal.code, "message": str(refusal)}, **(extra or {})}
    return JSONResponse(error, refusal.status, headers)


async def _on_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return _refused(error)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return _refused(Refusal("method", "That cannot be done here."))
    return _refused(Refusal("not-found", "There is no such page."))


async def _on_gone(request: Request, error: Exception) -> Response:
    return _refused(Refusal("bad-request", "The request was cut off."))


async def _on_failure(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": {"code": "failure", "message": FAILED}}, 500)


class _WithHeaders:
    """Adds headers to every response."""

    def __init__(self, app: ASGIApp, headers: dict[str, str]) -> None:
        self.app, self.headers = app, [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *self.headers]
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)
