"""One file over HTTP: resumed where it broke off, moved into place when it is whole."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tools.errors import BadInputError, UnavailableError

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger(f"readingroom.{__name__}")

OnProgress = Callable[[int, int | None], None]
"""Called with bytes done and bytes in all, as far as the server says."""

ATTEMPTS = 5
SILENCE_S = 30.0  # a server that sends nothing for so long is taken for gone
_PAUSE_S = 0.5
_ACCEPTED = 200
_PARTIAL = 206
_RANGE_REFUSED = 416


class _CutError(Exception):
    """The connection broke; what came is kept."""


@dataclass(frozen=True)
class Download:
    """One file to fetch.

    Attributes:
        url: http or https, as the person gave it.
        folder: where the unfinished part lies; the same URL goes on there another day.
        silence_s: after how long without a byte the server is given up.
    """

    url: str
    folder: Path
    silence_s: float = SILENCE_S

    @property
    def file_name(self) -> str:
        """The file's own name, from the URL."""
        return Path(unquote(urlsplit(self.url).path)).name or "download"

    def fetch(self, on_progress: OnProgress) -> Path:
        """Fetch the file and return where it lies; the caller moves it away.

        Raises:
            BadInputError: the address is none, or does not lead to a file.
            UnavailableError: the server cannot be reached, fails, or breaks off again and again; what came is kept.
        """
        import httpx

        if urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).hostname:
            raise BadInputError(f"--from must be a folder, a file or an http(s) address, got {self.url!r}")
        self.folder.mkdir(parents=True, exist_ok=True)
        timeout = httpx.Timeout(self.silence_s, connect=min(self.silence_s, 10.0))
        with httpx.Client(timeout=timeout, follow_redirects=True, max_redirects=5) as client:
            for attempt in range(ATTEMPTS):
                try:
                    return self._once(client, on_progress)
                except _CutError as error:
                    logger.info("download broke off (%s), attempt %d", error, attempt + 1)
                    last = str(error)
                    time.sleep(_PAUSE_S * attempt)
        kept = self._part.stat().st_size if self._part.exists() else 0
        raise UnavailableError(
            f"{_shown(self.url)} broke off {ATTEMPTS} times ({last}); {kept / 1e6:.1f} MB are kept: run the same "
            "command to go on"
        )

    @property
    def _part(self) -> Path:
        return self.folder / f"{hashlib.sha256(self.url.encode()).hexdigest()[:16]}.part"

    @property
    def _note(self) -> Path:
        return self._part.with_suffix(".json")

    def _once(self, client: httpx.Client, on_progress: OnProgress) -> Path:
        import httpx

        have = self._part.stat().st_size if self._part.exists() else 0
        headers = {"Accept-Encoding": "identity"}
        validator = self._validator() if have else ""
        if have and validator:
            headers |= {"Range": f"bytes={have}-", "If-Range": validator}
        try:
            with client.stream("GET", self.url, headers=headers) as response:
                if response.status_code == _RANGE_REFUSED:
                    self._part.unlink(missing_ok=True)
                    raise _CutError("the server refused to go on")
                self._require_file(response)
                self._take(response, have if response.status_code == _PARTIAL else 0, on_progress)
        except httpx.ConnectError as error:
            raise UnavailableError(
                f"{_shown(self.url)} cannot be reached ({error}): check the address and the network, or bring the file "
                "with '--from FILE'"
            ) from error
        except httpx.TooManyRedirects as error:
            raise BadInputError(f"{_shown(self.url)} redirects too often; give the file's own address") from error
        except httpx.TransportError as error:
            raise _CutError(str(error) or type(error).__name__) from error
        return self._finished()

    def _require_file(self, response: httpx.Response) -> None:
        status = response.status_code
        if status >= 500:
            raise _CutError(f"the server answered {status}")
        if status not in (_ACCEPTED, _PARTIAL):
            raise BadInputError(
                f"{_shown(self.url)} answered {status} {response.reason_phrase}: check the address, or download the "
                "file with a browser and give it with '--from FILE'"
            )
        if response.headers.get("content-type", "").startswith("text/html"):
            raise BadInputError(f"{_shown(self.url)} is a web page, no file of weights: give the file's own address")

    def _take(self, response: httpx.Response, have: int, on_progress: OnProgress) -> None:
        length = response.headers.get("content-length", "")
        total = have + int(length) if length.isdigit() else None
        free = shutil.disk_usage(self.folder).free
        if total is not None and total - have > free:
            raise UnavailableError(
                f"{_shown(self.url)} has {total / 1e6:.0f} MB, {self.folder} has {free / 1e6:.0f} MB free"
            )
        validator = response.headers.get("etag", "") or response.headers.get("last-modified", "")
        # A weak validator says "much the same", which is not enough to join two halves.
        self._note.write_text(json.dumps({"validator": "" if validator.startswith("W/") else validator}))
        done = have
        with self._part.open("ab" if have else "wb") as out:
            for chunk in response.iter_raw():
                out.write(chunk)
                done += len(chunk)
                on_progress(done, total)
        if total is not None and done != total:
            raise _CutError(f"{done} of {total} bytes came")

    def _validator(self) -> str:
        try:
            return str(json.loads(self._note.read_text())["validator"])
        except (OSError, ValueError, KeyError):
            return ""

    def _finished(self) -> Path:
        self._note.unlink(missing_ok=True)
        whole = self._part.with_suffix(".whole")
        return self._part.replace(whole)


def _shown(url: str) -> str:
    """Return an address without its query, which may hold a key."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
