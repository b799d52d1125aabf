"""Lets the page lie in a folder of a site: takes the folder's name off the front of every path.

What comes behind it, gate and routes alike, sees the same paths as on a host of its own. The name is a setting; no
header of a request says it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ui.access.early import answering_early

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class InFolder:
    """ASGI middleware: a path outside the folder names nothing.

    Args:
        app: what lies behind.
        root_path: the folder, such as "/readingroom".
    """

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app = app
        self._root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"].startswith(f"{self._root_path}/"):
            inner = {**scope, "path": scope["path"].removeprefix(self._root_path)}
            inner.pop("raw_path", None)  # may name the same path in other letters
            await self._app(inner, receive, send)
        else:
            await self._elsewhere(scope, receive, send)

    async def _elsewhere(self, scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.responses import JSONResponse, RedirectResponse

        if scope["path"] == self._root_path:
            query = scope.get("query_string", b"").decode("latin-1")
            await RedirectResponse(f"{self._root_path}/{'?' if query else ''}{query}", 307)(scope, receive, send)
        else:
            told = (
                f"the page lies at {self._root_path}/ (READINGROOM_ROOT_PATH), got {scope['path'][:80]!r}: "
                "a proxy must pass paths on unchanged"
            )
            await JSONResponse({"detail": told}, 404)(scope, receive, answering_early(receive, send))
