"""The settings of a study, and who may answer."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from base64 import urlsafe_b64encode
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from safefeedback.annotate.store import Store
from safefeedback.errors import InputError

ASK = ("both", "preference", "safety")
SAFETY_QUESTIONS = ("limit", "any", "judgement")
ORDERS = {
    "random": "every pair is as likely as any other",
    "uncertain": "the pairs that `presa ask` is least sure of, one in five at random",
    "near-limit": "segments whose true cost is near the limit come first (reads the truth)",
    "stratified": "pairs with a truly unsafe segment are as likely as those without (reads the truth)",
}
READS_TRUTH = ("near-limit", "stratified")
NAME = re.compile(r"[A-Za-z0-9][\w-]{0,39}", re.ASCII)
MEANING = ("ask", "safety_question", "cost_limit")  # of the answers
FIXED = (*MEANING, "gold", "quick")  # once there are answers


@dataclass(frozen=True)
class Study:
    """The settings of a study.

    Attributes:
        ask: "both", or only the "preference" or the "safety" of pairs.
        safety_question: what safe means: within the cost "limit", not over the line at "any" step, or the person's "judgement".
        cost_limit: kappa, of a whole episode, in the question "limit".
        overlap: how many persons answer each pair.
        gold: share of the items whose answer is known from the truth.
        repeat: share of the items that were asked before.
        order: which pairs come first, one of ORDERS.
        practice: how many practice pairs.
        practice_feedback: whether a person is told after a practice pair what was right.
        cost_cues: whether the drawing marks the steps that cost.
        quick: no information page, consent or practice, and the clips need not be played.
        annotators: names of those who may answer; none: anybody on this machine, by name.

    Raises:
        InputError: if a value cannot be used.
    """

    ask: str = "both"
    safety_question: str = "limit"
    cost_limit: float | None = None
    overlap: int = 1
    gold: float = 0.0
    repeat: float = 0.0
    order: str = "random"
    practice: int = 3
    practice_feedback: bool = True
    cost_cues: bool = False
    quick: bool = False
    annotators: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field, known in (("ask", ASK), ("safety_question", SAFETY_QUESTIONS), ("order", tuple(ORDERS))):
            if getattr(self, field) not in known:
                option = field.replace("_", "-")
                raise InputError(f"--{option} has no '{getattr(self, field)}': choose from {', '.join(known)}")
        if not (self.gold >= 0 and self.repeat >= 0 and self.gold + self.repeat <= 0.5):
            raise InputError(f"--gold {self.gold:g} and --repeat {self.repeat:g} must not be negative, nor above 0.5 together")
        if self.overlap < 1 or (self.annotators and self.overlap > len(self.annotators)):
            raise InputError(f"--overlap {self.overlap}: each pair goes to 1 or more, and no more than there are annotators")
        if self.cost_limit is not None and not 0 <= self.cost_limit <= 1e100:
            raise InputError(f"--cost-limit must be 0 or a positive number, not {self.cost_limit}")
        for name in self.annotators:
            check_person(name)
        if len(set(self.annotators)) < len(self.annotators):
            raise InputError("--annotators names somebody twice")

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "annotators": list(self.annotators)}

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Study:
        known = {field.name for field in fields(Study)}
        stored_study = {key: value for key, value in values.items() if key in known}
        return Study(**{**stored_study, "annotators": tuple(stored_study.get("annotators", ()))})


def check_person(name: str) -> str:
    """Raises InputError if an annotator cannot have that name."""
    if not NAME.fullmatch(name):
        raise InputError(f"an annotator cannot be called '{name}': take 1 to 40 letters, digits, dashes and underscores")
    return name


def stored_study(store: Store) -> Study:
    """The latest stored settings."""
    settings = store.rows("SELECT study FROM settings ORDER BY seq DESC LIMIT 1")
    return Study.from_dict(json.loads(settings[0]["study"])) if settings else Study()


def update_study(store: Store, changes: dict[str, Any]) -> Study:
    """The stored settings updated with the given ones, and stored if they differ.

    Raises:
        InputError: if one cannot be used, or would change the meaning of existing answers.
    """
    before = stored_study(store)
    study = replace(before, **changes)
    if store.rows("SELECT 1 FROM every_answer LIMIT 1"):
        for field in FIXED:
            if getattr(before, field) != getattr(study, field):
                raise InputError(
                    f"{store.path} holds answers that were given with another --{field.replace('_', '-')} "
                    f"({getattr(before, field)}): leave it out, or choose another --name"
                )
    if study != before or not store.rows("SELECT 1 FROM settings LIMIT 1"):
        with store.transaction():
            store.add("settings", time=store.now(), study=json.dumps(study.to_dict()))
    return study


def person_id(store: Store, name: str) -> str:
    """The pseudonym of a person, used wherever the name must not appear."""
    return _keyed(store, f"person {name}").hex()[:16]


def token(store: Store, name: str) -> str:
    """The secret of a person's link; the same again after a restart, as it is made from the store's own secret."""
    return urlsafe_b64encode(_keyed(store, f"token {name}")[:24]).decode()


def person_of_token(store: Store, names: tuple[str, ...], presented: str) -> str | None:
    """The person whose token it is, compared in constant time."""
    match = None
    for name in names:
        if hmac.compare_digest(token(store, name).encode(), presented.encode()):
            match = name
    return match


def _keyed(store: Store, text: str) -> bytes:
    return hmac.digest(store.about["secret"].encode(), text.encode(), hashlib.sha256)
