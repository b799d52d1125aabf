"""The facade of the knowledge folder: open a store, ingest, search, look up."""

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from knowledge.database import Database, WriteLock
from knowledge.embed import Embedder
from knowledge.errors import BadInputError, UnavailableError
from knowledge.explain import explain
from knowledge.fusion import Parts, Ranked, rank
from knowledge.hits import Filters, Hit
from knowledge.images import ImageEncoder, ImageIndex
from knowledge.index import Index
from knowledge.ingest import Ingestion, IngestSummary, OnReports, copy_from_shelf, refresh_analyses
from knowledge.query import Query, understand
from knowledge.readers.formats import Record
from knowledge.report import Report
from knowledge.store import SENTENCES, Encoding, ReportShelf, VectorStore
from knowledge.vocabulary import load_vocabulary

_NEIGHBOURS = 300
ALL_PARTS = Parts()


@dataclass(frozen=True)
class Stats:
    """How much a store holds."""

    reports: int
    sentences: int
    distinct_sentences: int
    vectors: int
    sources: dict[str, int]
    embedder: str


class Knowledge:
    """A store of reports. Safe to use from several threads. Make one with `Knowledge.open`."""

    def __init__(
        self,
        path: Path,
        database: Database,
        vectors: VectorStore,
        embedder: Embedder,
        shelf: ReportShelf | None = None,
    ) -> None:
        self._location = vectors.location
        self._path = path
        self._database = database
        self._vectors = vectors
        self._embedder = embedder
        self._shelf = shelf
        self._lock = threading.Lock()
        self._loaded: Index | None = None
        self._written: str | None = None
        self._is_writing = False
        self._images: dict[str, ImageIndex] = {}

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
        with ExitStack() as undo:
            database = Database(path / "reports.sqlite")
            undo.callback(database.close)
            refresh_analyses(database)
            vectors = VectorStore(server or path / "chroma", SENTENCES, encoding)
            undo.callback(vectors.close)
            shelf = ReportShelf(server) if server else None
            if shelf is not None:
                undo.callback(shelf.close)
                copy_from_shelf(database, shelf)
            undo.pop_all()
        return cls(path, database, vectors, embedder, shelf)

    def close(self) -> None:
        """Release files and connections."""
        self._database.close()
        self._vectors.close()
        for images in self._images.values():
            images.close()
        if self._shelf is not None:
            self._shelf.close()

    def ingest(
        self,
        records: Iterable[Record],
        on_progress: OnReports | None = None,
        total: int | None = None,
        *,
        masking: bool = True,
    ) -> IngestSummary:
        """Store reports; those already there with the same content are passed over, changed ones are replaced.

        Killed in between, it goes on where it was when it is run again.

        Args:
            records: reports and the errors of records that are none, as the readers yield them.
            on_progress: called with reports done and `total`.
            total: how many there will be, where known.
            masking: take patient identifiers out first.

        Raises:
            StoreBusyError: another process is writing the store.
        """
        with self._writing():
            return self._ingestion(masking).run(records, on_progress, total)

    def delete(self, ids: Sequence[str]) -> int:
        """Remove reports and return how many there were; unknown ids are passed over."""
        with self._writing():
            return self._ingestion(masking=True).delete(ids)

    def export(self) -> Iterator[Report]:
        """Yield every report as stored (masked), in the order of ingestion."""
        for row in self._database.all_reports():
            yield self.report(row[1])

    def _ingestion(self, masking: bool) -> Ingestion:
        return Ingestion(self._database, self._vectors, self._embedder, masking, self._shelf)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with WriteLock(self._path / "writer.sqlite"):
            self._is_writing = True
            try:
                yield
            finally:
                with self._lock:
                    self._is_writing = False
                    self._written = self._database.get_meta("generation")

    def search(self, query: str, k: int = 10, filters: Filters | None = None, parts: Parts = ALL_PARTS) -> list[Hit]:
        """Return at most k hits, one a report, best first; empty when nothing comes near the query.

        Args:
            query: plain language, such as "effusion without cardiomegaly".
            k: how many, at least 1.
            filters: what a hit's report must be.
            parts: which parts of the search take part; leave it as it is but to measure one.

        Raises:
            BadInputError: the query is empty, k is below 1, or a filter names an unknown finding.
        """
        if not query.strip() or k < 1:
            raise BadInputError(f"query must have text and k be at least 1, got {query!r} and k={k}")
        _check_findings(filters)
        index = self._index()
        understood = understand(query)
        neighbours = self._neighbours(query) if parts.dense else []
        ranked = rank(index, understood, neighbours, filters, parts)
        return [self._hit(index, understood, ranked, int(row)) for row in ranked.order[:k]]

    def _neighbours(self, query: str) -> list[tuple[str, float]]:
        return self._vectors.nearest(self._embedder.embed([query.lower()])[0], _NEIGHBOURS)

    def _index(self) -> Index:
        with self._lock:
            generation = self._database.get_meta("generation")
            if self._loaded is None or self._loaded.generation != generation:
                if self._loaded is not None and not self._is_writing and generation != self._written:
                    self._vectors.refresh()  # another process wrote it
                self._loaded = Index(self._database)
            return self._loaded

    def _hit(self, index: Index, query: Query, ranked: Ranked, row: int) -> Hit:
        sentence = int(ranked.sentence[row])
        start, end = int(index.sentence_start[sentence]), int(index.sentence_end[sentence])
        report_id = index.report_ids[row]
        return Hit(
            report_id=report_id,
            sentence=self._database.report_text(report_id)[start:end],
            start=start,
            end=end,
            section=index.section_names[index.sentence_section[sentence]],
            score=min(1.0, float(ranked.score[row])),
            why=explain(index, query, ranked, row),
        )

    def report(self, report_id: str) -> Report:
        """Return one report.

        Raises:
            NotFoundError: there is none of that id.
        """
        return self._database.report(report_id)

    def images(self, encoder: ImageEncoder) -> ImageIndex:
        """Return the images that an encoder's vectors are stored of; opened once an encoder."""
        with self._lock:
            if encoder.hash not in self._images:
                self._images[encoder.hash] = ImageIndex(self._location, encoder)
            return self._images[encoder.hash]

    @property
    def is_empty(self) -> bool:
        """Whether the store holds no report yet."""
        return self._vectors.count() == 0

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
            vectors=self._vectors.count(),
            sources=sources,
            embedder=self._embedder.name,
        )


def _check_findings(filters: Filters | None) -> None:
    known = load_vocabulary().findings
    for field, names in (("present", filters.present), ("absent", filters.absent)) if filters else ():
        unknown = [name for name in names if name not in known]
        if unknown:
            raise BadInputError(
                f"{field} must name known findings, such as {', '.join(list(known)[:4])}; got {unknown}"
            )


__all__ = ["Filters", "Hit", "Knowledge", "Stats"]
