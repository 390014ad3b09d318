"""Merges answers to one dataset that were given on several machines."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

from safefeedback.annotate.store import PERSONAL, TABLES, Store
from safefeedback.annotate.study import MEANING, Study, stored_study, update_study
from safefeedback.errors import InputError


def merge(store: Store, file: Path, same_person: bool = False, cost_limit: float | None = None) -> dict[str, int]:
    """Adds the rows of another file of answers, each id once.

    Args:
        store: what they are added to.
        file: the other one.
        same_person: whether a name that is in both is one person.
        cost_limit: of the dataset, which a study without its own limit uses.

    Returns:
        How many rows each table gained.

    Raises:
        InputError: if it is about another dataset or other questions, or a name is in both files without `same_person`.
    """
    other = Store.open(file)
    try:
        if other.about["content_sha256"] != store.about["content_sha256"]:
            raise InputError(f"{file} holds answers about another dataset (content {other.about['content_sha256'][:12]})")
        rows = {table: [dict(row) for row in other.rows(f"SELECT * FROM {table} ORDER BY rowid")] for table in TABLES}
        other_study = stored_study(other)
    except (sqlite3.Error, KeyError) as error:
        raise InputError(f"{file} cannot be read as a file of answers: {error}") from None
    finally:
        other.close()
    _check_questions(store, other_study, file, cost_limit)
    ids = {row["name"]: row["id"] for row in store.rows("SELECT id, name FROM person")}
    twice = [row["name"] for row in rows["person"] if ids.get(row["name"], row["id"]) != row["id"]]
    if twice and not same_person:
        raise InputError(
            f"{', '.join(twice)} answered in both: if that is one person, add --same-person; else rename one of them"
        )
    renamed = {row["id"]: ids[row["name"]] for row in rows["person"] if row["name"] in ids}
    gone = {json.loads(row["data"])["person"] for row in store.rows("SELECT data FROM event WHERE kind = 'withdrawn'")}
    gone |= {json.loads(row["data"])["person"] for row in rows["event"] if row["kind"] == "withdrawn"}
    for table in PERSONAL:
        for row in rows[table]:
            row["person"] = renamed.get(row["person"], row["person"])
    rows["person"] = [row for row in rows["person"] if row["name"] not in ids]
    kept = {
        table: [row for row in table_rows if row.get("person", row.get("id") if table == "person" else None) not in gone]
        for table, table_rows in rows.items()
    }
    return add_rows(store, kept, gone)


def add_rows(store: Store, rows: dict[str, list[dict[str, Any]]], gone: set[str] = frozenset()) -> dict[str, int]:  # type: ignore[assignment]
    """Adds rows of another store whose ids are not there yet, each table's in order; and deletes those of whoever withdrew."""
    gained = dict.fromkeys(rows, 0)
    with store.transaction():
        for table, table_rows in rows.items():
            key = "sha256" if table == "wording" else "id"
            present = {row[key] for row in store.rows(f"SELECT {key} FROM {table}")}
            for row in table_rows:
                if row[key] not in present:
                    store.add(table, **{name: value for name, value in row.items() if name != "seq"})
                    present.add(row[key])  # batches may overlap
                    gained[table] += 1
        for person in gone:
            store.forget(person)
    if gone:
        store.compact()
    return gained


def _check_questions(store: Store, other_study: Study, file: Path, cost_limit: float | None) -> None:
    """Takes the choices of the other study where none were made here; raises InputError if its answers mean something else."""
    if not store.rows("SELECT 1 FROM settings LIMIT 1"):
        update_study(store, other_study.to_dict() | {"annotators": other_study.annotators})
    one, two = (
        it if it.cost_limit is not None else replace(it, cost_limit=cost_limit) for it in (stored_study(store), other_study)
    )
    for field in MEANING:
        if getattr(one, field) != getattr(two, field):
            raise InputError(
                f"{file} holds answers that were given with another --{field.replace('_', '-')} ({getattr(two, field)}, here "
                f"{getattr(one, field)}): give it a --name of its own"
            )
