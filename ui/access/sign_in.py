"""The page where a person signs in, with name and password."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.requests import Request  # FastAPI looks at the annotation

from ui.access.cookies import Signer, set_cookie
from ui.access.gate import is_https, signed_in
from ui.components.html import element, text

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.responses import Response

    from ui.access.passwords import Users

logger = logging.getLogger(f"readingroom.{__name__}")

WRONG = "Name or password is wrong."
TOO_OFTEN = "Too many tries; wait five minutes."
TRIES, WITHIN_S = 10, 300.0
MAX_FORM_BYTES = 10_000
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:0;display:grid;place-items:center;min-height:100vh;"
    "background:#f6f8f9;color:#1d2b32}form{width:20rem;display:grid;gap:.8rem}h1{font-size:1.3rem;margin:0}"
    "label{display:grid;gap:.2rem}input,button{font:inherit;padding:.5rem;border:1px solid #5d7079;border-radius:6px;"
    "background:#fff;color:inherit}button{background:#0f5f5a;color:#fff;border:0}p{margin:0}.wrong{color:#a1161d}"
    "@media(prefers-color-scheme:dark){body{background:#12191d;color:#e4ecef}input{background:#1b262b}"
    ".wrong{color:#ff9a9a}}"
)


@dataclass
class Tries:
    """How often a name was tried in vain of late."""

    _at: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def too_many(self, name: str, now: float) -> bool:
        """Return whether a name must wait."""
        with self._lock:
            tries = self._at[name]
            while tries and now - tries[0] > WITHIN_S:
                tries.popleft()
            return len(tries) >= TRIES

    def failed(self, name: str, now: float) -> None:
        """Take note of a try in vain."""
        with self._lock:
            self._at[name].append(now)


def add_sign_in(app: FastAPI, users: Users, signer: Signer, root_path: str = "") -> None:
    """Add the page to sign in and the way out; `root_path` is the folder of the site in which the page lies."""
    import anyio
    import anyio.to_thread
    from starlette.responses import HTMLResponse, RedirectResponse

    tries, one_at_a_time = Tries(), anyio.CapacityLimiter(1)

    @app.get("/login")
    async def show() -> HTMLResponse:
        return HTMLResponse(sign_in_html())

    @app.post("/login")
    async def sign_in(request: Request) -> Response:
        form = await _form(request)
        name, password = form.get("username", "")[:100].strip(), form.get("password", "")[:1000]
        if tries.too_many(name, time.monotonic()):
            return _told(request, TOO_OFTEN, 429)
        if not await anyio.to_thread.run_sync(users.knows, name, password, limiter=one_at_a_time):
            tries.failed(name, time.monotonic())
            logger.warning("a sign-in failed")
            return _told(request, WRONG, 401)
        header = signed_in(signer, users, name, is_secure=is_https(request.scope, None), root_path=root_path)
        answer = _done(request, root_path)
        answer.headers.append("set-cookie", header.decode())
        return answer

    @app.get("/logout")
    async def sign_out() -> RedirectResponse:
        answer = RedirectResponse(f"{root_path}/login", 303)
        answer.headers.append("set-cookie", set_cookie("", 0, is_secure=False, root_path=root_path).decode())
        return answer


def sign_in_html(problem: str = "") -> str:
    """Return the page."""
    told = element("p", text(problem), css="wrong", role="alert") if problem else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sign in · Reading Room</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><main>'
        f'<form method="post"><h1>Reading Room</h1>{told}'
        '<label>Name<input name="username" autocomplete="username" required autofocus></label>'
        '<label>Password<input name="password" type="password" autocomplete="current-password" required></label>'
        "<button>Sign in</button><p>Research use only; not a medical device.</p></form></main></body></html>"
    )


async def _form(request: Request) -> dict[str, str]:
    from urllib.parse import parse_qsl

    length = request.headers.get("content-length", "")
    if not length.isdigit() or int(length) > MAX_FORM_BYTES:
        return {}
    return dict(parse_qsl((await request.body()).decode("utf-8", errors="replace")))


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _told(request: Request, problem: str, status: int) -> Response:
    from starlette.responses import HTMLResponse, JSONResponse

    return (
        HTMLResponse(sign_in_html(problem), status)
        if _wants_page(request)
        else JSONResponse({"detail": problem}, status)
    )


def _done(request: Request, root_path: str) -> Response:
    from starlette.responses import JSONResponse, RedirectResponse

    return RedirectResponse(f"{root_path}/", 303) if _wants_page(request) else JSONResponse({"success": True})
