"""The store of answers: one SQLite file beside the dataset, to which rows are only added.

    drone.answers/lab1.sqlite    never inside the dataset's folder, which is published and may be replaced

An added row is on the disk (WAL, synchronous=FULL) and is never changed: undo is a row of its own. Only a withdrawal
deletes. Answers to gold pairs and repeats are in the table `control`, all others in `answer`. Times are milliseconds since
1970 by the server's clock and never decrease, even where the clock is set back.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safefeedback.annotate.refusal import Refusal
from safefeedback.errors import InputError

FORMAT = "1"
_ANSWER = """(
    seq INTEGER PRIMARY KEY AUTOINCREMENT,   -- in the order of both tables; no number comes twice, even after a withdrawal
    id TEXT NOT NULL UNIQUE,            -- made by the browser: a retry is the same answer
    item TEXT NOT NULL, person TEXT NOT NULL, pair_id INTEGER NOT NULL,
    undoes TEXT NOT NULL,               -- the id of the answer that this row takes back, else ''
    preference REAL, safe_0 REAL, safe_1 REAL,   -- by segment; null: cannot tell, or not asked
    cannot_tell TEXT NOT NULL,          -- the questions so answered: 'preference safe_0 safe_1' or fewer
    swapped INTEGER NOT NULL,           -- 1: segment 1 stood left
    shown_at INTEGER NOT NULL, answered_at INTEGER NOT NULL,   -- by the browser's clock
    received_at INTEGER NOT NULL, milliseconds INTEGER NOT NULL,
    plays_0 INTEGER NOT NULL, plays_1 INTEGER NOT NULL,
    page TEXT NOT NULL, wording TEXT NOT NULL, session INTEGER NOT NULL, quick INTEGER NOT NULL
)"""
SCHEMA = f"""
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE settings (seq INTEGER PRIMARY KEY, time INTEGER NOT NULL, study TEXT NOT NULL);
CREATE TABLE person (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE,
    time INTEGER NOT NULL);
