"""export: results as files for use elsewhere. Masks keep the geometry of their image."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from tools.changes import Change
from tools.contract import AnyRef, Cost, ToolContext, tool
from tools.errors import BadInputError, UnsupportedError
from tools.examples import examples_of
from tools.results import Draft, Files, Mark, Measurements
from tools.workspace import Artifact, Workspace, writing

if TYPE_CHECKING:
    from highdicom.seg import Segmentation

    from tools.exporting.mesh import MeshFormat
    from tools.exporting.source import Source
    from tools.imaging.volume import BoolArray

    Segmented = tuple[Segmentation, Sequence[str]]

NOTICE = "Reading Room, research use only, not a medical device"  # ASCII: an STL header holds nothing else
Format = Literal["nifti", "csv", "json", "png", "dicom-seg", "dicom-sr", "stl", "obj", "pdf", "docx", "html", "fhir"]


@dataclass
class Export:
    """One export in the making: where it goes, and what a reader must know of it."""

    ctx: ToolContext
    notes: list[str] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)
    """DICOM source per image; a series that had to be written is written once."""
    segmentations: dict[str, Segmented] = field(default_factory=dict)
    """Per mask that was written as a segmentation: the data set and its targets in segment order."""
    written: list[str] = field(default_factory=list)

    def marks(self, artifact_id: str) -> tuple[Mark, ...]:
        """Return the marks that every copy of a result keeps."""
        return self.ctx.workspace.marks_of(artifact_id)

    def said(self, artifact_id: str) -> str:
        """Return what goes into a file's own text field: marks first, because some fields are short."""
        return "; ".join((*(mark.upper() for mark in self.marks(artifact_id)), NOTICE))

    def source(self, image: str) -> Source:
        """Return the DICOM source of an image."""
        from tools.exporting.source import source_of

        if image not in self.sources:
            found = source_of(self.ctx.workspace, image, self.ctx.folder)
            self.sources[image] = found
            self.written += found.files
            self.notes += found.notes
        return self.sources[image]


@tool(
    cost=Cost(seconds=3),
    timeout_s=600,
    sends=True,
    examples=examples_of("export"),
)
def export(
    ctx: ToolContext,
    artifacts: Annotated[list[AnyRef], Field(min_length=1, description="the results or images to export")],
    format: Annotated[Format, Field(description="file format")],  # noqa: A002  the word of the field
) -> Files:
    """Write results as files: masks and images as nifti, measurements as csv, anything as json, figures as png.

    Masks can also be dicom-seg, stl or obj; reports and measurements dicom-sr, pdf, docx, html or fhir.

    DICOM objects refer to the images that were attached; an image that came without DICOM is written as a series
    beside them. Meshes are in millimetres, in DICOM's LPS+ world.

    Raises:
        UnsupportedError: a result of a kind that the format cannot hold; says which can.
    """
    return export_as(ctx, artifacts, format)


def export_as(ctx: ToolContext, artifacts: Sequence[str], form: Format) -> Files:
    """Write results into the step's folder; what `export` does, for tools that go on with the files."""
    making = Export(ctx)
    for number, artifact_id in enumerate(artifacts):
        ctx.progress(number / len(artifacts), artifact_id)
        with writing(ctx.folder):
            making.written += _WRITERS[form](making, artifact_id)
    listed = ", ".join(making.written)
    return Files(
        summary=f"Wrote {len(making.written)} {form} file(s): {listed}.",
        files=tuple(making.written),
        notes=tuple(dict.fromkeys(making.notes)),
        format=form,
    )


def _nifti(making: Export, artifact_id: str) -> list[str]:
    from tools.imaging.nifti import write_nifti
    from tools.imaging.volume import SYNTHETIC_NOTE

    ctx = making.ctx
    kind = ctx.workspace.kind_of(artifact_id)
    if kind == "image":
        name = f"{artifact_id}.nii.gz"
        volume = ctx.workspace.volume(artifact_id)
        if volume.is_colour:
            raise UnsupportedError(f"{artifact_id} is a colour image, which is not written as nifti: choose png")
        if "synthetic" in making.marks(artifact_id):  # the file says so itself: it may be attached again
            volume = replace(volume, header={**volume.header, **SYNTHETIC_NOTE})
        write_nifti(ctx.folder / name, volume.array, volume, said=making.said(artifact_id))
        return [name]
    if kind == "mask":
        names = []
        for target, inside, volume in ctx.workspace.masks(artifact_id):
            names.append(f"{artifact_id}-{target}.nii.gz")
            write_nifti(ctx.folder / names[-1], inside, volume, said=making.said(artifact_id))
        return names
    raise UnsupportedError(f"{artifact_id} is of kind {kind}; nifti holds images and masks: choose csv, json or png")


def _csv(making: Export, artifact_id: str) -> list[str]:
    ctx = making.ctx
    artifact = _result(ctx, artifact_id)
    rows = _table(artifact)
    if not rows:
        raise UnsupportedError(f"{artifact_id} holds no row to write as csv: choose json")
    name = f"{artifact_id}-{'changes' if artifact.kind == 'change' else 'measurements'}.csv"
    with (ctx.folder / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=[*rows[0], "marks", "notice"])
        writer.writeheader()
        last = {"marks": " ".join(making.marks(artifact_id)), "notice": NOTICE}
        for row in rows:
            writer.writerow({key: _as_text(value) for key, value in row.items()} | last)
    return [name]


