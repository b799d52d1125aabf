"""Where the graph's states are kept: SQLite in the reading's folder (default), PostgreSQL, or memory."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.errors import ConfigError
from tools.workspace import writing

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.checkpoint.memory import InMemorySaver
    from langgraph.checkpoint.postgres import PostgresSaver
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
    from psycopg import Connection

CONNECT_TIMEOUT_S = 5
_LOCK = 0x52_45_41_44  # "READ": tells our lock from those of others on the same server

_setting_up = threading.Lock()
_set_up: set[str] = set()


class Checkpoints:
    """Opens the checkpointer that a setting names.

    Args:
        setting: "sqlite", "memory" (lost when the process ends), or a "postgresql://…" address.
    """

    def __init__(self, setting: str = "sqlite") -> None:
        self._setting = setting

    @contextmanager
    def open(self, reading_folder: Path) -> Iterator[BaseCheckpointSaver[Any]]:
        """Lend the checkpointer for one run.

        Raises:
            ConfigError: the PostgreSQL extra is missing, or its server does not answer.
        """
        if self._setting == "memory":
            yield self._memory
        elif self._setting == "sqlite":
            with _sqlite(reading_folder / "checkpoints.sqlite") as saver:
                yield saver
        else:
            with _postgres(self._setting) as saver:
                yield saver

    @cached_property
    def _memory(self) -> InMemorySaver:
        from langgraph.checkpoint.memory import InMemorySaver

        return InMemorySaver(serde=_plain_json())


@contextmanager
def _sqlite(path: Path) -> Iterator[BaseCheckpointSaver[Any]]:
    from langgraph.checkpoint.sqlite import SqliteSaver

    with writing(path), closing(sqlite3.connect(path, check_same_thread=False)) as connection:
        yield SqliteSaver(connection, serde=_plain_json())


@contextmanager
def _postgres(address: str) -> Iterator[BaseCheckpointSaver[Any]]:
    try:
        from langgraph.checkpoint.postgres import PostgresSaver
        from psycopg import Connection, OperationalError
        from psycopg.rows import dict_row
    except ImportError as error:
        raise ConfigError("checkpoints in PostgreSQL need an extra: pip install 'readingroom[postgres]'") from error
    try:
        connection = Connection.connect(
            address, autocommit=True, prepare_threshold=0, row_factory=dict_row, connect_timeout=CONNECT_TIMEOUT_S
        )
    except OperationalError as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"checkpoints: the PostgreSQL server does not answer: {reason}") from None
    with connection:
        saver = PostgresSaver(connection, serde=_plain_json())
        _set_up_once(address, saver, connection)
        yield saver


def _set_up_once(address: str, saver: PostgresSaver, connection: Connection[Any]) -> None:
    """Make the tables, one thread and one process at a time: made twice at once, PostgreSQL refuses one of them.

    The lock is tried again and again, not waited for: an index that is built concurrently waits for every statement
    that is under way, also for one that waits for the lock.
    """
    with _setting_up:
        if address in _set_up:
            return
        ours = "SELECT 1 WHERE pg_try_advisory_lock(%s)"
        while connection.execute(ours, (_LOCK,)).fetchone() is None:
            time.sleep(0.05)
        try:
            saver.setup()
        finally:
            connection.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))
        _set_up.add(address)


def _plain_json() -> JsonPlusSerializer:
    """The state is plain JSON, so nothing but built-in types may come back from a checkpoint."""
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

    return JsonPlusSerializer(allowed_msgpack_modules=None)
