"""send_results: results of this reading to a PACS. A person agrees first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from tools.contract import Cost, Ref, ToolContext, tool
from tools.errors import UnsupportedError
from tools.examples import examples_of
from tools.results import Image, Sent
from tools.verbs.export import Format, export_as

_SENDABLE = ("mask", "measurements", "report", "files", "image")
_FORMS: tuple[tuple[str, Format], ...] = (("mask", "dicom-seg"), ("measurements", "dicom-sr"), ("report", "dicom-sr"))
SendRef = Annotated[str, Field(pattern=r"^@?(img|mask|s)[0-9]+$"), Ref(_SENDABLE)]


@tool(cost=Cost(seconds=10), timeout_s=1800, needs_approval=True, examples=examples_of("send_results"))
def send_results(
    ctx: ToolContext,
    artifacts: Annotated[list[SendRef], Field(min_length=1, description="the results to send")],
    server: Annotated[str | None, Field(description="which PACS, where several are set up")] = None,
) -> Sent:
    """Send results to a PACS: masks as DICOM SEG, measurements and drafts as DICOM SR, DICOM files as they are.

    They join the study of the images that they are said of. A person must agree before anything is sent.

    Raises:
        UnsupportedError: a result that is no DICOM and cannot become it, or that belongs to no study of a PACS.
        UnavailableError: no PACS is set up, it is down, refuses us, or did not confirm every object.
    """
    pacs = ctx.open_pacs(server)
    files, notes = _as_dicom(ctx, artifacts)
    ctx.progress(0.4, f"sending {len(files)} objects to {pacs.name}")
    stored = pacs.send(files)
    names = tuple(dict.fromkeys(path.name for path in files if path.parent == ctx.folder))
    many = "object" if len(stored.instances) == 1 else "objects"
    return Sent(
        summary=f"The PACS {pacs.name} took {len(stored.instances)} DICOM {many}.",
        files=names,
        notes=(*notes, *stored.warnings),
        server=pacs.name,
        instances=stored.instances,
    )


def _as_dicom(ctx: ToolContext, artifacts: list[str]) -> tuple[list[Path], list[str]]:
    """Return the DICOM files of results, written here where they were none yet."""
    files: list[Path] = []
    notes: list[str] = []
    for kind, form in _FORMS:
        ids = [i for i in artifacts if ctx.workspace.kind_of(i) == kind]
        if not ids:
            continue
        _require_dicom_source(ctx, ids)
        written = export_as(ctx, ids, form)
        files += [ctx.folder / name for name in written.files if ctx.folder / name not in files]
        notes += written.notes
    for i in artifacts:
        if ctx.workspace.kind_of(i) in ("files", "image"):
            files += _dicom_files(ctx, i)
    return list(dict.fromkeys(files)), notes


def _require_dicom_source(ctx: ToolContext, ids: list[str]) -> None:
    """Refuse what would lie in the archive without patient and study."""
    for i in ids:
        images = [x for x in _images_behind(ctx, i) if not ctx.workspace.dicom_headers(x)[0]]
        if images:
            raise UnsupportedError(
                f"{i} is of {images[0]}, which came without DICOM: it belongs to no patient and study of a PACS. "
                "Attach the DICOM images, or fetch the study"
            )


def _images_behind(ctx: ToolContext, any_id: str) -> list[str]:
    """Return the images that a result goes back to."""
    workspace, open_ids, found = ctx.workspace, [any_id], []
    while open_ids:
        i = open_ids.pop()
        kind = workspace.kind_of(i)
        if kind == "image":
            found.append(i)
        elif kind == "mask":
            open_ids.append(workspace.image_of(i))
        elif i.startswith("s"):
            open_ids += workspace.artifact(i).provenance.inputs
    return list(dict.fromkeys(found))


def _dicom_files(ctx: ToolContext, any_id: str) -> list[Path]:
    from tools.imaging.dicom import is_dicom

    workspace = ctx.workspace
    if any_id.startswith("s"):
        artifact, folder = workspace.artifact(any_id), workspace.step_folder(any_id)
        names = artifact.files
        if artifact.kind == "image":
            made = workspace.result(any_id, Image)
            if not made.file:
                return _dicom_files(ctx, made.source)
            names = (made.file,)
        roots = [folder / name for name in names]
    else:
        roots = [workspace.attachment_path(any_id)]
    files = [path for root in roots for path in (sorted(root.rglob("*")) if root.is_dir() else [root])]
    found = [path for path in files if path.is_file() and is_dicom(path)]
    if not found:
        raise UnsupportedError(f"{any_id} holds no DICOM file: export it as dicom-seg or dicom-sr, or send the result")
    _require_patient(any_id, found)
    return found


def _require_patient(any_id: str, files: list[Path]) -> None:
    import pydicom

    for path in files:
        if not str(pydicom.dcmread(path, specific_tags=["PatientID"]).get("PatientID") or ""):
            raise UnsupportedError(f"{any_id} holds DICOM without PatientID, which a PACS cannot file: {path.name}")
