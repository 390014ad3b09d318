"""A small dataset, a study of it in this process, and a person who answers."""

from __future__ import annotations

import random
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from safefeedback.annotate.app import application
from safefeedback.annotate.guard import Guard
from safefeedback.annotate.live_study import LiveStudy
from safefeedback.annotate.material import Material
from safefeedback.annotate.page_content import PageContent
from safefeedback.annotate.store import Store, answers_file
from safefeedback.annotate.study import update_study

QUESTIONS = ("preference", "safe_left", "safe_right")


class Server:
    """A study behind its web application, without a network."""

    def __init__(self, folder: Path, seed: int = 0, tokens: bool = False, name: str = "lab1", **given: Any) -> None:
        self.material = Material(folder)
        path = answers_file(folder, name)
        self.store = (
            Store.open(path)
            if path.exists()
            else Store.create(path, folder.name, self.material.content_sha256, f"{name}{seed}")
        )
        study = update_study(self.store, given)
        limit = study.cost_limit if study.cost_limit is not None else 20.0
        content = PageContent(
            name, replace(study, cost_limit=limit), self.material, [{"heading": "Aim", "paragraphs": ["Words."]}]
        )
        self.live = LiveStudy(self.store, content, random.Random(seed))
        self.guard = Guard(self.store, frozenset({"testserver"}), tokens, study.annotators)
        self.guard.people.burst = self.guard.people.a_second = 1e9
        self.client = TestClient(application(self.live, self.guard), raise_server_exceptions=False)

    def person(self, name: str = "ann", **headers: str) -> Visitor:
        return Visitor(self.client, headers or {"X-Annotator": name})


class Visitor:
    """A person's browser."""

    def __init__(self, client: TestClient, headers: dict[str, str]) -> None:
        self.client, self.headers = client, headers

    def get(self, path: str) -> Any:
        return self.client.get(f"/api/{path}", headers=self.headers)

    def post(self, path: str, **body: Any) -> Any:
        return self.client.post(f"/api/{path}", headers=self.headers, json=body)

    def state(self) -> dict[str, Any]:
        return self.get("session").json()["state"]

    def answer(self, item: dict[str, Any], path: str = "answer", **values: Any) -> Any:
        """Answers an item: by default the left one is better and both are safe."""
        given = {"preference": "left", "safe_left": "safe", "safe_right": "safe", **values}
        body = {"id": str(uuid.uuid4()), "item": item["item"], "milliseconds": 1500, "plays": [1, 1], "page": "1", **given}
        return self.post(path, **body)

    def answer_all(self, most: int = 10_000, **values: Any) -> dict[str, Any]:
        """Answers up to this many items; returns the last state."""
        state = self.state()
        for _ in range(most):
            if not state["upcoming"]:
                break
            reply = self.answer(state["upcoming"][0], **values)
            assert reply.status_code == 200, reply.text
            state = reply.json()["state"]
        return state
