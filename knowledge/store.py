"""Vectors in Chroma, embedded or as a server: the only file that imports chromadb."""

import hashlib
import logging
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from knowledge.database import LAYOUT_VERSION
from knowledge.embed import Vectors
from knowledge.errors import BadInputError, KnowledgeError, StoreMismatchError, UnavailableError

if TYPE_CHECKING:
    from chromadb.api import ClientAPI

logger = logging.getLogger(f"readingroom.{__name__}")

_BATCH = 4000  # below Chroma's own limit of ids in one call
_SHELF_BATCH = 200
_SERVER_TIMEOUT_S = 60.0
REPORTS = "readingroom_reports"
SENTENCES = "readingroom_sentences"
IMAGES = "readingroom_images"


@dataclass(frozen=True)
class Encoding:
    """Which model made the vectors: a collection of one is never read with another."""

    name: str
    hash: str
    dimension: int


def vector_id(key: str) -> str:
    """Return the id under which a sentence's vector is stored."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


class VectorStore:
    """One collection of unit vectors.

    Args:
        location: a folder for Chroma inside this process, or "http://host:port" of a `chroma run`.
        collection: its name.
        encoding: the model of its vectors.

    Raises:
        StoreMismatchError: the collection was made by another model or layout.
        UnavailableError: the server does not answer, or the folder can't be opened.
    """

    def __init__(self, location: Path | str, collection: str, encoding: Encoding) -> None:
        self._location = location
        self._name = collection
        self._asking = threading.RLock()
        self._metadata: dict[str, str | int] = {
            "embedder": encoding.name,
            "embedder_hash": encoding.hash,
            "dimension": encoding.dimension,
            "layout": LAYOUT_VERSION,
        }
        self._open()

    def _open(self) -> None:
        self._client = _connect(self._location)
        try:
            with _translated(self._location):
                self._collection = self._client.get_or_create_collection(
                    self._name,
                    metadata=self._metadata,
                    embedding_function=None,
                    configuration={"hnsw": {"space": "cosine", "ef_search": 200}},
                )
            _check_metadata(self._name, dict(self._collection.metadata or {}), self._metadata)
        except KnowledgeError:
            self.close()
            raise

    @property
    def location(self) -> Path | str:
        """Return the folder or the server."""
        return self._location

    def refresh(self) -> None:
        """Open the collection anew, to see what another process has written; not while this one writes."""
        with self._asking:
            self.close()
            self._open()

    def put(self, ids: Sequence[str], vectors: Vectors, reports: Sequence[str] | None = None) -> None:
        """Store vectors, replacing those of the same id; `reports`: the report id kept beside each."""
        with _translated(self._location):
            for start in range(0, len(ids), _BATCH):
                part = slice(start, start + _BATCH)
                labels = None if reports is None else [{"report": name} for name in reports[part]]
                self._collection.upsert(ids=list(ids[part]), embeddings=vectors[part], metadatas=labels)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove vectors; unknown ids are passed over."""
        with _translated(self._location):
            for start in range(0, len(ids), _BATCH):
                self._collection.delete(ids=list(ids[start : start + _BATCH]))

    def nearest(self, vector: Vectors, k: int) -> list[tuple[str, float]]:
        """Return the ids of the k nearest vectors with their cosine similarity, best first.

        Args:
            vector: float32 (dimension,), length 1.
            k: how many at most.
        """
        with self._asking, _translated(self._location):
            found = self._collection.query(query_embeddings=vector[None, :], n_results=k, include=["distances"])
        distances = (found["distances"] or [[]])[0]
        return [(name, 1.0 - float(distance)) for name, distance in zip(found["ids"][0], distances, strict=True)]

    def reports_of(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the report id kept beside each of these vectors; unknown ids are left out."""
        with _translated(self._location):
            found = self._collection.get(ids=list(ids), include=["metadatas"])
        return {name: str(label["report"]) for name, label in zip(found["ids"], found["metadatas"], strict=True)}

    def count(self) -> int:
        """Return how many vectors are stored."""
        with self._asking, _translated(self._location):
            return int(self._collection.count())

    def close(self) -> None:
        """Release the connection."""
        _close(self._client)


class ReportShelf:
    """The reports themselves on a Chroma server, so that every client can make its own database from them.

    Args:
        server: "http://host:port" of a `chroma run`.

    Raises:
        UnavailableError: the server does not answer.
        StoreMismatchError: it was written by another layout.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._client = _connect(server)
        try:
            self._open()
            _check_metadata(REPORTS, dict(self._collection.metadata or {}), {"layout": LAYOUT_VERSION})
        except KnowledgeError:
            self.close()
            raise

    def _open(self) -> None:
        with _translated(self._server):
            self._collection = self._client.get_or_create_collection(
                REPORTS, metadata={"layout": LAYOUT_VERSION, "generation": ""}, embedding_function=None
            )

    def generation(self) -> str:
        """Return a text that changes with every writing."""
        self._open()
        return str((self._collection.metadata or {}).get("generation", ""))

    def stamp(self) -> str:
        """Say that something is written now; return the new generation."""
        generation = secrets.token_hex(8)
        with _translated(self._server):
            self._collection.modify(metadata={"layout": LAYOUT_VERSION, "generation": generation})
        return generation

    def put(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """Store (id, hash, JSON) of reports, replacing those of the same id."""
        with _translated(self._server):
            for start in range(0, len(rows), _SHELF_BATCH):
                part = rows[start : start + _SHELF_BATCH]
                self._collection.upsert(
                    ids=[row[0] for row in part],
                    metadatas=[{"hash": row[1]} for row in part],
                    documents=[row[2] for row in part],
                    embeddings=[[1.0]] * len(part),  # Chroma wants a vector; nobody searches here
                )

    def delete(self, ids: Sequence[str]) -> None:
        """Remove reports."""
        with _translated(self._server):
            for start in range(0, len(ids), _SHELF_BATCH):
                self._collection.delete(ids=list(ids[start : start + _SHELF_BATCH]))

    def hashes(self) -> dict[str, str]:
        """Return the hash of every report by id."""
        found: dict[str, str] = {}
        with _translated(self._server):
            for start in range(0, int(self._collection.count()), _BATCH):
                page = self._collection.get(limit=_BATCH, offset=start, include=["metadatas"])
                found |= {name: str(meta["hash"]) for name, meta in zip(page["ids"], page["metadatas"], strict=True)}
        return found

    def documents(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the JSON of these reports by id."""
        found: dict[str, str] = {}
        with _translated(self._server):
            for start in range(0, len(ids), _SHELF_BATCH):
                page = self._collection.get(ids=list(ids[start : start + _SHELF_BATCH]), include=["documents"])
                found |= {name: str(text) for name, text in zip(page["ids"], page["documents"], strict=True)}
        return found

    def close(self) -> None:
        """Release the connection."""
        _close(self._client)


@contextmanager
def _translated(location: Path | str) -> Iterator[None]:
    """Turn what Chroma and its transport raise into our errors."""
    try:
        yield
    except KnowledgeError:
        raise
    except (TypeError, AttributeError):  # ours or theirs, but a bug
        raise
    except Exception as error:  # chromadb, httpx and the Rust core share no base
        raise UnavailableError(_explain(location, error)) from error


def _explain(location: Path | str, error: Exception) -> str:
    if isinstance(location, str):
        return f"Chroma server {location} failed ({error}); start it with 'chroma run', then repeat: nothing is lost"
    return f"vector store {location} failed ({error}); check the folder's space and permissions, then repeat"


def _connect(location: Path | str) -> "ClientAPI":
    import chromadb
    from chromadb.config import Settings

    settings = Settings(anonymized_telemetry=False)
    with _translated(location):
        if isinstance(location, Path):
            return chromadb.PersistentClient(location, settings=settings)
        parts = urlsplit(location)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise BadInputError(f"server must be a URL such as 'http://127.0.0.1:8000', got {location!r}")
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 8000)
        client = chromadb.HttpClient(parts.hostname, port, ssl=secure, settings=settings)
    for session in _sessions(client):
        session.timeout = _SERVER_TIMEOUT_S  # Chroma's own client would wait for ever
    return client


def _close(client: "ClientAPI") -> None:
    """Close a client, and the HTTP sessions that Chroma leaves open."""
    sessions = list(_sessions(client))
    client.close()
    for session in sessions:
        session.close()


def _sessions(client: "ClientAPI") -> Iterator[Any]:
    for part in (client, getattr(client, "_admin_client", None)):
        session = getattr(getattr(part, "_server", None), "_session", None)
        if session is not None:
            yield session


def _check_metadata(collection: str, found: Mapping[str, object], wanted: Mapping[str, object]) -> None:
    if found.get("layout") != wanted["layout"]:
        raise StoreMismatchError(
            f"collection {collection!r} has layout {found.get('layout')!r}, this version reads layout "
            f"{wanted['layout']}; ingest the reports into a new folder or collection"
        )
    for key in wanted:
        if found.get(key) != wanted[key]:
            raise StoreMismatchError(
                f"collection {collection!r} was made with {key} {found.get(key)!r}, the embedder in use has "
                f"{wanted[key]!r}; use that embedder, or ingest the reports into a new folder"
            )
