"""The page's server: health, files of readings, and the page; nothing is fetched from outside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import Request  # FastAPI looks at the annotation

from ui.access.uploads import MB
from ui.shelf import PREFIX, Shelf

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from agent.assistant import Assistant
    from agent.settings import Settings

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]", "testserver")
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "manifest-src 'none'; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)
"""Gradio needs inline scripts and eval; whatever it would load from elsewhere is refused by the browser. It has no
manifest, but asks for one at the top of the site, wherever the page lies."""
_HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
)
SHOWN_IN_PAGE = {".png": "image/png"}
"""The only kind of file that a browser opens; all others are downloaded."""


def build_app(assistant: Assistant, host: str = "127.0.0.1") -> FastAPI:
    """Return the web application.

    Args:
        assistant: answers the page's requests.
        host: the address it will listen on; on loopback other host names are refused (DNS rebinding).

    Raises:
        ConfigError: the password file can't be used.
    """
    import gradio as gr
    from fastapi import FastAPI

    from tools.loopback import is_loopback_host
    from ui.app import STATIC, STYLES, build_page, head
    from ui.owners import Owners
    from ui.page import Page
    from ui.plans import plan_routes
    from ui.reports import report_routes
    from ui.settings import settings_routes
    from ui.viewing.serve import add_viewer

    settings = assistant.settings
    shelf = Shelf(settings.root_path)
    asks_who = bool(settings.password_file or settings.auth_header)
    everybody = is_loopback_host(host) and not asks_who
    owners = Owners(settings.readings_dir, settings_by=None if everybody else settings.admins)
    app = FastAPI(title="Reading Room", docs_url=None, redoc_url=None, openapi_url=None)
    add_routes(app, shelf, owners.may_have)
    pictures = add_viewer(app, assistant, owners)
    page = Page(assistant, shelf)
    app.include_router(report_routes(page.report, owners))
    app.include_router(plan_routes(page.look, owners))
    app.include_router(settings_routes(assistant, owners))
    guard(app, settings, host)
    mounted: FastAPI = gr.mount_gradio_app(
        app,
        build_page(page, owners, pictures),
        path="/",
        server_name=host,
        root_path=settings.root_path,
        allowed_paths=[],
        footer_links=[],
        run_history=False,
        show_error=True,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        max_file_size=settings.max_upload_mb * MB,
        theme=_theme(),
        css_paths=[STATIC / name for name in STYLES],
        head=head(),
    )
    return mounted


def guard(app: FastAPI, settings: Settings, host: str) -> None:
    """Put what every request must pass before the page; the last one added is asked first."""
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from tools.loopback import is_loopback_host
    from ui.access.cookies import Signer
    from ui.access.folder import InFolder
    from ui.access.gate import Gate, Proxy
    from ui.access.passwords import Users
    from ui.access.sign_in import add_sign_in
    from ui.access.uploads import LimitUploads, UploadLimits

    signer = Signer.of_folder(settings.data_dir)
    users = Users(settings.password_file) if settings.password_file else None
    proxy = Proxy.of(settings.auth_header, settings.trusted_proxies) if settings.auth_header else None
    if users is not None:
        add_sign_in(app, users, signer, settings.root_path)
    app.add_middleware(LimitUploads, limits=UploadLimits.of(settings))
    app.add_middleware(Gate, signer=signer, users=users, proxy=proxy, root_path=settings.root_path)
    if settings.root_path:
        app.add_middleware(InFolder, root_path=settings.root_path)
    app.add_middleware(_SafeHeaders)
    if is_loopback_host(host):
        known = [*LOOPBACK_NAMES, *settings.public_hosts]
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=known)


def add_routes(app: FastAPI, shelf: Shelf, may_have: Callable[[Request, Path], bool]) -> None:
    """Add health and the files of readings.

    Args:
        app: the application.
        shelf: lends the files.
        may_have: says whether an asker may have a file: it must be of a reading of theirs.
    """
    from fastapi import HTTPException
    from starlette.responses import FileResponse

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get(PREFIX + "/{key}/{name}")
    async def file(key: str, name: str, request: Request) -> FileResponse:
        path = shelf.get(key)
        if path is None or path.name != name or not may_have(request, path):
            raise HTTPException(404, "no such file in a reading of yours")
        shown = SHOWN_IN_PAGE.get(path.suffix.lower())
        return FileResponse(
            path,
            media_type=shown or "application/octet-stream",
            filename=path.name,
            content_disposition_type="inline" if shown else "attachment",
            headers={"Cache-Control": "private, max-age=3600"},
        )


class _SafeHeaders:
    """Adds headers to every response; streams pass through untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def _theme() -> object:
    import gradio as gr

    sans, mono = ["system-ui", "sans-serif"], ["ui-monospace", "monospace"]
    return gr.themes.Base(primary_hue="teal", neutral_hue="slate", radius_size="md", font=sans, font_mono=mono)


def serve(assistant: Assistant, host: str, port: int, on_ready: Callable[[str], None]) -> None:
    """Serve the page until the process is stopped.

    Args:
        assistant: answers the page's requests.
        host: the address to listen on.
        port: the port; 0 takes a free one.
        on_ready: called with the page's address once it answers.

    Raises:
        OSError: the port is taken.
    """
    from agent.empty_readings import remove_empty_readings
    from ui.listening import listening, serve_on

    remove_empty_readings(assistant.settings.readings_dir)
    root_path = assistant.settings.root_path
    with listening(host, port) as (listener, address):
        app = build_app(assistant, host)
        on_ready(f"{address}{root_path}/" if root_path else address)
        serve_on(listener, app)
