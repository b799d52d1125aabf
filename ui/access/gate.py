"""Stands before the whole page: says who asks, lets nobody in who must sign in, keeps sessions apart.

Whatever comes behind it learns who asks from one header that only this gate writes (`WHO`); what a client sends under
that name is dropped.
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from ui.access.cookies import ANONYMOUS_S, SIGNED_IN_S, Session, Signer, cookie_in, set_cookie
from ui.access.early import Incoming, answering_early
from ui.access.uploads import declared_bytes, is_upload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ui.access.passwords import Users

WHO = b"x-readingroom-who"
OPEN_PATHS = frozenset({"/health", "/login"})
API = "/gradio_api"
MAX_EVENT_BYTES = 32_000_000  # an event carries words and drawings; files go to /upload
MAX_OTHER_BYTES = 4_000_000  # a report of the greatest length, a plan as JSON, a sign-in
MAX_KNOWN = 100_000
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Proxy:
    """A reverse proxy that says who is signed in."""

    header: str
    """Name of its header, such as X-Forwarded-User."""
    addresses: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    """From where it is believed."""

    @classmethod
    def of(cls, header: str, addresses: Sequence[str]) -> Proxy:
        """Return a proxy of the settings."""
        return cls(header, tuple(ipaddress.ip_network(a, strict=False) for a in addresses))

    def sent(self, scope: Scope) -> bool:
        """Return whether a request comes from it."""
        try:
            address = ipaddress.ip_address((scope.get("client") or ("", 0))[0])
        except ValueError:
            return False
        return any(address in network for network in self.addresses)


class Refusal(Exception):  # noqa: N818  an answer, no failure of ours
    """A request that is not let through, and what its sender is told."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass
class Known:
    """What belongs to whom: pages' session hashes, and uploaded files."""

    _owner: dict[str, set[str]] = field(default_factory=dict)

    def claim(self, thing: str, who: str) -> bool:
        """Take note of a thing's first asker; return whether this one may have it."""
        if thing not in self._owner:
            while len(self._owner) >= MAX_KNOWN:
                self._owner.pop(next(iter(self._owner)))
            self._owner[thing] = {who}
        return who in self._owner[thing]

    def add(self, thing: str, who: str) -> None:
        """Let one more have a thing: two people may upload the same file."""
        self.claim(thing, who)
        self._owner[thing].add(who)

    def has(self, thing: str, who: str) -> bool:
        """Return whether a thing is this asker's."""
        return who in self._owner.get(thing, ())


