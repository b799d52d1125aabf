"""The readings of MCP clients: each session has its own, and nobody can name another's."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.attach import Attach, attach
from agent.errors import AttachmentError
from tools.errors import BadInputError, NotFoundError

if TYPE_CHECKING:
    from agent.assistant import Assistant
    from tools.workspace import Attachment

_HANDLE = re.compile(r"mcp-[0-9a-f]{32}")
"""128 random bits: who knows a reading's id may use it, and nobody can guess one."""
MAX_SESSIONS = 10_000  # readings stay on disk; of sessions that are older only the way without an id is forgotten


@dataclass
class Readings:
    """Finds the reading that a call works in, and takes files into it.

    Args:
        assistant: keeps the readings.
        folders: where files may be attached from by their path; none: nowhere.
    """

    assistant: Assistant
    folders: Sequence[Path] = ()
    _of_session: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, session: str | None, named: str | None) -> str:
        """Return the reading to work in.

        Args:
            session: the client's session where the transport knows one.
            named: the id that the client sent back; goes before the session's own.

        Raises:
            NotFoundError: no such reading.
        """
        if named is not None:
            if not _HANDLE.fullmatch(named) or not self._is_there(named):
                raise NotFoundError(f"no reading {named!r}: send back the one that 'attach' gave, or leave it out")
            return named
        if session is None:
            return self._begin()
        with self._lock:
            if not self._is_there(self._of_session.get(session, "")):  # an empty one may have been removed
                while len(self._of_session) >= MAX_SESSIONS:
                    self._of_session.pop(next(iter(self._of_session)))
                self._of_session[session] = self._begin()
            return self._of_session[session]

    def known(self, session: str | None) -> str | None:
        """Return a session's reading, where it has one already."""
        return self._of_session.get(session or "")

    def _is_there(self, reading: str) -> bool:
        return bool(reading) and (self.assistant.settings.readings_dir.absolute() / reading).is_dir()

    def _begin(self) -> str:
        return self.assistant.begin(f"mcp-{secrets.token_hex(16)}")

    def take(self, reading: str, args: Mapping[str, Any]) -> Attachment:
        """Attach a file of an allowed folder, or one that was sent along.

        Args:
            reading: the reading's id.
            args: as the tool `attach` describes them.

        Raises:
            BadInputError: neither or both were given, or the path lies outside the allowed folders.
            AttachmentError: the file cannot be used; says why.
        """
        path, content = args.get("path"), args.get("content")
        if (path is None) == (content is None):
            raise BadInputError("attach needs either 'path' or 'content' with 'name'")
        if path is not None:
            return self._attach(reading, self._allowed(str(path)), args)
        with tempfile.TemporaryDirectory(prefix="readingroom-mcp-") as folder:
            return self._attach(reading, _written(Path(folder), args.get("name"), str(content)), args)

    def _attach(self, reading: str, path: Path, args: Mapping[str, Any]) -> Attachment:
        workspace = self.assistant.workspace(reading)
        given = {name: args[name] for name in ("series", "modality", "kind", "prior", "of", "label") if name in args}
        with self._lock:  # ids are given out by counting what is there
            try:
                return attach(workspace, Attach(path, **given))
            except AttachmentError as error:
                raise BadInputError(str(error)) from error

    def _allowed(self, text: str) -> Path:
        if not self.folders:
            raise BadInputError(
                "path: no folder is open to this server; start it with 'readingroom mcp --folder FOLDER', or send "
                "the file as 'content'"
            )
        path = Path(text)
        found = [path] if path.is_absolute() else [folder / path for folder in self.folders]
        inside = [p for p in (f.resolve() for f in found) if any(p.is_relative_to(f.resolve()) for f in self.folders)]
        if not inside:
            raise BadInputError(f"path: {text!r} lies outside the folders that this server may read")
        return next((p for p in inside if p.exists()), inside[0])


def _written(folder: Path, name: object, content: str) -> Path:
    if not isinstance(name, str) or not name or name != Path(name).name or name.startswith("."):
        raise BadInputError(f"name: must be a file's name without folders, such as 'ct.nii.gz', got {name!r:.80}")
    try:
        data = base64.b64decode(content, validate=True)
    except binascii.Error as error:
        raise BadInputError(f"content: must be the file's bytes in base64 ({error})") from None
    path = folder / name
    path.write_bytes(data)
    return path
