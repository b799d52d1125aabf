"""What stands for what: uids, patients and dates, from one secret, the same for all images of a patient."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from tools.workspace import Workspace, writing

_KEY_FILE = "deidentify.key"
_SHORTEST_SHIFT_DAYS, _LONGEST_SHIFT_DAYS = 31, 3652  # a month, so that it moves at all; ten years, so that ages hold
_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})(\d{0,6}(?:\.\d{1,6})?(?:[+-]\d{4})?)")


@dataclass(frozen=True)
class Pseudonyms:
    """Maps by a keyed hash: nobody without the key can go back or guess forward."""

    key: bytes

    def uid(self, old: str) -> str:
        """Return the uid that stands for another; the same one always gets the same."""
        return f"2.25.{int.from_bytes(self._digest('uid', old)[:16], 'big')}"

    def patient(self, identity: str) -> str:
        """Return the id that stands for a patient."""
        return f"ANON-{base64.b32encode(self._digest('patient', identity)[:10]).decode()}"

    def shift_days(self, identity: str) -> int:
        """Return by how many days all dates of a patient move; always into the past."""
        span = _LONGEST_SHIFT_DAYS - _SHORTEST_SHIFT_DAYS
        return -(_SHORTEST_SHIFT_DAYS + int.from_bytes(self._digest("days", identity)[:8], "big") % span)

    def _digest(self, kind: str, text: str) -> bytes:
        return hmac.new(self.key, f"{kind}\0{text}".encode(), hashlib.sha256).digest()


def shifted(text: str, days: int) -> str | None:
    """Return a DICOM date or date-time moved by whole days; None where it is neither."""
    found = _DATE.fullmatch(text.strip())
    if not found:
        return None
    try:
        moved = date(int(found[1]), int(found[2]), int(found[3])) + timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    return f"{moved:%Y%m%d}{found[4]}"


def pseudonyms_for(workspace: Workspace, site_key: bytes) -> Pseudonyms:
    """Return the pseudonyms of a site, or where it has no key those of this reading, whose key stays in its folder."""
    if site_key:
        return Pseudonyms(hashlib.sha256(site_key).digest())
    path = workspace.root / _KEY_FILE
    with writing(path):
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            return Pseudonyms(_whole(path))
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(32))
    return Pseudonyms(_whole(path))


def _whole(path: Path) -> bytes:
    key = path.read_bytes()
    if len(key) != 32:
        raise RuntimeError(f"{path.name} is not a key of 32 bytes")
    return key
