"""Backup of answers for servers without a persistent disk: batches of JSON lines in a dataset repository, never modified.

Each line is a row, {"table": ..., ...}; names and tokens of persons are not among them.
"""

from __future__ import annotations

import io
import json
import secrets
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safefeedback.annotate.merge import add_rows
from safefeedback.annotate.refusal import Refusal
from safefeedback.annotate.store import TABLES, Store
from safefeedback.errors import InputError
from safefeedback.hub.client import retry, snapshot

EVERY_SECONDS = 10.0


class Backup:
    """Uploads new answers repeatedly, in the background.

    Attributes:
        repo: the dataset repository.
        path: of the file of answers.
        failed: called with the reason, in one line, when an upload fails.
        restored: whether all rows came from the repository.
    """

    def __init__(
        self, repo: str, path: Path, failed: Callable[[str], None] = lambda line: None, restored: bool = False
    ) -> None:
        self.repo, self.path, self.failed = repo, path, failed
        self.run_id = secrets.token_hex(8)  # of this process: no two processes write files of the same name
        store = Store.open(path)
        self._saved = _rows(store) if restored else _uploaded_rows(store)
        store.close()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stops after a last upload."""
        self._stop.set()
        self._thread.join()
        self._try_upload()

    def unsaved(self, store: Store) -> int:
        """How many answers are not yet in the repository."""
        tables = ("answer", "control")
        counts = (
            store.rows(f"SELECT count(*) AS n FROM {table} WHERE rowid > ?", self._saved.get(table, 0)) for table in tables
        )
        return sum(int(rows[0]["n"]) for rows in counts)

    def upload(self) -> int:
        """Uploads the new rows as one file; returns how many they are.

        Raises:
            InputError: if the repository cannot be written to.
        """
        store = Store.open(self.path)
        try:
            upto = _rows(store)
            lines = []
            for table in TABLES:
                since = self._saved.get(table, 0)
                rows = store.rows(f"SELECT * FROM {table} WHERE rowid > ? AND rowid <= ? ORDER BY rowid", since, upto[table])
                lines += [json.dumps({"table": table, **_nameless(table, dict(row))}) for row in rows]
            if not lines:
                return 0
            self._send(f"batches/{store.now():014d}-{self.run_id}.jsonl", "\n".join(lines) + "\n")
            with store.transaction():
                store.add("upload", upto=json.dumps(upto), time=store.now())
            self._saved = upto
            return len(lines)
        finally:
            store.close()

    def _send(self, name: str, text: str) -> None:
        from huggingface_hub import HfApi

        def send() -> Any:
            content = io.BytesIO(text.encode())
            return HfApi().upload_file(
                path_or_fileobj=content, path_in_repo=name, repo_id=self.repo, repo_type="dataset", commit_message=name
            )

        retry(f"cannot upload to {self.repo}", send)

    def _run(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            self._try_upload()

    def _try_upload(self) -> None:
        try:
            self.upload()
        except (InputError, Refusal, sqlite3.Error) as error:  # the next attempt may succeed
            self.failed(str(error))


def restore(store: Store, repo: str) -> int:
    """Adds the rows of a repository's batches, each once; returns how many answers they held.

    Raises:
        InputError: if it cannot be read, or a batch is invalid.
    """
    folder = snapshot(f"cannot read {repo}", "dataset", repo, None, ["batches/*.jsonl"])
    rows: dict[str, list[dict[str, Any]]] = {table: [] for table in TABLES}
    for file in sorted((folder / "batches").glob("*.jsonl")):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                row = json.loads(line)
                rows[row.pop("table")].append(row)
            except (ValueError, KeyError, AttributeError):
                raise InputError(f"{repo}: {file.name}, line {number}, is not a row of answers") from None
    for table, time in (("event", "time"), ("item", "time"), ("answer", "received_at"), ("control", "received_at")):
        rows[table].sort(key=lambda row: row[time])
    gone = {json.loads(row["data"])["person"] for row in rows["event"] if row["kind"] == "withdrawn"}
    rows = {table: [row for row in table_rows if row.get("person") not in gone] for table, table_rows in rows.items()}
    rows["person"] = [row for row in rows["person"] if row["id"] not in gone]
    gained = add_rows(store, rows, gone)
    return gained["answer"] + gained["control"]


def _nameless(table: str, row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "name": row["id"]} if table == "person" else row


def _rows(store: Store) -> dict[str, int]:
    return {table: store.rows(f"SELECT coalesce(max(rowid), 0) AS n FROM {table}")[0]["n"] for table in TABLES}


def _uploaded_rows(store: Store) -> dict[str, int]:
    last_upload = store.rows("SELECT upto FROM upload ORDER BY batch DESC LIMIT 1")
    return json.loads(last_upload[0]["upto"]) if last_upload else {}
