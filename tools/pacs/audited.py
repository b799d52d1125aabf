"""A PACS whose calls are kept in the audit log before they are made: what was asked for or sent, to whom, when."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tools.audit import AuditLog
    from tools.pacs.client import Pacs, Stored, StudyQuery
    from tools.pacs.server import PacsServer
    from tools.results import StudyRow

POLICY = "PACS: with the patient's own data"


class AuditedPacs:
    """The same server, with a line in the log for each call. Of a query its fields are kept, not who was asked for."""

    def __init__(self, pacs: Pacs, audit: AuditLog) -> None:
        self._pacs = pacs
        self._audit = audit

    @property
    def name(self) -> str:
        """How the settings call it."""
        return self._pacs.name

    @property
    def server(self) -> PacsServer:
        """Its settings."""
        return self._pacs.server

    def echo(self) -> str:
        """See `Pacs`; nothing of anybody leaves."""
        return self._pacs.echo()

    def find(self, query: StudyQuery, limit: int) -> list[StudyRow]:
        """See `Pacs`."""
        asked = [name for name in ("patient_id", "date", "modality") if getattr(query, name)]
        self._write("PACS query", fields=asked)
        return self._pacs.find(query, limit)

    def fetch(self, study_uid: str, series_uid: str | None, folder: Path) -> Iterator[Path]:
        """See `Pacs`."""
        asked = f"{study_uid}|{series_uid or ''}"
        self._write("PACS fetch", characters=len(asked) - 1, sha256=_sha256(asked.encode()))
        return self._pacs.fetch(study_uid, series_uid, folder)

    def send(self, files: Sequence[Path]) -> Stored:
        """See `Pacs`."""
        digest = hashlib.sha256()
        for path in files:
            digest.update(path.read_bytes())
        size = sum(path.stat().st_size for path in files)
        self._write("PACS send", objects=len(files), bytes=size, sha256=digest.hexdigest())
        return self._pacs.send(files)

    def _write(self, purpose: str, **facts: Any) -> None:
        server = self._pacs.server
        to = server.url or f"{server.host}:{server.port} ({server.ae_title})"
        self._audit.append(to=to, server=self._pacs.name, policy=POLICY, purpose=purpose, **facts)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
