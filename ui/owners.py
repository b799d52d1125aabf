"""Whose a reading is: a user's where people sign in, a browser's elsewhere; the gate says who asks."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path
from typing import Any

from fastapi import HTTPException

from agent.running import OWNER_FILE
from tools.workspace import write_atomically
from ui.access.gate import WHO


def owner_of(request: Any) -> str:
    """Return who asks, as a hash; empty where nobody can be told.

    Args:
        request: Starlette's or Gradio's; both have `headers`, and the gate wrote one of them.
    """
    who = (getattr(request, "headers", None) or {}).get(WHO.decode(), "")
    return hashlib.sha256(who.encode()).hexdigest() if who else ""


def user_of(request: Any) -> str:
    """Return the name of the user who is signed in; empty where nobody must."""
    kind, _, name = (getattr(request, "headers", None) or {}).get(WHO.decode(), "").partition(":")
    return name if kind == "user" else ""


class Owners:
    """Knows whose the readings of a folder are.

    Args:
        readings_dir: the folder.
        settings_by: the users who may change settings; None: everybody who reaches the page.
    """

    def __init__(self, readings_dir: Path, *, settings_by: tuple[str, ...] | None = None) -> None:
        self._readings_dir = readings_dir
        self._settings_by = settings_by

    def may_change_settings(self, request: Any) -> bool:
        """Return whether the asker may change what this server works with."""
        return self._settings_by is None or user_of(request) in self._settings_by

    def claim(self, request: Any, reading: str) -> None:
        """Make a new reading the asker's; one that has an owner keeps it."""
        path = self._readings_dir / reading / OWNER_FILE
        if (owner := owner_of(request)) and not path.exists():
            write_atomically(path, owner)

    def owner_may(self, request: Any, reading: str) -> bool:
        """Return whether the asker may see a reading and its files."""
        owner = owner_of(request)
        if not owner or not reading or Path(reading).name != reading:
            return False
        try:
            kept = (self._readings_dir / reading / OWNER_FILE).read_text(encoding="utf-8")
        except (OSError, ValueError):  # ValueError: a zero byte, which no path has
            return False
        return secrets.compare_digest(kept, owner)

    def own(self, request: Any, reading: str) -> str:
        """Return the name of a reading of the asker's.

        Raises:
            HTTPException: 404: there is none, or it is somebody else's; which of the two is not told.
        """
        if not self.owner_may(request, reading):
            raise HTTPException(404, "no such reading of yours")
        return reading

    def may_have(self, request: Any, path: Path) -> bool:
        """Return whether the asker may have a file: it lies in a reading of theirs."""
        try:
            inside = path.resolve().relative_to(self._readings_dir.resolve())
        except ValueError:
            return False
        return self.owner_may(request, inside.parts[0])

    def readings(self, request: Any) -> list[str]:
        """Return the asker's readings, newest first."""
        owner = owner_of(request)
        if not owner:
            return []
        folders = sorted((p.parent for p in self._readings_dir.glob(f"*/{OWNER_FILE}")), reverse=True)
        return [f.name for f in folders if self.owner_may(request, f.name)]
