"""Reports into the store: masked, idempotent by content, resumable, bad records listed and passed over."""

import hashlib
import itertools
import logging
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from knowledge.database import Database, ReportRow, SentenceRow
from knowledge.embed import Embedder
from knowledge.errors import BadRecordError
from knowledge.findings import analyse, analysis_version
from knowledge.masking import mask
from knowledge.readers.formats import Record
from knowledge.readers.incoming import Incoming
from knowledge.report import Report
from knowledge.sentences import sentence_key, split_sentences
from knowledge.store import ReportShelf, VectorStore, vector_id

logger = logging.getLogger(f"readingroom.{__name__}")

OnReports = Callable[[int, int | None], None]
"""Called with reports done and reports in all (None: unknown); an exception it raises stops the ingestion."""

_BATCH_REPORTS = 500  # committed together: what a kill can cost


@dataclass
class IngestSummary:
    """What an ingestion did."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    bad: list[str] = field(default_factory=list)
    """One line a record that was passed over, with the reason."""
    masked: Counter[str] = field(default_factory=Counter)
    """Kind → how many identifiers were masked in the reports added or updated; never the identifiers."""

    @property
    def stored(self) -> int:
        """Return how many reports are in the store because of it."""
        return self.added + self.updated + self.unchanged


@dataclass(frozen=True)
class Ingestion:
    """Where reports go.

    `masking`: identifiers are taken out first. `shelf`: where a server keeps the reports for its other clients.
    """

    database: Database
    vectors: VectorStore
    embedder: Embedder
    masking: bool = True
    shelf: ReportShelf | None = None

    def run(
        self, records: Iterable[Record], on_progress: OnReports | None = None, total: int | None = None
    ) -> IngestSummary:
        """Store reports batch by batch; each batch is whole or not at all."""
        summary = IngestSummary()
        hashes = self.database.hashes()
        salt = self._salt()
        generation = self.shelf.stamp() if self.shelf is not None else None
        done = 0
        for batch in _batched(records, _BATCH_REPORTS):
            summary.bad += [str(record) for record in batch if isinstance(record, BadRecordError)]
            fresh: dict[str, ReportRow] = {}
            for record in batch:
                if not isinstance(record, BadRecordError):
                    self._take(record, salt, hashes, fresh, summary)
            self._store(list(fresh.values()))
            done += len(batch)
            if on_progress is not None:
                on_progress(done, total)
        self._note(generation)
        return summary

    def _take(
        self,
        record: Report | Incoming,
        salt: str,
        hashes: dict[str, str],
        fresh: dict[str, ReportRow],
        summary: IngestSummary,
    ) -> None:
        incoming = record if isinstance(record, Incoming) else Incoming(record)
        name = incoming.report.id
        digest = report_hash(incoming.report, self.masking)
        known = hashes.get(name)
        if known == digest:
            summary.unchanged += 1
            return
        summary.added += known is None
        summary.updated += known is not None
        report = incoming.report
        if self.masking:
            report, counts = mask(incoming, salt)
            summary.masked += counts
        hashes[name] = digest
        fresh[name] = ReportRow(report, digest, tuple(_sentences(report)))

    def _store(self, rows: Sequence[ReportRow]) -> None:
        if not rows:
            return
        keys = list(dict.fromkeys(part.key for row in rows for part in row.sentences))
        known = self.database.known_keys(keys)
        fresh = [key for key in keys if key not in known]
        if fresh:
            self.vectors.put([vector_id(key) for key in fresh], self.embedder.embed(fresh))
        if self.shelf is not None:
            self.shelf.put([(row.report.id, row.hash, row.report.model_dump_json()) for row in rows])
        with self.database.transaction():
            self.database.put(rows, {key: analyse(key).to_json() for key in fresh})

    def _salt(self) -> str:
        salt = self.database.get_meta("salt")
        if salt is None:
            salt = secrets.token_hex(16)
            with self.database.transaction():
                self.database.set_meta("salt", salt)
        return salt

    def delete(self, ids: Sequence[str]) -> int:
        """Remove reports, and the sentences and vectors that no other report holds; return how many reports."""
        ids = list(dict.fromkeys(ids))
        generation = self.shelf.stamp() if self.shelf is not None else None
        if self.shelf is not None:
            self.shelf.delete(ids)
        with self.database.transaction():
            removed = self.database.delete(ids)
            unused = self.database.remove_unused_texts()
        self.vectors.delete([vector_id(key) for key in unused])
        self._note(generation)
        return removed

    def _note(self, generation: str | None) -> None:
        """Remember that this database is as new as the shelf; after a kill it is not, and is compared when opened."""
        if generation is not None:
            with self.database.transaction():
                self.database.set_meta("shelf", generation)


def copy_from_shelf(database: Database, shelf: ReportShelf) -> None:
    """Bring a client's database to the state of the server's reports: what others added, changed or deleted."""
    generation = shelf.generation()
    if generation == (database.get_meta("shelf") or ""):
        return
    there, here = shelf.hashes(), database.hashes()
    changed = [name for name, digest in there.items() if here.get(name) != digest]
    for start in range(0, len(changed), _BATCH_REPORTS):
        documents = shelf.documents(changed[start : start + _BATCH_REPORTS])
        reports = [Report.model_validate_json(text) for text in documents.values()]
        rows = [ReportRow(report, there[report.id], tuple(_sentences(report))) for report in reports]
        keys = {part.key for row in rows for part in row.sentences}
        with database.transaction():
            database.put(rows, {key: analyse(key).to_json() for key in keys - database.known_keys(list(keys))})
    with database.transaction():
        database.delete([name for name in here if name not in there])
        database.remove_unused_texts()
        database.set_meta("shelf", generation)


def refresh_analyses(database: Database) -> None:
    """Analyse the stored sentences anew when vocabulary or rules have changed since; the vectors stay."""
    if database.get_meta("analysis") == analysis_version():
        return
    with database.transaction():
        database.replace_analyses({key: analyse(key).to_json() for _, key, _ in database.all_texts()})
        database.set_meta("analysis", analysis_version())


def report_hash(report: Report, masking: bool) -> str:
    """Return what decides whether a report is stored already."""
    return hashlib.sha256(f"{report.content_hash}|{masking}".encode()).hexdigest()[:32]


def _sentences(report: Report) -> Iterator[SentenceRow]:
    for section in report.sections:
        for start, end in split_sentences(report.text, section.start, section.end):
            yield SentenceRow(sentence_key(report.text[start:end]), section.name, start, end)


def _batched(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    iterator = iter(records)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
