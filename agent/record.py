"""The run record of a reading: `record.jsonl`, append-only, one JSON object a line.

Every LLM call, plan, tool call, version, hash and seed is in it. It is a file the person asked for and stays in the
reading's folder; prompts and answers are in it only as hashes unless payload logging is on.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tools.workspace import writing


class RunRecord:
    """Appends to and reads the record of one reading."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def append(self, event: str, **facts: Any) -> None:
        """Append one line; it reaches the disk before this returns."""
        line = json.dumps({"at": round(time.time(), 3), "event": event, **facts}, ensure_ascii=False, default=str)
        with self._lock, writing(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()

    def lines(self) -> Iterator[Mapping[str, Any]]:
        """Yield the entries in order; a last line cut off by a killed process is passed over."""
        if not self.path.exists():
            return
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue
