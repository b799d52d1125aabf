"""The page over a scripted assistant in a process of its own, for tests that talk to it as a browser would.

python -m tests.page_server FOLDER STEP_SECONDS WAITS PORT BUSY
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.served import served


@contextmanager
def serving(
    folder: Path, *, step_seconds: float = 0.0, waits: int = 0, port: int = 0, busy: bool = False, **settings: object
) -> Iterator[str]:
    """Yield the address of a page whose readings lie in a folder; a folder and port used again are a restart.

    Args:
        folder: readings, uploads, the server's log.
        step_seconds: how long each step of the story takes.
        waits: for how many decisions it waits.
        port: 0 takes a free one.
        busy: whether a step computes in Python all the while, instead of waiting.
        settings: READINGROOM_* settings, by their names in lower case.
    """
    given = {f"READINGROOM_{name.upper()}": str(value) for name, value in settings.items()}
    with served("tests.page_server", folder, step_seconds, waits, port, int(busy), env=given) as address:
        yield address


def main() -> None:
    """Serve until terminated; the first line says where."""
    from agent.settings import Settings
    from tests.fake_assistant import FakeAssistant
    from ui.server import serve

    folder, step_seconds, waits, port = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    settings = Settings(readings_dir=folder / "readings", cache_dir=folder / "cache", data_dir=folder / "data")
    assistant = FakeAssistant(settings=settings, step_seconds=step_seconds, waits=waits, busy=sys.argv[5] == "1")
    serve(assistant, "127.0.0.1", port, lambda address: print(address, flush=True))  # noqa: T201  its caller reads it


if __name__ == "__main__":
    main()
