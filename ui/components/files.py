"""The tab Files: what each step wrote, how it came to be, and where to get it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ui.components.citing import marks_html
from ui.components.html import element, text
from ui.components.turn import LinkTo
from ui.render import argument_text, bytes_text, file_kind, seconds_text

if TYPE_CHECKING:
    from tools.workspace import Artifact, Provenance


def files_tab_html(artifacts: Iterable[Artifact], folder: Path, link_to: LinkTo) -> str:
    """Return every result with its files and provenance, newest last, and the run record.

    Args:
        artifacts: of the reading.
        folder: of the reading.
        link_to: gives the address of a file.
    """
    rows = [_artifact(artifact, folder, link_to) for artifact in artifacts]
    record = folder / "record.jsonl"
    if record.is_file():
        said = "every plan, call, version and seed of this reading"
        rows.append(element("li", element("ul", _file(record, "run record", link_to)), element("small", text(said))))
    return element("ul", *rows, css="rr-files") if rows else ""


def _artifact(artifact: Artifact, folder: Path, link_to: LinkTo) -> str:
    made = folder / "artifacts" / artifact.id
    files = "".join(_file(made / name, file_kind(name), link_to) for name in artifact.files)
    return element(
        "li",
        element("b", text(artifact.id), css="rr-id"),
        element("span", text(artifact.summary)),
        marks_html(artifact.marks),
        element("ul", files) if files else "",
        element(
            "details", element("summary", text("How it was made")), element("dl", _provenance(artifact.provenance))
        ),
        data_source=artifact.id,
    )


def _provenance(made: Provenance) -> str:
    model = made.model
    rows = [("Tool", f"{made.tool} ({made.tool_version})"), ("Arguments", argument_text(made.params) or "none")]
    if model:
        weights = f", weights {model.weights_sha256[:12]}" if model.weights_sha256 else ""
        rows.append(("Model", f"{model.card} {model.version}, {model.runtime} on {model.device}{weights}"))
        rows += [("Licence", model.licence)] if model.licence else []
        rows += [("Why this model", model.reason)] if model.reason else []
    rows += [
        ("From", ", ".join(made.inputs) or "nothing"), ("Took", seconds_text(made.seconds)), ("Seed", str(made.seed)),
        ("Software", made.software or "not noted"),
    ]  # fmt: skip
    return "".join(element("dt", text(name)) + element("dd", text(value)) for name, value in rows)


def _file(path: Path, what: str, link_to: LinkTo) -> str:
    if not path.is_file():
        return element("li", text(path.name), element("small", text("no longer there")))
    link = element("a", text(path.name), href=link_to(path), download=path.name)
    return element("li", link, element("small", text(f"{what} · {bytes_text(path.stat().st_size)}")))
