"""Readings that were begun and never used: a page begins one as soon as a file is brought to it, MCP with a session."""

from __future__ import annotations

import logging
import re
import shutil
import time
from pathlib import Path

from agent.running import OWNER_FILE

logger = logging.getLogger(f"readingroom.{__name__}")

KEEP_S = 86_400.0  # a tab that was opened yesterday may still ask its first question
_ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}|mcp-[0-9a-f]{32}")
"""As `agent.assistant.new_reading_id` and `ui.mcp.readings` make them; a name that somebody chose is left alone."""
_BARE = frozenset({OWNER_FILE, "attachments", "artifacts", "view"})
"""What a new reading consists of, and pictures of what was only looked at; all else somebody may want."""


def remove_empty_readings(readings_dir: Path, *, now: float | None = None) -> int:
    """Remove readings older than a day that hold no record, attachment or artifact, and return how many.

    Args:
        readings_dir: where readings lie; other folders and files in it are left alone.
        now: seconds since the epoch.
    """
    before = (time.time() if now is None else now) - KEEP_S
    found = [f for f in readings_dir.glob("*") if _ID.fullmatch(f.name) and _is_empty(f) and _touched(f) < before]
    for folder in found:
        shutil.rmtree(folder, ignore_errors=True)
    if found:
        logger.info("removed %d empty readings", len(found))
    return len(found)


def _is_empty(folder: Path) -> bool:
    if folder.is_symlink() or not folder.is_dir() or any(part.name not in _BARE for part in folder.iterdir()):
        return False
    return not any(any((folder / part).glob("*")) for part in ("attachments", "artifacts"))


def _touched(folder: Path) -> float:
    return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
