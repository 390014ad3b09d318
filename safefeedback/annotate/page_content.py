"""The contents of a study's page, and the record of what a person read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from safefeedback.annotate import wording
from safefeedback.annotate.material import Material
from safefeedback.annotate.person import BREAK_EVERY, SESSION_SECONDS, Person
from safefeedback.annotate.study import Study

CONDITIONS = ("ask", "safety_question", "practice", "practice_feedback", "cost_cues", "quick")


@dataclass(frozen=True)
class PageContent:
    """What people read.

    Attributes:
        name: of the study.
        study, material: its choices, and what is shown.
        sections: of the information page.
        frames: what the page needs to know about frames of the simulator, if there are any.
    """

    name: str
    study: Study
    material: Material
    sections: list[wording.Section]
    frames: dict[str, Any] | None = None

    def questions(self, person: Person) -> list[dict[str, Any]]:
        """The questions in the person's order, which is random and the same after a restart."""
        task, truth = self.material.task, self.material.truth
        return wording.questions(self.study, task, truth.length, truth.horizon, safety_first=int(person.id[:8], 16) % 2 == 1)

    def session(self, person: Person) -> dict[str, Any]:
        """The study, the questions and the drawing."""
        study = {key: getattr(self.study, key) for key in ("quick", "ask", "practice_feedback", "cost_cues")}
        read = self._read()
        return {
            "study": {
                "name": self.name,
                "task": self.material.task.name,
                "annotator": person.name,
                **study,
                **read,
                "break_every": BREAK_EVERY,
                "session_seconds": SESSION_SECONDS,
            },
            "questions": self.questions(person),
            "view": self.material.view,
            "frames": self.frames,
        }

    def wording(self, person: Person) -> tuple[str, str]:
        """All that the person read, and under which conditions, as JSON, and its sha256."""
        questions = [[question["key"], question["text"]] for question in self.questions(person)]
        conditions = {key: getattr(self.study, key) for key in CONDITIONS}
        conditions |= {"cost_limit": self.study.cost_limit if self.study.safety_question == "limit" else None}
        read = {**self._read(), "questions": questions, **conditions, "frames": self.frames is not None}
        text = json.dumps(read, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest(), text

    def _read(self) -> dict[str, Any]:
        task, truth, study = self.material.task, self.material.truth, self.study
        aim, limit = wording.aim_of(task), wording.limit_sentence(study, task, truth.length, truth.horizon)
        content = {"aim": aim, "limit": limit, "instructions": wording.instructions(study, aim, limit)}
        return {
            **content,
            "information": [] if study.quick else self.sections,
            "consent": "" if study.quick else wording.CONSENT,
        }