class Gate:
    """ASGI middleware around everything that is served.

    Args:
        app: what lies behind.
        signer: of the cookies.
        users: who may sign in; None: nobody must.
        proxy: says who is signed in; None: nobody does.
        root_path: the folder of the site in which the page lies.
    """

    def __init__(
        self, app: ASGIApp, signer: Signer, users: Users | None = None, proxy: Proxy | None = None, root_path: str = ""
    ) -> None:
        self._app = app
        self._signer = signer
        self._users = users
        self._proxy = proxy
        self._root_path = root_path
        self._sessions = Known()
        self._uploads = Known()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        receive = Incoming(receive)
        try:
            who, session = self._who(scope)
            _same_origin(scope)
        except Refusal as refusal:
            await _refuse(scope, receive, send, refusal)
            return
        if not who and scope["path"] not in OPEN_PATHS:
            await _sign_in_first(scope, receive, send, self._root_path)
            return
        scope = {**scope, "headers": [*_without(scope["headers"], WHO), (WHO, who.encode())]}
        try:
            receive = await self._checked(scope, receive, who)
        except Refusal as refusal:
            await _refuse(scope, receive, send, refusal)
            return
        await self._app(scope, receive, self._sending(scope, send, who, session))

    def _who(self, scope: Scope) -> tuple[str, Session | None]:
        """Return who asks, and the new session of a browser that had none."""
        if self._proxy is not None:
            if not self._proxy.sent(scope):
                raise Refusal(403, "this page is reached through its proxy only (READINGROOM_TRUSTED_PROXIES)")
            user = _header(scope, self._proxy.header.lower().encode()).strip()
            if not user and scope["path"] != "/health":
                raise Refusal(401, f"the proxy did not say who is signed in (header {self._proxy.header})")
            return (f"user:{user}" if user else ""), None
        users = self._users.read() if self._users else None
        session = self._signer.read(cookie_in(scope), users)
        if users is not None:
            return (f"user:{session.user}" if session and session.user else ""), None
        if session is not None and not session.user:
            return f"browser:{session.id}", None
        new = self._signer.new()
        return f"browser:{new.id}", new

    async def _checked(self, scope: Scope, receive: Receive, who: str) -> Receive:
        """Refuse what belongs to somebody else; return how the request's body is received now."""
        path: str = scope["path"]
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        hashes = query.get("session_hash", [])
        if path.startswith(f"{API}/heartbeat/"):
            hashes = [path.rsplit("/", 1)[1]]
        for file in ("/file=", f"{API}/file=", "/file/", f"{API}/file/"):
            if path.startswith(file) and not self._uploads.has(path.removeprefix(file), who):
                raise Refusal(404, "no such file of yours")
        body = None
        if scope["method"] not in _SAFE_METHODS and not is_upload(scope):
            is_event = path.startswith(f"{API}/")
            body = await _body(scope, receive, MAX_EVENT_BYTES if is_event else MAX_OTHER_BYTES)
            hashes = [*hashes, *(_session_hashes(body) if is_event else ())]
        if any(not self._sessions.claim(h, who) for h in hashes):
            raise Refusal(403, "this page belongs to another browser: reload it")
        return receive if body is None else _again(body, receive)

    def _sending(self, scope: Scope, send: Send, who: str, new: Session | None) -> Send:
        gives = new is not None and (scope["path"] in ("/", "/config") or scope["path"].startswith("/login"))
        notes = scope["path"].rstrip("/") == f"{API}/upload"
        answer = bytearray()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and gives and new is not None:
                is_secure = is_https(scope, self._proxy)
                cookie = set_cookie(
                    self._signer.signed(new), ANONYMOUS_S, is_secure=is_secure, root_path=self._root_path
                )
                message["headers"] = [*message.get("headers", ()), (b"set-cookie", cookie)]
            if message["type"] == "http.response.body" and notes:
                answer.extend(message.get("body", b""))
                if not message.get("more_body"):
                    self._note(bytes(answer), who)
            await send(message)

        return sending

    def _note(self, answer: bytes, who: str) -> None:
        """Take note of whose the uploaded files are."""
        try:
            paths = json.loads(answer)
        except ValueError:
            return
        for path in paths if isinstance(paths, list) else ():
            self._uploads.add(str(path), who)


def signed_in(signer: Signer, users: Users, name: str, *, is_secure: bool, root_path: str) -> bytes:
    """Return the header that signs a browser in."""
    value = signer.signed(signer.new(name), users.read()[name])
    return set_cookie(value, SIGNED_IN_S, is_secure=is_secure, root_path=root_path)


def is_https(scope: Scope, proxy: Proxy | None) -> bool:
    """Return whether the person's browser talks to us, or to our proxy, by HTTPS."""
    if proxy is not None and proxy.sent(scope):
        return _header(scope, b"x-forwarded-proto").split(",")[0].strip() == "https"
    return scope.get("scheme") == "https"


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def _without(headers: Any, name: bytes) -> list[tuple[bytes, bytes]]:
    return [(key, value) for key, value in headers if key != name]


def _same_origin(scope: Scope) -> None:
    """Refuse what another site's page makes a browser send."""
    origin = _header(scope, b"origin")
    if scope["method"] in _SAFE_METHODS or not origin:
        return
    if urlsplit(origin).netloc != _header(scope, b"host"):
        raise Refusal(403, f"a page of {origin[:80]} may not act here")


async def _body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """Read a request's body, unless it says that it is too large, or turns out to be."""
    refusal = Refusal(413, f"what is sent here may have {limit:,} bytes at most; files go to {API}/upload")
    if declared_bytes(scope) > limit:
        raise refusal
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise refusal
        more = message.get("more_body", False)
    return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a receive that gives a body that was read, then waits for the client to leave."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return replay


def _session_hashes(body: bytes) -> list[str]:
    try:
        data = json.loads(body)
    except ValueError:
        return []
    found = data.get("session_hash") if isinstance(data, dict) else None
    return [found] if isinstance(found, str) and found else []


async def _sign_in_first(scope: Scope, receive: Receive, send: Send, root_path: str) -> None:
    from starlette.responses import RedirectResponse

    if scope["method"] == "GET" and "text/html" in _header(scope, b"accept"):
        await RedirectResponse(f"{root_path}/login", 303)(scope, receive, send)
    else:
        await _refuse(scope, receive, send, Refusal(401, "sign in first"))


async def _refuse(scope: Scope, receive: Receive, send: Send, refusal: Refusal) -> None:
    from starlette.responses import JSONResponse

    sending = send if scope["method"] in _SAFE_METHODS else answering_early(receive, send)
    await JSONResponse({"detail": refusal.message}, refusal.status)(scope, receive, sending)
