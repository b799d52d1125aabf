"""What left this machine, to whom, when: an append-only file of lines, each with the hash of the line before.

A changed, removed, inserted or reordered line breaks the chain; a file that was cut short differs from the count and
hash kept beside it. Someone who may write both files can forge both: where that matters, keep the last hash elsewhere.
The content itself is not kept, only its hash and what was replaced in it: the log is no second copy of patient data.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from tools.workspace import writing

GENESIS = "0" * 64


@dataclass(frozen=True)
class Broken:
    """Where the chain breaks, and how."""

    line: int
    reason: str


@dataclass(frozen=True)
class Verified:
    """What a check of the log found."""

    entries: int
    last_hash: str
    broken: Broken | None = None


class AuditLog:
    """One log file; several processes may append to it.

    Args:
        path: the file; it is made, readable by its owner only, with the first entry.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._head = path.with_suffix(".head")

    def append(self, **facts: Any) -> str:
        """Append what left; it reaches the disk before this returns.

        Returns:
            the entry's hash.
        """
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_suffix(".lock")):
                count, previous = self._last()
                entry = {"entry": count + 1, "at": round(time.time(), 3), **facts, "previous": previous}
                digest = _hash(entry)
                self._write(json.dumps(entry | {"hash": digest}, ensure_ascii=False, default=str))
                self._head.write_text(f"{count + 1} {digest}\n", encoding="ascii")
        return digest

    def entries(self) -> Iterator[Mapping[str, Any]]:
        """Yield the entries as they stand, checked or not."""
        if self.path.exists():
            with self.path.open(encoding="utf-8") as file:
                for line in file:
                    yield json.loads(line)

    def verify(self) -> Verified:
        """Check every line against the one before, and the end against the count kept beside."""
        count, previous = 0, GENESIS
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                count += 1
                if broken := _broken(line, count, previous):
                    return Verified(count - 1, previous, broken)
                previous = json.loads(line)["hash"]
        kept_count, kept_hash = self._kept()
        if (kept_count, kept_hash) != (count, previous):
            reason = f"it ends after {count} entries, {kept_count} were written: entries at the end are missing"
            return Verified(count, previous, Broken(count + 1, reason))
        return Verified(count, previous)

    def _write(self, line: str) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _last(self) -> tuple[int, str]:
        """Return count and hash of the last line; a line that a killed process left half is closed as it is."""
        count, previous, text = 0, GENESIS, ""
        if self.path.exists():
            text = self.path.read_text(encoding="utf-8")
        for line in text.splitlines():
            count += 1
            try:
                previous = json.loads(line)["hash"]
            except (ValueError, KeyError, TypeError):
                continue  # verify tells of it
        if text and not text.endswith("\n"):
            self._write("")
        return count, previous

    def _kept(self) -> tuple[int, str]:
        if not self._head.exists():
            return 0, GENESIS
        count, _, digest = self._head.read_text(encoding="ascii").strip().partition(" ")
        return (int(count), digest) if count.isdigit() else (-1, "")


def _hash(entry: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True, ensure_ascii=False, default=str).encode()).hexdigest()


def _broken(line: str, number: int, previous: str) -> Broken | None:
    try:
        entry = json.loads(line)
        digest = entry.pop("hash")
    except (ValueError, KeyError, AttributeError, TypeError):
        return Broken(number, "it is no entry: cut off or overwritten")
    if entry.get("previous") != previous or entry.get("entry") != number:
        return Broken(number, "it does not follow the line before: lines were removed, inserted or reordered")
    if _hash(entry) != digest:
        return Broken(number, "its content was changed after it was written")
    return None
