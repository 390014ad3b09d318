"""Joins answers to one dataset that were given on several machines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safefeedback.annotate.store import PERSONAL, TABLES, Store
from safefeedback.errors import InputError


def merge(store: Store, file: Path, same_person: bool = False) -> dict[str, int]:
    """Adds the rows of another file of answers, each id once.

    Args:
        store: what they are added to.
        file: the other one.
        same_person: whether a name that is in both is one person.

    Returns:
        How many rows each table gained.

    Raises:
        InputError: if it is about another dataset, or a name is in both and nobody said that this is one person.
    """
    other = Store.open(file)
    try:
        if other.about["content_sha256"] != store.about["content_sha256"]:
            raise InputError(f"{file} holds answers about another dataset (content {other.about['content_sha256'][:12]})")
        rows = {table: [dict(row) for row in other.rows(f"SELECT * FROM {table} ORDER BY rowid")] for table in TABLES}
    finally:
        other.close()
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
        table: [row for row in found if row.get("person", row.get("id") if table == "person" else None) not in gone]
        for table, found in rows.items()
    }
    return add_rows(store, kept, gone)


def add_rows(store: Store, rows: dict[str, list[dict[str, Any]]], gone: set[str] = frozenset()) -> dict[str, int]:  # type: ignore[assignment]
    """Adds rows of another store whose ids are not there yet, each table's in order; and deletes those of whoever withdrew."""
    gained = dict.fromkeys(rows, 0)
    with store.adding():
        for table, found in rows.items():
            key = "sha256" if table == "wording" else "id"
            there = {row[key] for row in store.rows(f"SELECT {key} FROM {table}")}
            for row in found:
                if row[key] not in there:
                    store.add(table, **{name: value for name, value in row.items() if name != "seq"})
                    gained[table] += 1
        for person in gone:
            store.forget(person)
    return gained