CREATE TABLE wording (sha256 TEXT PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE event (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, person TEXT NOT NULL, kind TEXT NOT NULL,
    time INTEGER NOT NULL, data TEXT NOT NULL);
CREATE TABLE item (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, person TEXT NOT NULL,
    pair_id INTEGER NOT NULL, kind TEXT NOT NULL, swapped INTEGER NOT NULL, position INTEGER NOT NULL, draw TEXT NOT NULL,
    probability REAL NOT NULL, time INTEGER NOT NULL);
CREATE TABLE answer {_ANSWER};
CREATE TABLE control {_ANSWER};
CREATE TABLE upload (batch INTEGER PRIMARY KEY, upto TEXT NOT NULL, time INTEGER NOT NULL);
CREATE VIEW every_answer AS SELECT * FROM answer UNION ALL SELECT * FROM control;
"""
TABLES = ("wording", "person", "event", "item", "answer", "control")  # what is merged and uploaded, in this order
FOREVER = ("wording", "event", "item", "answer", "control", "settings", "upload")
FULL = "There is no room to save the answer; it is NOT saved. Please tell whoever runs the study."
CHOICES = ("answer", "control")
PERSONAL = ("event", "item", "answer", "control")


def answers_file(dataset: Path, name: str) -> Path:
    """The file that holds the answers called `name` about a dataset's folder."""
    dataset = Path(os.path.abspath(dataset))
    return dataset.parent / f"{dataset.name}.answers" / f"{name}.sqlite"


class Store:
    """An open file of answers.

    Attributes:
        path: the file.
        about: what it is bound to: format, id, dataset, content_sha256, secret.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path, self._db = path, connection
        self.about = {row["key"]: row["value"] for row in self.rows("SELECT key, value FROM about")}
        times = ("received_at", "answer"), ("received_at", "control"), ("time", "event"), ("time", "item")
        self._latest = max(self.rows(f"SELECT max({time}) AS t FROM {table}")[0]["t"] or 0 for time, table in times)

    @staticmethod
    def create(path: Path, dataset: str, content_sha256: str, id: str | None = None) -> Store:
        """A new file of answers about a dataset, bound to its content; `id` seeds which pairs come first.

        Raises:
            InputError: if it cannot be written.
        """
        about = {"format": FORMAT, "id": id or secrets.token_hex(8), "dataset": dataset, "content_sha256": content_sha256}
        about["secret"] = os.environ.get("SAFEFEEDBACK_ANNOTATE_SECRET") or secrets.token_hex(32)
        partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(
                os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            )  # it holds names and the secret of the links
            db = sqlite3.connect(partial, isolation_level=None)
            never = "BEGIN SELECT RAISE(ABORT, 'rows are never changed'); END;"
            immutable = "".join(f"CREATE TRIGGER {table}_stays BEFORE UPDATE ON {table} {never}" for table in FOREVER)
            db.executescript(f"PRAGMA synchronous=FULL; BEGIN; {SCHEMA} {immutable} COMMIT;")
            db.executemany("INSERT INTO about VALUES (?, ?)", about.items())
            db.close()
            partial.replace(path)
        except (OSError, sqlite3.Error) as error:
            raise InputError(f"{path} cannot be made: {getattr(error, 'strerror', None) or error}") from None
        finally:
            partial.unlink(missing_ok=True)
        return Store.open(path)

    @staticmethod
    def open(path: Path) -> Store:
        """Raises InputError if the file is not there, or is something else."""
        if not path.is_file():
            raise InputError(f"there are no answers in {path}")
        try:
            db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
            db.row_factory = sqlite3.Row
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
                db.execute(f"PRAGMA {pragma}")
            store = Store(path, db)
        except sqlite3.Error as error:
            raise InputError(f"{path} cannot be read as a file of answers: {error}") from None
        if store.about.get("format") != FORMAT:
            raise InputError(f"{path} has format {store.about.get('format')}; this version of safefeedback knows {FORMAT}")
        return store

    def close(self) -> None:
        self._db.close()

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """The rows that a query finds."""
        return self._db.execute(query, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[Store]:
        """A transaction: all additions of the block are on disk when it ends, or none if it fails.

        Raises:
            Refusal: "disk" if there is no room, "busy" if another process holds the file, "bad-request" if an id is not new.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self
            except BaseException:
                self._db.execute("ROLLBACK") if self._db.in_transaction else None
                raise
            self._db.execute("COMMIT")
        except sqlite3.IntegrityError:
            raise Refusal("bad-request", "This identifier is in use already.") from None
        except sqlite3.OperationalError as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if "locked" in str(error) or "busy" in str(error):
                raise Refusal("busy", "The answers are in use by another program; please try again.") from None
            raise Refusal("disk", FULL) from error

    def add(self, table: str, **values: Any) -> None:
        """Adds a row; to `answer` and `control` with the next number of both."""
        if table in CHOICES:
            highest = "SELECT coalesce(max(seq), 0) AS n FROM sqlite_sequence WHERE name IN (?, ?)"
            values["seq"] = self.rows(highest, *CHOICES)[0]["n"] + 1
        names = ", ".join(values)
        self._db.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(values))})", tuple(values.values()))

    def event(self, person: str, kind: str, data: dict[str, Any] | None = None, id: str | None = None) -> None:
        """Adds an action of a person, or of whoever runs the study ('' as the person)."""
        id = id or secrets.token_hex(16)
        self.add("event", id=id, person=person, kind=kind, time=self.now(), data=json.dumps(data or {}))

    def now(self) -> int:
        """Milliseconds since 1970, never less than the last time they were asked for."""
        self._latest = max(self._latest, int(time.time() * 1000))
        return self._latest

    def set_names(self, names: dict[str, str]) -> None:
        """Gives persons, by id, their names if their rows came without them."""
        with self.transaction():
            for id, name in names.items():
                self._db.execute("UPDATE person SET name = ? WHERE id = ? AND name = id", (name, id))

    def forget(self, person: str) -> None:
        """Deletes a person's rows and name, within `transaction`."""
        for table in PERSONAL:
            self._db.execute(f"DELETE FROM {table} WHERE person = ?", (person,))
        self._db.execute("DELETE FROM person WHERE id = ?", (person,))

    def compact(self, answers: bool = True) -> None:
        """Takes what was deleted out of the log and, where answers were, removes the table that the last `--finish` wrote."""
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if answers:
            self.path.with_suffix(".csv").unlink(missing_ok=True)

    def excluded(self) -> set[str]:
        """The ids of the persons who are left out of the consensus."""
        excluded_ids: set[str] = set()
        for row in self.rows("SELECT person, kind FROM event WHERE kind IN ('exclude', 'include') ORDER BY seq"):
            (excluded_ids.add if row["kind"] == "exclude" else excluded_ids.discard)(row["person"])
        return excluded_ids
