"""Turns the answers into a label set of the dataset, as `labels import` does."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from safefeedback.annotate.material import Material
from safefeedback.annotate.results import results
from safefeedback.annotate.standing_answers import ORDINARY, StandingAnswers, withdrawn
from safefeedback.annotate.store import Store
from safefeedback.annotate.study import READS_TRUTH, Study
from safefeedback.dataset.answers import COLUMNS, EXTRA_COLUMNS, import_answers
from safefeedback.dataset.manifest import LabelSetManifest
from safefeedback.dataset.reading import open_dataset
from safefeedback.errors import InputError
from safefeedback.files import replacing, write_text


def finish(store: Store, study: Study, material: Material, name: str, consensus: str, overwrite: bool) -> LabelSetManifest:
    """Makes the label set of a study.

    Args:
        store, study, material: what was answered, chosen and shown; the study with its cost limit.
        name: of the label set.
        consensus: how several answers become one label.
        overwrite: whether a label set of that name is replaced.

    Returns:
        Its manifest.

    Raises:
        InputError: if there are no answers, or the set exists already; the message says what came since.
    """
    standing = StandingAnswers.of(store)
    rows = [row for row in standing.first().values() if row["person"] not in standing.excluded]
    if not rows:
        raise InputError(f"{store.path} holds no answers that count")
    _check_new(material.folder, name, len(rows), overwrite)
    file = store.path.with_suffix(".csv")
    with replacing(file) as partial:
        write_text(partial, answers_csv(rows, standing.names))
    about = _study_facts(store, study, material, standing, rows)
    limit = 0.0 if study.safety_question == "any" else study.cost_limit
    return import_answers(material.folder, file, name, consensus, limit, overwrite, about)


def answers_csv(rows: list[dict[str, Any]], names: dict[str, str]) -> str:
    """The answers that count, in the format of `labels import`; people are named annotator-1 and so on, and times are given
    as days.

    Args:
        rows: see `StandingAnswers`.
        names: person id -> name, in the order of coming.
    """
    answered = {row["person"] for row in rows}
    called = {
        person: f"annotator-{number}"
        for number, person in enumerate((person_id for person_id in names if person_id in answered), start=1)
    }
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *EXTRA_COLUMNS])
    for row in sorted(rows, key=lambda row: (row["pair_id"], called[row["person"]])):
        cannot = row["cannot_tell"].split()
        values = ["" if row[key] is None else f"{row[key]:g}" for key in ("preference", "safe_0", "safe_1")]
        flags = [_word(key in cannot) for key in ("preference", "safe_0", "safe_1")]
        more = [_word(row["swapped"]), row["position"], row["draw"], repr(row["probability"])]
        more += [round(row["milliseconds"] / 1000), day(row["received_at"]), _word(row["quick"])]
        writer.writerow([row["pair_id"], called[row["person"]], *values, *flags, *more])
    return text.getvalue()


def day(milliseconds: int) -> str:
    """The day of a time, in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).date().isoformat()


def _check_new(folder: Path, name: str, answers: int, overwrite: bool) -> None:
    existing = open_dataset(folder).label_sets.get(name)
    if existing is None or overwrite:
        return
    before = sum(entry["answers"] for entry in existing.history if entry["stage"] == "answers")
    since = f"{answers - before} answers came since" if answers > before else f"{before - answers} answers went since"
    since = since if answers != before else "no answer came since"
    raise InputError(
        f"{folder} has a label set '{name}' already, of {before} answers; {since}: add --overwrite to make it again"
    )


def _study_facts(
    store: Store, study: Study, material: Material, standing: StandingAnswers, rows: list[dict[str, Any]]
) -> dict[str, Any]:
    """How people were asked, for the label set's manifest."""
    kept = [row for row in standing.rows if row["person"] not in standing.excluded]
    numbers = results(store, study, material.truth, replace(standing, rows=kept))
    counted = {row["person"] for row in rows}
    people = [record for id, name in standing.names.items() if id in counted for record in [numbers["people"][name]]]
    consented = {row["person"] for row in store.rows("SELECT person FROM event WHERE kind = 'consent'")}
    used = {row["wording"] for row in rows}
    read = [json.loads(row["text"]) for row in store.rows("SELECT sha256, text FROM wording") if row["sha256"] in used]
    limit = numbers["explaining_cost_limit"]
    agreement = {
        name: {key: _float(value) for key, value in coefficients.items()} for name, coefficients in numbers["agreement"].items()
    }
    orders = {row["draw"] for row in rows if row["kind"] == ORDINARY}
    return {
        "annotators": len(counted),
        "left_out": len(standing.excluded & set(standing.names)),
        "withdrawn": len(withdrawn(store)),
        **{key: getattr(study, key) for key in ("overlap", "practice", "ask", "safety_question", "practice_feedback")},
        "order": ", ".join(sorted(orders)),
        "reads_truth": bool(orders & set(READS_TRUTH)) or study.gold > 0 or (study.practice > 0 and not study.quick),
        "first_day": day(min(row["received_at"] for row in rows)),
        "last_day": day(max(row["received_at"] for row in rows)),
        "gold": float(study.gold),
        "repeat": float(study.repeat),
        "cost_cues": study.cost_cues,
        "quick": any(row["quick"] for row in rows),
        "consent": counted <= consented,
        "frames": any(record.get("frames") for record in read),
        "median_seconds": _float(numbers["median_seconds"]),
        "agreement": agreement,
        "gold_accuracy": _mean([(record["gold"]["accuracy"], record["gold"]["answers"]) for record in people]),
        "consistency": _mean([(record["repeats"]["consistency"], record["repeats"]["answers"]) for record in people]),
        "explaining_cost_limit": None if limit is None else float(limit["cost_limit"]),
        "read": read,
    }


def _mean(shares: list[tuple[float | None, int]]) -> float | None:
    """One share from the shares of several persons."""
    total = sum(count for _, count in shares)
    return round(sum((share or 0.0) * count for share, count in shares) / total, 4) if total else None


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)


def _word(value: Any) -> str:
    return "true" if value else "false"