def _table(artifact: Artifact) -> list[dict[str, Any]]:
    """Return the rows of measurements or of a comparison."""
    if artifact.kind == "change":
        from tools.exporting.changes import cells

        change = Change.model_validate(artifact.data)
        return [cells(change, row) for row in change.rows]
    if artifact.kind != "measurements":
        raise UnsupportedError(
            f"{artifact.id} is of kind {artifact.kind}; csv holds measurements and comparisons: choose json"
        )
    rows = Measurements.model_validate(artifact.data).rows
    return [row.model_dump() | {"where": row.where.words if row.where else ""} for row in rows]


def _as_text(value: object) -> object:
    """Keep a cell that begins like a formula from being run by a spreadsheet."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value


def _json(making: Export, artifact_id: str) -> list[str]:
    ctx = making.ctx
    if artifact_id.startswith("s"):
        data: Mapping[str, Any] = ctx.workspace.artifact(artifact_id).model_dump(mode="json")
    else:
        ctx.workspace.kind_of(artifact_id)  # an id that is none is refused in words
        data = ctx.workspace.facts()[artifact_id].model_dump(mode="json")
    data = {"notice": NOTICE, "marks": making.marks(artifact_id), **data}
    name = f"{artifact_id}.json"
    (ctx.folder / name).write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [name]


def _png(making: Export, artifact_id: str) -> list[str]:
    ctx = making.ctx
    files = ctx.workspace.artifact(artifact_id).files if artifact_id.startswith("s") else ()
    names = []
    for file in (f for f in files if Path(f).suffix == ".png"):
        names.append(f"{artifact_id}-{file}")
        _noted_png(ctx.workspace.step_folder(artifact_id) / file, ctx.folder / names[-1], making.said(artifact_id))
    if not names and (kind := ctx.workspace.kind_of(artifact_id)) in ("image", "mask"):
        from tools.imaging.render import overlay_png

        names.append(f"{artifact_id}.png")
        title = " ".join((artifact_id, *(mark.upper() for mark in making.marks(artifact_id))))
        image = artifact_id if kind == "image" else ctx.workspace.image_of(artifact_id)
        masks = _drawn_masks(ctx, artifact_id, image) if kind == "mask" else {}
        overlay_png(ctx.workspace.volume(image), masks, ctx.folder / names[-1], title=title)
        _noted_png(ctx.folder / names[-1], ctx.folder / names[-1], making.said(artifact_id))
    if not names:
        kind = ctx.workspace.kind_of(artifact_id)
        raise UnsupportedError(f"{artifact_id} is of kind {kind} and has no picture: choose json or csv")
    return names


def _drawn_masks(ctx: ToolContext, mask_id: str, image: str) -> dict[str, BoolArray]:
    """Return the parts of a mask to draw on its image."""
    from tools.claims import readable

    volume = ctx.workspace.volume(image)
    found = {}
    for target, inside, grid in ctx.workspace.masks(mask_id):
        if not grid.same_grid(volume):
            raise BadInputError(f"mask: {target!r} of {mask_id} lies on another grid than {image}, which it outlines")
        found[readable(target)] = inside
    return found


def _noted_png(source: Path, target: Path, said: str) -> None:
    """Copy a picture, pixel for pixel, with a line of text in it."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Comment", said)
    with Image.open(source) as picture:
        picture.load()
        picture.save(target, format="PNG", pnginfo=info)


def _segmentation(making: Export, artifact_id: str) -> list[str]:
    from tools.exporting.segmentation import write_segmentation

    workspace = making.ctx.workspace
    if (kind := workspace.kind_of(artifact_id)) != "mask":
        raise UnsupportedError(f"{artifact_id} is of kind {kind}; dicom-seg holds masks: choose json or dicom-sr")
    source = making.source(workspace.image_of(artifact_id))
    name = f"{artifact_id}-seg.dcm"
    dataset, targets = write_segmentation(workspace, artifact_id, source, making.ctx.folder / name)
    making.segmentations[artifact_id] = (dataset, targets)
    if not artifact_id.startswith("s"):
        making.notes.append(f"{artifact_id} was brought: the segmentation calls it manual, who made it is not known.")
    return [name]


