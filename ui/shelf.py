"""Which files a page may fetch: those that its own readings made, each under a key that nobody can guess."""

from __future__ import annotations

import secrets
import threading
from pathlib import Path
from urllib.parse import quote

PREFIX = "/files"


class Shelf:
    """Lends files of readings. A file that was not put here is not served, whatever its path.

    Args:
        root_path: the folder of the site in which the page lies; programs get addresses that begin with it.
    """

    def __init__(self, root_path: str = "") -> None:
        self._root_path = root_path
        self._lock = threading.Lock()
        self._keys: dict[Path, str] = {}
        self._files: dict[str, Path] = {}

    def put(self, path: Path, folder: Path) -> str:
        """Lend a file and return its address.

        Args:
            path: the file.
            folder: the reading's folder; the file must really lie in it.

        Raises:
            ValueError: it lies elsewhere.
        """
        real = path.resolve()
        if not real.is_relative_to(folder.resolve()):
            raise ValueError(f"{path} does not lie in the reading's folder {folder}")
        with self._lock:
            key = self._keys.setdefault(real, secrets.token_urlsafe(18))
            self._files[key] = real
        return f"{self._root_path}{PREFIX}/{key}/{quote(real.name)}"

    def get(self, key: str) -> Path | None:
        """Return the file lent under a key, or None."""
        with self._lock:
            path = self._files.get(key)
        return path if path is not None and path.is_file() else None
