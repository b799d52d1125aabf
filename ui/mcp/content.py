"""A tool's result as MCP content: a sentence, typed data, its pictures, and links to its files."""

from __future__ import annotations

import base64
import mimetypes
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

from tools.errors import BadInputError, NotFoundError
from ui.mcp.gate import WITHHELD

if TYPE_CHECKING:
    from mcp_types import CallToolResult, ContentBlock, Resource, TextContent

    from tools.workspace import Artifact, Attachment, Workspace
    from ui.mcp.gate import Gate

SCHEME = "readingroom"
RESEARCH_USE = "Research use only, not a medical device: a person must check this."
MARKS = {
    "synthetic": "SYNTHETIC: this was generated and shows no patient.",
    "mock": "MOCK: no real tool computed this.",
    "opinion": "MODEL OPINION: a model said this; nothing was measured.",
}
MAX_PICTURES = 6
MAX_PICTURE_BYTES = 5_000_000  # what clients take as one image; larger ones stay files
MAX_FILE_BYTES = 256_000_000  # of a file read through the protocol, where base64 lies in memory several times


def text(words: str) -> TextContent:
    """Return words as content."""
    from mcp_types import TextContent

    return TextContent(type="text", text=words)


def refused(message: str) -> CallToolResult:
    """Return an error as the client's model is told it: one line."""
    from mcp_types import CallToolResult

    return CallToolResult(content=[text(message)], is_error=True)


def attached(gate: Gate, reading: str, attachment: Attachment) -> CallToolResult:
    """Return what was attached."""
    from mcp_types import CallToolResult

    facts = attachment.facts.model_dump(mode="json", exclude_defaults=True) | {"id": attachment.id}
    safe = gate.outgoing(reading, "attach", facts)
    said = ", ".join(f"{name} {value}" for name, value in safe.items() if name != "id" and isinstance(value, str | int))
    line = f"Attached as @{attachment.id}: {said}.\nReading: {reading}"
    return CallToolResult(content=[text(line)], structured_content={"id": attachment.id, "reading": reading} | safe)


def result(gate: Gate, workspace: Workspace, reading: str, artifact: Artifact) -> CallToolResult:
    """Return a result: sentence, marks and notes as text, pictures as pictures, files as links, the rest as data."""
    from mcp_types import CallToolResult

    folder = workspace.step_folder(artifact.id)
    figures = [n for n in artifact.data.get("figures", ()) if n.lower().endswith(".png")]
    small = [n for n in figures if (folder / n).stat().st_size <= MAX_PICTURE_BYTES][:MAX_PICTURES]
    sent = small if gate.lets_pixels_out else []
    said = {"lines": _lines(artifact), "result": dict(artifact.data)}
    safe = gate.outgoing(reading, artifact.provenance.tool, said, known=_secret(artifact), pictures=len(sent))
    words = [*safe["lines"], *_about_pictures(figures, sent, gate), f"Reading: {reading}", RESEARCH_USE]
    content: list[ContentBlock] = [text("\n".join(words))]
    content += [_picture(folder / name) for name in sent]
    content += [_link(reading, artifact, name) for name in artifact.files if (folder / name).is_file()]
    structured = {"id": artifact.id, "reading": reading, "result": safe["result"]}
    return CallToolResult(content=content, structured_content=structured)


def _lines(artifact: Artifact) -> list[str]:
    model = artifact.provenance.model
    lines = [MARKS[mark] for mark in artifact.marks]
    lines.append(f"@{artifact.id} ({artifact.kind}): {artifact.summary}")
    lines += [f"Note: {note}" for note in artifact.data.get("notes", ())]
    if model is not None:
        lines.append(f"Model: {model.card} {model.version}, {model.device}. {model.reason}".strip())
    return lines


def _secret(artifact: Artifact) -> list[str]:
    """Return what a PACS says of its patients; only counts of it may be shown to a language model elsewhere."""
    if artifact.kind != "studies":
        return []
    rows = artifact.data.get("studies", ())
    return [value for row in rows for value in (row.get("patient_id"), row.get("description")) if value]


def _about_pictures(figures: list[str], sent: list[str], gate: Gate) -> list[str]:
    if not figures:
        return []
    if not gate.lets_pixels_out:
        return [WITHHELD.format(what=f"{len(figures)} picture{'s' * (len(figures) > 1)} of it")]
    more = len(figures) - len(sent)
    return [f"{more} more pictures are among its files."] if more else []


def _picture(path: Path) -> ContentBlock:
    from mcp_types import ImageContent

    return ImageContent(type="image", data=base64.b64encode(path.read_bytes()).decode(), mime_type="image/png")


def _link(reading: str, artifact: Artifact, name: str) -> ContentBlock:
    from mcp_types import ResourceLink

    return ResourceLink(
        uri=address(reading, artifact.id, name), name=name, mime_type=_kind_of(name),
        description=f"of {artifact.id}: {artifact.kind}",
    )  # fmt: skip


def address(reading: str, step: str, name: str) -> str:
    """Return the address of one file of a result."""
    return f"{SCHEME}://{reading}/{step}/{quote(name)}"


def resources(workspace: Workspace, reading: str) -> list[Resource]:
    """Return every file that the results of a reading hold."""
    from mcp_types import Resource

    return [
        Resource(uri=address(reading, a.id, name), name=f"{a.id}/{name}", mime_type=_kind_of(name), description=a.kind)
        for a in workspace.artifacts()
        for name in a.files
        if (workspace.root / "artifacts" / a.id / name).is_file()
    ]


def reading_of(uri: str) -> str:
    """Return which reading an address belongs to."""
    return urlsplit(uri).netloc


def contents(gate: Gate, workspace: Workspace, uri: str) -> Any:
    """Return the bytes behind an address.

    Raises:
        NotFoundError: no result of the reading names such a file.
        BadInputError: it may not leave, or is too large to send.
    """
    from mcp_types import BlobResourceContents

    step, _, name = unquote(urlsplit(uri).path).strip("/").partition("/")
    known = {a.id: a for a in workspace.artifacts()}
    if step not in known or name not in known[step].files:
        raise NotFoundError(f"no file {step}/{name} among the results of this reading")
    if not gate.lets_pixels_out:
        raise BadInputError(WITHHELD.format(what=f"The file {step}/{name}"))
    path = workspace.step_folder(step) / name
    if path.stat().st_size > MAX_FILE_BYTES:
        raise BadInputError(f"{step}/{name} has {path.stat().st_size:,} bytes, more than {MAX_FILE_BYTES:,}: too large")
    gate.outgoing(workspace.root.name, "file", name, pictures=1)
    blob = base64.b64encode(path.read_bytes()).decode()
    return BlobResourceContents(uri=uri, mime_type=_kind_of(name), blob=blob)


def _kind_of(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