def _structured_report(making: Export, artifact_id: str) -> list[str]:
    from tools.exporting.structured_report import write_draft, write_measurements

    artifact, name = _result(making.ctx, artifact_id), f"{artifact_id}-sr.dcm"
    path = making.ctx.folder / name
    if artifact.kind == "report":
        draft = Draft.model_validate(artifact.data)
        source = making.source(_image_behind(making.ctx.workspace, draft))
        write_draft(draft, source, path, making.marks(artifact_id))
        return [name]
    if artifact.kind == "change":
        from tools.exporting.changes import write_changes

        change = Change.model_validate(artifact.data)
        if not change.rows:
            raise UnsupportedError(f"{artifact_id} compared no size, and dicom-sr holds sizes: choose json")
        write_changes(change, making.source(change.current), path, making.marks(artifact_id))
        return [name]
    if artifact.kind != "measurements":
        raise UnsupportedError(
            f"{artifact_id} is of kind {artifact.kind}; dicom-sr holds measurements and reports: choose json"
        )
    rows = Measurements.model_validate(artifact.data).rows
    images = sorted({row.image for row in rows})
    names = [name] if len(images) == 1 else [f"{artifact_id}-{image}-sr.dcm" for image in images]
    made = []
    for image, file in zip(images, names, strict=True):
        of_image = [row for row in rows if row.image == image]
        source = making.source(image)
        made += _segments_for(making, {row.mask for row in of_image if row.mask}, source)
        segments = {m: making.segmentations[m] for m in {row.mask for row in of_image} if m in making.segmentations}
        write_measurements(of_image, source, segments, making.ctx.folder / file, making.marks(artifact_id))
    return [*made, *names]


def _segments_for(making: Export, masks: set[str], source: Source) -> list[str]:
    """Write the segmentations that a report of measurements refers to; measurements on a film stand on the image."""
    volumetric = making.ctx.workspace.volume(source.image).dims == 3
    return [file for m in sorted(masks - set(making.segmentations)) if volumetric for file in _segmentation(making, m)]


def _image_behind(workspace: Workspace, draft: Draft) -> str:
    """Return the image that a draft is about: the first that it cites, or that what it cites was made from."""
    ids = [i for claim in draft.claims() for i in claim.evidence]
    while ids:
        if image := next((i for i in ids if i.startswith("img")), ""):
            return image
        made = [workspace.artifact(i) for i in ids if i.startswith("s") and workspace.has_artifact(i)]
        if image := next((a.id for a in made if a.kind == "image" and not a.provenance.inputs), ""):
            return image  # made from noise
        ids = [i for artifact in made for i in artifact.provenance.inputs]
    raise UnsupportedError("the draft cites no image, and a DICOM report must refer to one: choose pdf, docx or json")


def _mesh(making: Export, artifact_id: str, form: MeshFormat) -> list[str]:
    from tools.exporting.mesh import write_mesh

    workspace, names = making.ctx.workspace, []
    if (kind := workspace.kind_of(artifact_id)) != "mask":
        raise UnsupportedError(f"{artifact_id} is of kind {kind}; {form} holds masks as surfaces: choose png or json")
    for target, inside, grid in workspace.masks(artifact_id):
        if not inside.any():
            making.notes.append(f"{target} of {artifact_id} is empty: no surface was written.")
            continue
        names.append(f"{artifact_id}-{target}.{form}")
        mesh = write_mesh(inside, grid, making.ctx.folder / names[-1], form, said=making.said(artifact_id))
        making.notes.append(
            f"{names[-1]}: closed surface, {mesh.volume / 1000:.1f} ml inside it, {len(mesh.faces)} triangles, LPS+ mm."
        )
    if not names:
        raise UnsupportedError(f"{artifact_id} holds no voxel: there is no surface to write")
    return names


def _document(making: Export, artifact_id: str, form: Literal["pdf", "docx", "html"]) -> list[str]:
    from tools.exporting.docx import write_docx
    from tools.exporting.html import write_html
    from tools.exporting.page import page_of, text_page
    from tools.exporting.pdf import write_pdf

    workspace, name = making.ctx.workspace, f"{artifact_id}.{form}"
    if artifact_id.startswith("rep"):
        page = text_page(artifact_id, workspace.report_text(artifact_id))
    else:
        _result(making.ctx, artifact_id)
        page = page_of(workspace, artifact_id)
    if form == "pdf":
        making.notes += write_pdf(page, making.ctx.folder / name)
    else:
        (write_docx if form == "docx" else write_html)(page, making.ctx.folder / name)
    return [name]


def _fhir(making: Export, artifact_id: str) -> list[str]:
    from tools.exporting.fhir import bundle_of

    name = f"{artifact_id}-fhir.json"
    bundle = bundle_of(making.ctx.workspace, _result(making.ctx, artifact_id))
    (making.ctx.folder / name).write_text(json.dumps(bundle, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [name]


def _result(ctx: ToolContext, artifact_id: str) -> Artifact:
    if not artifact_id.startswith("s"):
        raise UnsupportedError(f"{artifact_id} is an attachment; this format exports results of steps")
    return ctx.workspace.artifact(artifact_id)


_WRITERS: Mapping[Format, Callable[[Export, str], list[str]]] = {
    "nifti": _nifti,
    "csv": _csv,
    "json": _json,
    "png": _png,
    "dicom-seg": _segmentation,
    "dicom-sr": _structured_report,
    "stl": partial(_mesh, form="stl"),
    "obj": partial(_mesh, form="obj"),
    "pdf": partial(_document, form="pdf"),
    "docx": partial(_document, form="docx"),
    "html": partial(_document, form="html"),
    "fhir": _fhir,
}
