"""The facade of the knowledge folder: open a store, ingest, search, look up."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from knowledge.database import Database
from knowledge.embed import Embedder
from knowledge.errors import BadInputError, BadRecordError, UnavailableError
from knowledge.hits import Filters, Hit
from knowledge.ingest import Ingestion, IngestSummary, OnReports
from knowledge.report import Report
from knowledge.store import SENTENCES, Encoding, VectorStore, vector_id

_CANDIDATES = 200
_MIN_SIMILARITY = 0.35  # below this MiniLM's neighbours share no topic with the query


@dataclass(frozen=True)
class Stats:
    """How much a store holds."""

    reports: int
    sentences: int
    distinct_sentences: int
    sources: dict[str, int]
    embedder: str


class Knowledge:
    """A store of reports. Safe to use from several threads. Make one with `Knowledge.open`."""

    def __init__(self, path: Path, database: Database, vectors: VectorStore, embedder: Embedder) -> None:
        self._path = path
        self._database = database
        self._vectors = vectors
        self._embedder = embedder

    @classmethod
    def open(cls, path: Path, embedder: Embedder, server: str | None = None) -> "Knowledge":
        """Open a store, or begin an empty one.

        Args:
            path: folder of the store; made when missing.
            embedder: makes the vectors; must be the one the store was made with.
            server: "http://host:port" of a Chroma server; None: Chroma inside this process, under `path`.

        Raises:
            StoreMismatchError: another embedder or layout made it.
            UnavailableError: folder or server can't be reached.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UnavailableError(f"store folder {path} can't be made ({error.strerror}); choose another") from error
        encoding = Encoding(embedder.name, embedder.hash, embedder.dimension)
        database = Database(path / "reports.sqlite")
        vectors = VectorStore(server or path / "chroma", SENTENCES, encoding)
        return cls(path, database, vectors, embedder)

    def close(self) -> None:
        """Release files and connections."""
        self._database.close()
        self._vectors.close()

    def ingest(
        self,
        records: Iterable[Report | BadRecordError],
        on_progress: OnReports | None = None,
        total: int | None = None,
    ) -> IngestSummary:
        """Store reports; those already there with the same content are passed over.

        Args:
            records: reports and the errors of records that are none, as the readers yield them.
            on_progress: called with reports done and `total`.
            total: how many there will be, where known.
        """
        return Ingestion(self._database, self._vectors, self._embedder).run(records, on_progress, total)

    def search(self, query: str, k: int = 10, filters: Filters | None = None) -> list[Hit]:
        """Return at most k hits, one a report, best first; empty when nothing comes near the query.

        Args:
            query: plain language.
            k: how many, at least 1.
            filters: what a hit's report must be.

        Raises:
            BadInputError: the query is empty or k is below 1.
        """
        if not query.strip() or k < 1:
            raise BadInputError(f"query must have text and k be at least 1, got {query!r} and k={k}")
        del filters
        found = self._vectors.nearest(self._embedder.embed([query.lower()])[0], _CANDIDATES)
        similarity = {name: value for name, value in found if value >= _MIN_SIMILARITY}
        tids = {
            tid: similarity[name]
            for tid, key, _ in self._database.all_texts()
            if (name := vector_id(key)) in similarity
        }
        best: dict[int, tuple[float, str, int, int]] = {}
        for rid, tid, section, start, end in self._database.all_sentences():
            if tid in tids and section in {"findings", "impression", "body"} and tids[tid] > best.get(rid, (0.0,))[0]:
                best[rid] = (tids[tid], section, start, end)
        order = sorted(best, key=lambda rid: (-best[rid][0], rid))[:k]
        ids = {row[0]: row[1] for row in self._database.all_reports()}
        return [self._hit(ids[rid], *best[rid]) for rid in order]

    def _hit(self, report_id: str, score: float, section: str, start: int, end: int) -> Hit:
        sentence = self.report(report_id).text[start:end]
        return Hit(
            report_id, sentence, start, end, section, min(1.0, score), f"meaning close to the query ({score:.2f})"
        )

    def report(self, report_id: str) -> Report:
        """Return one report.

        Raises:
            NotFoundError: there is none of that id.
        """
        return self._database.report(report_id)

    def stats(self) -> Stats:
        """Return how much the store holds."""
        reports = self._database.all_reports()
        sources: dict[str, int] = {}
        for row in reports:
            sources[row[2]] = sources.get(row[2], 0) + 1
        return Stats(
            reports=len(reports),
            sentences=len(self._database.all_sentences()),
            distinct_sentences=len(self._database.all_texts()),
            sources=sources,
            embedder=self._embedder.name,
        )


__all__ = ["Filters", "Hit", "Knowledge", "Stats"]
