"""Whose a reading is: each browser has its own, told by a cookie that only the server reads."""

from __future__ import annotations

import hashlib
import secrets
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.workspace import write_atomically

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "readingroom_session"
COOKIE_AGE_S = 30 * 86_400
OWNER_FILE = "owner"
"""In the reading's folder; holds a hash, so that reading the folder gives nobody the cookie."""


def owner_of(request: Any) -> str:
    """Return who asks, as a hash; empty where nobody can be told.

    Args:
        request: Starlette's or Gradio's; both have `cookies`.
    """
    token = (getattr(request, "cookies", None) or {}).get(COOKIE, "")
    return hashlib.sha256(token.encode()).hexdigest() if token else ""


class Owners:
    """Knows whose the readings of a folder are."""

    def __init__(self, readings_dir: Path) -> None:
        self._readings_dir = readings_dir

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
        except OSError:
            return False
        return secrets.compare_digest(kept, owner)

    def readings(self, request: Any) -> list[str]:
        """Return the asker's readings, newest first."""
        owner = owner_of(request)
        if not owner:
            return []
        folders = sorted((p.parent for p in self._readings_dir.glob(f"*/{OWNER_FILE}")), reverse=True)
        return [f.name for f in folders if self.owner_may(request, f.name)]


class SessionCookie:
    """Gives each browser its cookie with the first page it loads."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; the cookie comes with the answer."""
        if scope["type"] != "http" or scope["path"] != "/" or _has_cookie(scope):
            await self._app(scope, receive, send)
            return
        value = f"{COOKIE}={secrets.token_urlsafe(24)}; Path=/; Max-Age={COOKIE_AGE_S}; HttpOnly; SameSite=Lax"
        secure = "; Secure" if scope.get("scheme") == "https" else ""

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"set-cookie", (value + secure).encode())]
            await send(message)

        await self._app(scope, receive, send_with_cookie)


def _has_cookie(scope: Scope) -> bool:
    cookie: SimpleCookie = SimpleCookie()
    for name, value in scope["headers"]:
        if name == b"cookie":
            try:
                cookie.load(value.decode("latin-1"))
            except CookieError:
                return False
    return COOKIE in cookie
