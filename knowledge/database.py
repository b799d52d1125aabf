"""The reports, their sentences and what the sentences say, in SQLite: the store's source of truth.

Vectors of the distinct sentences lie in Chroma under the same keys. A sentence is committed here after its vector was
stored there, so a kill in between leaves at most a vector that nothing refers to.
"""

import json
import sqlite3
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from knowledge.errors import NotFoundError, StoreBusyError, StoreMismatchError, UnavailableError
from knowledge.report import Report

LAYOUT_VERSION = 1
"""Raised when tables or vectors change their meaning; an older layout is refused with what to do."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS reports (
    rid INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, hash TEXT NOT NULL, source TEXT NOT NULL, modality TEXT,
    body_part TEXT, study_date TEXT, patient TEXT, body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS texts (tid INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, analysis TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS sentences (
    rid INTEGER NOT NULL REFERENCES reports ON DELETE CASCADE, tid INTEGER NOT NULL REFERENCES texts,
    section TEXT NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS sentences_by_report ON sentences (rid);
CREATE INDEX IF NOT EXISTS sentences_by_text ON sentences (tid);
"""


@dataclass(frozen=True)
class SentenceRow:
    """A sentence of a report: the key of its text, its section and its offsets in the report's text."""

    key: str
    section: str
    start: int
    end: int


@dataclass(frozen=True)
class ReportRow:
    """What is written for one report."""

    report: Report
    hash: str
    sentences: tuple[SentenceRow, ...]


