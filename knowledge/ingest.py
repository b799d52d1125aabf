"""Reports into the store: idempotent by content, resumable, bad records listed and passed over."""

import hashlib
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from knowledge.database import Database, ReportRow, SentenceRow
from knowledge.embed import Embedder
from knowledge.errors import BadRecordError
from knowledge.findings import analyse, analysis_version
from knowledge.report import Report
from knowledge.sentences import sentence_key, split_sentences
from knowledge.store import VectorStore, vector_id

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

    @property
    def stored(self) -> int:
        """Return how many reports are in the store because of it."""
        return self.added + self.updated + self.unchanged


@dataclass(frozen=True)
class Ingestion:
    """Where reports go: the database, the vectors and the embedder that makes them."""

    database: Database
    vectors: VectorStore
    embedder: Embedder

    def run(
        self, records: Iterable[Report | BadRecordError], on_progress: OnReports | None = None, total: int | None = None
    ) -> IngestSummary:
        """Store reports batch by batch; each batch is whole or not at all."""
        summary = IngestSummary()
        hashes = self.database.hashes()
        done = 0
        for batch in _batched(records, _BATCH_REPORTS):
            reports = [record for record in batch if isinstance(record, Report)]
            summary.bad += [str(record) for record in batch if not isinstance(record, Report)]
            self._store([report for report in reports if _count(report, hashes, summary)], hashes)
            done += len(batch)
            if on_progress is not None:
                on_progress(done, total)
        return summary

    def _store(self, reports: Sequence[Report], hashes: dict[str, str]) -> None:
        if not reports:
            return
        rows = [ReportRow(report, report_hash(report), tuple(_sentences(report))) for report in reports]
        keys = list(dict.fromkeys(part.key for row in rows for part in row.sentences))
        known = self.database.known_keys(keys)
        fresh = [key for key in keys if key not in known]
        if fresh:
            self.vectors.put([vector_id(key) for key in fresh], self.embedder.embed(fresh))
        with self.database.transaction():
            self.database.put(rows, {key: analyse(key).to_json() for key in fresh})
        hashes.update({row.report.id: row.hash for row in rows})


def refresh_analyses(database: Database) -> None:
    """Analyse the stored sentences anew when vocabulary or rules have changed since; the vectors stay."""
    if database.get_meta("analysis") == analysis_version():
        return
    with database.transaction():
        database.replace_analyses({key: analyse(key).to_json() for _, key, _ in database.all_texts()})
        database.set_meta("analysis", analysis_version())


def report_hash(report: Report) -> str:
    """Return what decides whether a report is stored already."""
    return hashlib.sha256(report.content_hash.encode()).hexdigest()[:32]


def _count(report: Report, hashes: dict[str, str], summary: IngestSummary) -> bool:
    known = hashes.get(report.id)
    if known is None:
        summary.added += 1
    elif known == report_hash(report):
        summary.unchanged += 1
        return False
    else:
        summary.updated += 1
    return True


def _sentences(report: Report) -> Iterator[SentenceRow]:
    for section in report.sections:
        for start, end in split_sentences(report.text, section.start, section.end):
            yield SentenceRow(sentence_key(report.text[start:end]), section.name, start, end)


def _batched(records: Iterable[Report | BadRecordError], size: int) -> Iterator[list[Report | BadRecordError]]:
    iterator = iter(records)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
