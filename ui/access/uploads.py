"""Refuses an upload that is too large while it comes in, before it fills disk or memory."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ui.access.early import answering_early

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from agent.settings import Settings

UPLOAD = "/gradio_api/upload"
KEEP_FREE_BYTES = 512 * 2**20  # readings, checkpoints and the log must still be written
LOOK_EVERY_BYTES = 64 * 2**20  # how often the free space is looked at while an upload comes in
MB = 1_000_000


def is_upload(scope: Scope) -> bool:
    """Return whether a request brings files."""
    return scope["method"] == "POST" and bool(scope["path"].rstrip("/") == UPLOAD)


def declared_bytes(scope: Scope) -> int:
    """Return how large a request's body is by its own word; 0 where it does not say."""
    said = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(said) if said.isdigit() else 0


def _free_bytes(folder: Path) -> int:
    """Return how much room the disk of a folder has; the folder itself may still have to be made."""
    return shutil.disk_usage(next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())).free


@dataclass(frozen=True)
class UploadLimits:
    """What may be uploaded."""

    max_bytes: int
    """At once; a study that is larger is attached by its path on the command line."""
    folders: Mapping[str, Path]
    """Where it is written, one place after the other: what each is called, and where it lies. The disks may differ."""
    free_bytes: Callable[[Path], int] = _free_bytes

    @classmethod
    def of(cls, settings: Settings) -> UploadLimits:
        """Return what the settings allow: Gradio writes an upload, then it is copied into its reading."""
        from gradio.utils import get_upload_folder

        places = {"uploads": Path(get_upload_folder()), "readings": settings.readings_dir}
        return cls(settings.max_upload_mb * MB, places)

    def refusal(self, size: int) -> tuple[int, str] | None:
        """Return status and words for an upload of a size that is not taken; None: it is."""
        if size > self.max_bytes:
            return 413, (
                f"the upload has more than {self.max_bytes / MB:,.0f} MB, which is the limit here "
                "(READINGROOM_MAX_UPLOAD_MB): zip one series only, or attach it by its path with 'readingroom ask -i'"
            )
        for name, folder in self.folders.items():
            if size + KEEP_FREE_BYTES > self.free_bytes(folder):
                room = f"for {size / MB:,.0f} MB more" if size >= MB else "for more"
                return 507, f"the disk with the {name} has no room {room}: free some space and upload again"
        return None


class LimitUploads:
    """ASGI middleware: looks at what an upload says of its size, then counts what really comes.

    Args:
        app: what lies behind.
        limits: what may be uploaded.
    """

    def __init__(self, app: ASGIApp, limits: UploadLimits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or not is_upload(scope):
            await self._app(scope, receive, send)
            return
        if refusal := self._limits.refusal(declared_bytes(scope)):
            await _refuse(scope, receive, send, refusal)
            return
        await self._counted(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an upload on while it may; the parser throws away what it had written when it is stopped."""
        from starlette.formparsers import MultiPartException

        size, looked_at = 0, 0
        refused: list[tuple[int, str]] = []

        async def counting() -> Message:
            nonlocal size, looked_at
            message = await receive()
            if message["type"] == "http.disconnect":
                raise MultiPartException("the upload was broken off")
            size += len(message.get("body", b""))
            if size > self._limits.max_bytes or size - looked_at > LOOK_EVERY_BYTES:
                looked_at = size
                if refusal := self._limits.refusal(size if size > self._limits.max_bytes else 0):
                    refused.append(refusal)
                    raise MultiPartException(refusal[1])
            return message

        early = answering_early(receive, send)

        async def sending(message: Message) -> None:
            if refused and message["type"] == "http.response.start":
                message["status"] = refused[0][0]
            await (early if refused else send)(message)

        await self._app(scope, counting, sending)


async def _refuse(scope: Scope, receive: Receive, send: Send, refusal: tuple[int, str]) -> None:
    from starlette.responses import PlainTextResponse

    status, words = refusal
    await PlainTextResponse(words, status)(scope, receive, answering_early(receive, send))
