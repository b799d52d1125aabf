"""deidentify: a clean copy of an image, and what was removed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.errors import ToolError, UnsupportedError
from tools.examples import examples_of
from tools.results import Image
from tools.workspace import write_json, writing

if TYPE_CHECKING:
    from tools.deidentification.dicom import Outcome
    from tools.facts import AttachmentFacts
    from tools.imaging.volume import BoolArray, Volume

REPORT = "removed.json"
CLEAN_DICOM = "clean-dicom"
_HEADS = ("HEAD", "BRAIN", "SKULL", "FACE", "HEADNECK")
Face = Literal["auto", "remove", "keep"]
_FACE_SAID = {
    "removed": "the face cut away",
    "not removed": "the face NOT removed",
    "not looked for": "no face looked for",
    "nothing to remove": "no face there to remove",
}
_LEFT = "Ears, the back of the head and the skull's shape stay: a face cut away makes recognition hard, not impossible."


@dataclass
class _Copy:
    """One clean copy in the making."""

    file: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    pixels: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@tool(cost=Cost(seconds=20), timeout_s=3600, examples=examples_of("deidentify"))
def deidentify(
    ctx: ToolContext,
    image: Annotated[ImageRef, Field(description="the image to clean")],
    dates: Annotated[
        Literal["shift", "remove"], Field(description="move all dates by the patient's own number of days, or remove")
    ] = "shift",
    text_in_pixels: Annotated[
        Literal["find", "ignore"], Field(description="look for text that is burned into the pixels and black it out")
    ] = "find",
    face: Annotated[
        Face, Field(description="remove the face of a head volume; auto: where the image is a head")
    ] = "auto",
) -> Image:
    """Remove patient data from an image's header and pixels; gives a clean copy and says what was removed.

    DICOM after PS3.15 (Basic Profile, clean pixels, clean descriptors, modified dates); NIfTI and pictures are written
    anew with nothing but voxels and geometry. Later steps and exports work on the copy; the original stays as it is.

    Raises:
        UnsupportedError: the face is to be removed and no brain was found; pixels that cannot be decoded.
    """
    facts = ctx.workspace.image_facts(image)
    cut, state, notes = _face(ctx, image, facts, face)
    ctx.progress(0.3, "cleaning")
    copy = _clean_copy(ctx, image, _Options(dates, text_in_pixels == "find", cut))
    write_json(
        ctx.folder / REPORT,
        {
            "notice": "Tags and counts, never values. Research use only: a person checks the copy before it leaves.",
            "image": image,
            "dates": dates,
            "face": state,
            "pixels": copy.pixels,
            "elements": copy.rows,
        },
    )
    return Image(
        summary=_summary(image, copy, state if facts.dims == 3 else ""),
        files=(REPORT, copy.file),
        notes=(
            *notes,
            *copy.notes,
            "No method finds everything: a person looks at the copy before it leaves the house.",
        ),
        marks=ctx.workspace.artifact(image).marks if image.startswith("s") else (),
        source=image,
        file=copy.file,
        units=ctx.workspace.volume(image).units,
        facts=facts.model_copy(update={"id": ctx.step_id}),
    )


@dataclass(frozen=True)
class _Options:
    dates: Literal["shift", "remove"]
    find_text: bool
    face: BoolArray | None


def _summary(image: str, copy: _Copy, face: str) -> str:
    elements = sum(int(row["count"]) for row in copy.rows)
    boxes = int(copy.pixels.get("rectangles", 0))
    parts = [f"{elements} header elements removed, emptied or replaced"]
    parts.append(f"{boxes} places with text blacked out" if boxes else "no text in the pixels blacked out")
    if face in _FACE_SAID:
        parts.append(_FACE_SAID[face])
    return f"Made a clean copy of {image}: {', '.join(parts)}."


# --- the face


def _face(ctx: ToolContext, image: str, facts: AttachmentFacts, wish: Face) -> tuple[BoolArray | None, str, list[str]]:
    """Return the voxels to cut away, or None, what became of the face, and what is to be said."""
    if wish == "keep":
        return None, "kept", []
    is_head = facts.body_part in _HEADS
    may_be = is_head or (facts.modality == "MR" and not facts.body_part)
    if wish == "auto" and (facts.dims != 3 or not may_be):
        said = facts.body_part or "the image does not say what it shows"
        notes = [] if facts.dims == 2 else [f"No face was looked for ({said}); face='remove' looks for one."]
        return None, "not looked for", notes
    from tools.deidentification.face import cut_face

    ctx.progress(0.05, "looking for the brain")
    brain, why = _brain(ctx, image, facts)
    if brain is None:
        if wish == "remove" or is_head:
            raise UnsupportedError(
                f"the face of {image} cannot be removed: {why}. With face='keep' the copy is made with the face in it"
            )
        return None, "not removed", [f"The face was not removed: {why}."]
    volume = ctx.workspace.volume(image)
    cut = cut_face(brain, volume.affine_ras)
    if not (volume.array[cut.removed] > volume.array.min()).any():
        what = (
            "Face: where it would be there is background only, so nothing was removed: it was cut away before, or lies"
        )
        return None, "nothing to remove", [f"{what} outside the image. {_LEFT}"]
    share = 100 * cut.removed.mean()
    said = (
        f"Face: cut by a plane that touches the brain in front and below ({cut.angle_deg:.0f}°, 6 mm away from it), "
        f"{share:.0f} % of the voxels set to the lowest value. {_LEFT}"
    )
    return cut.removed, "removed", [said]


def _brain(ctx: ToolContext, image: str, facts: AttachmentFacts) -> tuple[BoolArray | None, str]:
    from tools.deidentification.face import brain_in_ct, plausible_brain

    volume = ctx.workspace.volume(image)
    if volume.spacing_source is None or volume.dims != 3:
        return None, "it is no volume with millimetres"
    if facts.modality == "CT":
        brain = brain_in_ct(volume)
    else:
        try:
            brain = _segmented(ctx, volume, facts)
        except ToolError as error:
            return None, f"the brain could not be outlined ({error})"
    if not plausible_brain(brain, volume):
        return None, "nothing as large as a brain was found in it"
    return brain, ""


def _segmented(ctx: ToolContext, volume: Volume, facts: AttachmentFacts) -> BoolArray:
    choice = ctx.hub.choose("segment", facts, ("brain",))
    used = ctx.hub.use(
        choice,
        lambda runtime: runtime.segment(volume, ("brain",), lambda done, what: ctx.progress(0.05 + 0.2 * done, what)),
    )
    return np.asarray(used.value.masks["brain"])


# --- the copy


def _clean_copy(ctx: ToolContext, image: str, options: _Options) -> _Copy:
    from tools.imaging.read import image_kind

    path, series = ctx.workspace.image_file(image)
    kind = image_kind(path)
    if kind == "dicom":
        return _clean_dicom(ctx, path, series, options)
    return _clean_raster(ctx, path, options) if kind == "raster" else _clean_nifti(ctx, image, path, options)


def _clean_dicom(ctx: ToolContext, path: Path, series: str | None, options: _Options) -> _Copy:
    from tools.deidentification.dicom import Wishes, write_clean
    from tools.deidentification.pseudonyms import pseudonyms_for
    from tools.imaging.read import dicom_files, slice_places

    folder = ctx.folder / CLEAN_DICOM
    with writing(folder):
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():  # of an attempt that was killed
            old.unlink()
    with dicom_files(path, series) as files, writing(folder):
        removed, outcome = write_clean(
            files,
            slice_places(files),
            folder,
            Wishes(options.dates, options.find_text, options.face),
            pseudonyms_for(ctx.workspace, ctx.site_key),
            lambda done: ctx.progress(0.3 + 0.65 * done, "cleaning"),
        )
    copy = _Copy(CLEAN_DICOM, removed.rows())
    _tell_pixels(copy, outcome, options)
    copy.notes.append("The copy is stored uncompressed: a compressed stream can carry text of its own.")
    if options.dates == "shift":
        copy.notes.append("Dates moved by the patient's own number of days; the time of day is kept.")
    return copy


def _tell_pixels(copy: _Copy, outcome: Outcome, options: _Options) -> None:
    if not options.find_text:
        copy.notes.append("The pixels were not searched for text, as was asked.")
        return
    copy.pixels = {
        "rectangles": outcome.boxes,
        "markers_kept": outcome.markers,
        "frames": outcome.frames,
        "frames_looked_at": outcome.looked_at,
    }
    copy.notes.append(
        f"Text in pixels (OCR): {outcome.looked_at} of {outcome.frames} frames looked at, {outcome.boxes} places "
        f"blacked out, {outcome.markers} side or position markers kept."
    )
    if outcome.text_left:
        copy.notes.append(
            "Text is still seen in the pixels after three passes: do not share the copy before it is edited."
        )


def _clean_raster(ctx: ToolContext, path: Path, options: _Options) -> _Copy:
    from PIL import Image as Picture

    from tools.deidentification.burned_in import clear_text
    from tools.deidentification.dicom import Outcome
    from tools.imaging.raster import read_raster

    rows = np.array(read_raster(path).array[:, :, 0].swapaxes(0, 1))
    with Picture.open(path) as picture:
        hidden = len(picture.info) + len(picture.getexif())
    outcome = Outcome(frames=1)
    if options.find_text:
        outcome.boxes, outcome.markers, is_clean = clear_text(rows, float(rows.min()) if rows.ndim == 2 else 0.0)
        outcome.looked_at, outcome.text_left = 1, not is_clean
    with writing(ctx.folder):
        Picture.fromarray(np.ascontiguousarray(rows)).save(ctx.folder / "clean.png")
    copy = _Copy("clean.png", [_row("picture metadata (EXIF, text, profile)", hidden)] if hidden else [])
    _tell_pixels(copy, outcome, options)
    return copy


def _clean_nifti(ctx: ToolContext, image: str, path: Path, options: _Options) -> _Copy:
    from tools.deidentification.nifti import header_texts
    from tools.imaging.nifti import write_nifti

    volume = ctx.workspace.volume(image)
    array = np.array(volume.array)
    copy = _Copy("clean.nii.gz", [_row(name, count) for name, count in header_texts(path).items()])
    fill = float(array.min())
    if options.face is not None:
        array[options.face] = fill
    if options.find_text and volume.dims == 2:
        from tools.deidentification.burned_in import clear_text
        from tools.deidentification.dicom import Outcome

        rows = np.array(array[:, :, 0].T)
        boxes, markers, is_clean = clear_text(rows, fill)
        array[:, :, 0] = rows.T
        _tell_pixels(copy, Outcome(boxes, markers, 1, 1, not is_clean), options)
    else:
        copy.notes.append("The voxels of a NIfTI volume are not searched for text.")
    write_nifti(ctx.folder / copy.file, array, volume)
    return copy


def _row(attribute: str, count: int) -> dict[str, Any]:
    return {"tag": "", "attribute": attribute, "action": "removed", "count": count}
