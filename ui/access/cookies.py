"""The page's cookie: who a browser is, signed, so that it holds over a restart and nobody can write one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import time
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING

from tools.workspace import writing

if TYPE_CHECKING:
    from starlette.types import Scope

COOKIE = "readingroom_session"
ANONYMOUS_S = 90 * 86_400
SIGNED_IN_S = 12 * 3600
KEY_BYTES = 32


@dataclass(frozen=True)
class Session:
    """One browser."""

    id: str
    """Random; the browser's own until it forgets its cookies."""
    user: str = ""
    """Who signed in; empty where nobody must."""
    since: int = 0
    """Seconds since the epoch."""


class Signer:
    """Makes and reads cookies' values.

    Args:
        key: whoever has it can be anybody.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of_folder(cls, folder: Path) -> Signer:
        """Return a signer with the key of a folder; it is made, readable by its owner only, where there is none."""
        path = folder / "page.key"
        with writing(path):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(secrets.token_bytes(KEY_BYTES))
            except FileExistsError:
                pass
        return cls(path.read_bytes())

    def new(self, user: str = "") -> Session:
        """Return a new browser's session."""
        return Session(secrets.token_urlsafe(24), user, int(time.time()))

    def signed(self, session: Session, secret: str = "") -> str:
        """Return a cookie's value.

        Args:
            session: who.
            secret: what must not have changed for it to hold, such as the hash of the user's password.
        """
        body = ".".join((session.id, _packed(session.user), str(session.since)))
        return f"{body}.{self._mac(body, secret)}"

    def read(self, value: str, secret_of: dict[str, str] | None = None) -> Session | None:
        """Return who a cookie's value says; None where it is forged, too old, or its user is gone.

        Args:
            value: the cookie's.
            secret_of: per user, as for `signed`; None where nobody signs in.
        """
        body, _, mac = value.rpartition(".")
        parts = body.split(".")
        if len(parts) != 3 or not parts[2].isdigit():
            return None
        session = Session(parts[0], _unpacked(parts[1]), int(parts[2]))
        if session.user and session.user not in (secret_of or {}):
            return None
        if not hmac.compare_digest(mac, self._mac(body, (secret_of or {}).get(session.user, ""))):
            return None
        limit = SIGNED_IN_S if session.user else ANONYMOUS_S
        return session if 0 <= time.time() - session.since <= limit else None

    def _mac(self, body: str, secret: str) -> str:
        return hmac.new(self._key, f"{body}\n{secret}".encode(), hashlib.sha256).hexdigest()


def cookie_in(scope: Scope) -> str:
    """Return the value of the page's cookie in a request; empty where there is none."""
    for name, value in scope["headers"]:
        if name == b"cookie":
            jar: SimpleCookie = SimpleCookie()
            try:
                jar.load(value.decode("latin-1"))
            except CookieError:
                continue
            if COOKIE in jar:
                return jar[COOKIE].value
    return ""


def set_cookie(value: str, max_age_s: int, *, is_secure: bool, root_path: str = "") -> bytes:
    """Return the header that gives a browser its cookie.

    Scripts can't read it, other sites don't send it, and the rest of a site in whose folder the page lies gets none.
    """
    secure = "; Secure" if is_secure else ""
    return f"{COOKIE}={value}; Path={root_path}/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}".encode()


def _packed(user: str) -> str:
    return base64.urlsafe_b64encode(user.encode()).decode().rstrip("=")


def _unpacked(text: str) -> str:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        return "\0"  # no user has this name
