"""Where the graph's states are kept: SQLite, one file a reading."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tools.workspace import writing

if TYPE_CHECKING:
    from langgraph.checkpoint.sqlite import SqliteSaver


@contextmanager
def sqlite_checkpoints(path: Path) -> Iterator[SqliteSaver]:
    """Open (and make) the checkpoint file of a reading."""
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
    from langgraph.checkpoint.sqlite import SqliteSaver

    with writing(path), closing(sqlite3.connect(path, check_same_thread=False)) as connection:
        # The state is plain JSON, so nothing but built-in types may come back from the file.
        yield SqliteSaver(connection, serde=JsonPlusSerializer(allowed_msgpack_modules=None))