class Database:
    """Opens or creates the tables; one connection, safe to use from several threads.

    Args:
        path: the SQLite file; its folder exists.

    Raises:
        StoreMismatchError: it was written by another layout.
        UnavailableError: it can't be opened or is no database.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._path = path
        try:
            self._connection = sqlite3.connect(path, check_same_thread=False, timeout=10, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute("PRAGMA foreign_keys=ON")
            self._check_layout()
        except sqlite3.Error as error:
            raise UnavailableError(
                f"report database {path} can't be opened ({error}); restore it, or ingest anew"
            ) from error

    def _check_layout(self) -> None:
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        empty = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if version != LAYOUT_VERSION and not empty:
            self._connection.close()
            raise StoreMismatchError(
                f"store {self._path.parent} has layout {version}, this version of Reading Room reads layout "
                f"{LAYOUT_VERSION}; export it with the version that wrote it, or ingest the reports into a new folder"
            )
        self._connection.executescript(_SCHEMA)
        if version != LAYOUT_VERSION:
            self._connection.execute(f"PRAGMA user_version = {LAYOUT_VERSION}")

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what the block writes, or none of it.

        Raises:
            StoreBusyError: another process is writing.
            UnavailableError: the disk is full or the file can't be written.
        """
        with self._lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield
                self._bump_generation()
                self._connection.execute("COMMIT")
            except sqlite3.OperationalError as error:
                self._rollback()
                if "locked" in str(error):
                    raise StoreBusyError(
                        f"store {self._path.parent} is being written by another process; try again"
                    ) from error
                raise UnavailableError(
                    f"store {self._path.parent} can't be written ({error}); free some space"
                ) from error
            except BaseException:
                self._rollback()
                raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read everything in the block from one state, whatever others write meanwhile."""
        with self._lock:
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._rollback()

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _bump_generation(self) -> None:
        self.set_meta("generation", str(int(self.get_meta("generation") or 0) + 1))

    def get_meta(self, key: str) -> str | None:
        """Return a stored value, None where there is none."""
        row = self._one("SELECT value FROM meta WHERE key = ?", (key,))
        return None if row is None else str(row[0])

    def set_meta(self, key: str, value: str) -> None:
        """Store a value; call it inside a transaction."""
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def put(self, rows: Sequence[ReportRow], analyses: dict[str, str]) -> None:
        """Write reports, replacing those with the same id; call it inside a transaction.

        Args:
            rows: the reports.
            analyses: for every sentence key not stored yet, its analysis as JSON.
        """
        run = self._connection
        run.executemany("INSERT OR IGNORE INTO texts (key, analysis) VALUES (?, ?)", analyses.items())
        for row in rows:
            self.delete([row.report.id])
            report = row.report
            cursor = run.execute(
                "INSERT INTO reports (id, hash, source, modality, body_part, study_date, patient, body) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    report.id, row.hash, report.source, report.modality, report.body_part,
                    report.study_date.isoformat() if report.study_date else None, report.patient,
                    zlib.compress(report.model_dump_json().encode()),
                ),
            )  # fmt: skip
            run.executemany(
                "INSERT INTO sentences SELECT ?, tid, ?, ?, ? FROM texts WHERE key = ?",
                [(cursor.lastrowid, part.section, part.start, part.end, part.key) for part in row.sentences],
            )

    def delete(self, ids: Sequence[str]) -> int:
        """Remove reports and their sentences; return how many there were. Call it inside a transaction."""
        return sum(self._connection.execute("DELETE FROM reports WHERE id = ?", (name,)).rowcount for name in ids)

    def remove_unused_texts(self) -> list[str]:
        """Remove the texts that no report holds any more and return their keys; call it inside a transaction."""
        query = "SELECT key FROM texts WHERE tid NOT IN (SELECT tid FROM sentences)"
        keys = [row[0] for row in self._all(query)]
        self._connection.executemany("DELETE FROM texts WHERE key = ?", [(key,) for key in keys])
        return keys

    def replace_analyses(self, analyses: dict[str, str]) -> None:
        """Write new analyses of stored texts; call it inside a transaction."""
        self._connection.executemany(
            "UPDATE texts SET analysis = ? WHERE key = ?", [(value, key) for key, value in analyses.items()]
        )

    def report(self, name: str) -> Report:
        """Return one report.

        Raises:
            NotFoundError: there is none of that id.
        """
        row = self._one("SELECT body FROM reports WHERE id = ?", (name,))
        if row is None:
            raise NotFoundError(f"report {name!r} is not in the store {self._path.parent}")
        return Report.model_validate_json(zlib.decompress(row[0]))

    def report_text(self, name: str) -> str:
        """Return one report's text; much quicker than the whole report.

        Raises:
            NotFoundError: there is none of that id.
        """
        row = self._one("SELECT body FROM reports WHERE id = ?", (name,))
        if row is None:
            raise NotFoundError(f"report {name!r} is not in the store {self._path.parent}")
        return str(json.loads(zlib.decompress(row[0]))["text"])

    def hashes(self) -> dict[str, str]:
        """Return the content hash of every report by id."""
        return dict(self._all("SELECT id, hash FROM reports"))

    def known_keys(self, keys: Sequence[str]) -> set[str]:
        """Return those of the sentence keys that are stored."""
        found = self._all(
            "SELECT key FROM texts WHERE key IN (SELECT value FROM json_each(?))", (json.dumps(list(keys)),)
        )
        return {row[0] for row in found}

    def all_texts(self) -> list[tuple[int, str, str]]:
        """Return (tid, key, analysis) of every distinct sentence."""
        return self._all("SELECT tid, key, analysis FROM texts ORDER BY tid")

    def all_sentences(self) -> list[tuple[int, int, str, int, int]]:
        """Return (rid, tid, section, start, end) of every sentence, by report."""
        return self._all("SELECT rid, tid, section, start, stop FROM sentences ORDER BY rid, start")

    def all_reports(self) -> list[tuple[int, str, str, str | None, str | None, str | None, str | None]]:
        """Return (rid, id, source, modality, body_part, study_date, patient) of every report."""
        return self._all("SELECT rid, id, source, modality, body_part, study_date, patient FROM reports ORDER BY rid")

    def _one(self, query: str, values: tuple[object, ...] = ()) -> tuple | None:  # type: ignore[type-arg]
        with self._lock:
            row: tuple | None = self._connection.execute(query, values).fetchone()  # type: ignore[type-arg]
            return row

    def _all(self, query: str, values: tuple[object, ...] = ()) -> list[tuple]:  # type: ignore[type-arg]
        with self._lock:
            return self._connection.execute(query, values).fetchall()


class WriteLock:
    """One writer at a time over all processes; released when the holder ends, however it ends.

    Args:
        path: a SQLite file of its own, so that readers are never held up.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> None:
        self._connection = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            self._connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            self._connection.close()
            raise StoreBusyError(
                f"store {self._path.parent} is being written by another process; wait for it, then repeat"
            ) from error

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()
