"""export: results as files for use elsewhere. Masks keep the geometry of their image."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from tools.contract import AnyRef, Cost, ToolContext, tool
from tools.errors import UnavailableError, UnsupportedError
from tools.examples import examples_of
from tools.results import Files, Measurement, Measurements
from tools.workspace import Artifact, writing

Format = Literal["nifti", "csv", "json", "png", "dicom-seg", "dicom-sr", "stl", "pdf", "docx", "fhir"]
LATER = frozenset({"dicom-seg", "dicom-sr", "stl", "pdf", "docx", "fhir"})
"""Formats that can be asked for and that this version cannot write."""


@tool(
    cost=Cost(seconds=1),
    timeout_s=300,
    examples=examples_of("export"),
)
def export(
    ctx: ToolContext,
    artifacts: Annotated[list[AnyRef], Field(min_length=1, description="the results or images to export")],
    format: Annotated[Format, Field(description="file format")],  # noqa: A002  the word of the field
) -> Files:
    """Write results as files: masks and images as nifti, measurements as csv, anything as json, figures as png."""
    if format in LATER:
        can = ", ".join(_WRITERS)
        raise UnavailableError(f"format {format!r} cannot be written in this version; there are: {can}")
    written: list[str] = []
    for number, artifact_id in enumerate(artifacts):
        ctx.progress(number / len(artifacts), artifact_id)
        with writing(ctx.folder):
            written += _WRITERS[format](ctx, artifact_id)
    listed = ", ".join(written)
    return Files(summary=f"Wrote {len(written)} {format} file(s): {listed}.", files=tuple(written), format=format)


def _nifti(ctx: ToolContext, artifact_id: str) -> list[str]:
    from tools.imaging.nifti import write_nifti

    kind = ctx.workspace.kind_of(artifact_id)
    if kind == "image":
        name = f"{artifact_id}.nii.gz"
        volume = ctx.workspace.volume(artifact_id)
        write_nifti(ctx.folder / name, volume.array, volume)
        return [name]
    if kind == "mask":
        names = []
        for target, inside, volume in ctx.workspace.masks(artifact_id):
            names.append(f"{artifact_id}-{target}.nii.gz")
            write_nifti(ctx.folder / names[-1], inside, volume)
        return names
    raise UnsupportedError(f"{artifact_id} is of kind {kind}; nifti holds images and masks: choose csv, json or png")


def _csv(ctx: ToolContext, artifact_id: str) -> list[str]:
    artifact = _result(ctx, artifact_id)
    if artifact.kind != "measurements":
        raise UnsupportedError(f"{artifact_id} is of kind {artifact.kind}; csv holds measurements: choose json")
    name = f"{artifact_id}-measurements.csv"
    with (ctx.folder / name).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(Measurement.model_fields))
        writer.writeheader()
        for row in Measurements.model_validate(artifact.data).rows:
            writer.writerow({key: _as_text(value) for key, value in row.model_dump().items()})
    return [name]


def _as_text(value: object) -> object:
    """Keep a cell that begins like a formula from being run by a spreadsheet."""
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value


def _json(ctx: ToolContext, artifact_id: str) -> list[str]:
    if artifact_id.startswith("s"):
        data: Mapping[str, Any] = ctx.workspace.artifact(artifact_id).model_dump(mode="json")
    else:
        data = ctx.workspace.facts()[artifact_id].model_dump(mode="json")
    name = f"{artifact_id}.json"
    (ctx.folder / name).write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return [name]


def _png(ctx: ToolContext, artifact_id: str) -> list[str]:
    if not artifact_id.startswith("s") and ctx.workspace.kind_of(artifact_id) == "image":
        from tools.imaging.render import overlay_png

        name = f"{artifact_id}.png"
        overlay_png(ctx.workspace.volume(artifact_id), {}, ctx.folder / name, title=artifact_id)
        return [name]
    artifact = _result(ctx, artifact_id)
    names = []
    for file in artifact.files:
        if Path(file).suffix == ".png":
            names.append(f"{artifact_id}-{file}")
            shutil.copyfile(ctx.workspace.step_folder(artifact_id) / file, ctx.folder / names[-1])
    if not names:
        raise UnsupportedError(f"{artifact_id} is of kind {artifact.kind} and has no picture: choose json or csv")
    return names


def _result(ctx: ToolContext, artifact_id: str) -> Artifact:
    if not artifact_id.startswith("s"):
        raise UnsupportedError(f"{artifact_id} is an attachment; this format exports results of steps")
    return ctx.workspace.artifact(artifact_id)


_WRITERS: Mapping[Format, Callable[[ToolContext, str], list[str]]] = {
    "nifti": _nifti,
    "csv": _csv,
    "json": _json,
    "png": _png,
}
