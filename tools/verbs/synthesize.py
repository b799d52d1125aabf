"""synthesize: an image that no scanner took, marked synthetic for ever: in its pixels, its data and every copy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.errors import BadInputError, UnsupportedError
from tools.examples import examples_of
from tools.facts import AttachmentFacts, Requires
from tools.projection.geometry import VIEWS, Angles
from tools.results import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tools.imaging.volume import Volume
    from tools.models.hub import Hub
    from tools.models.runtimes.base import Synthesized

Output = Literal["drr", "by_model"]
View = Literal["frontal", "ap", "lateral", "oblique"]
PIXELS = 512
FILM = "film.nii.gz"
PICTURE = "film.png"
LABELS = "labels.nii.gz"
NO_CT = "image: a digitally reconstructed radiograph is projected from a CT: attach one"
NOTHING = AttachmentFacts(id="img0", dims=3)
"""What a generator starts from where no image is named."""
_SAYS = {
    "ap": ["anteroposterior", "antero-posterior"],
    "frontal": ["pa", "posteroanterior", "postero-anterior", "from the front", "front view"],
}
_CT = Requires(modality=("CT",), dims=(3,), reason="X-rays are simulated from Hounsfield units")
_VIEW_POSITION = {"frontal": "PA", "ap": "AP", "lateral": "LL", "oblique": ""}


def _check(args: Mapping[str, Any], facts: Mapping[str, AttachmentFacts], hub: Hub) -> None:
    named = args.get("image")
    if named is None:
        if args.get("output") != "by_model":
            raise BadInputError(NO_CT)
        hub.choose("synthesize", NOTHING)
        return
    image = facts.get(str(named))
    if image is None:
        return
    if args.get("output") == "by_model":
        hub.choose("synthesize", image)
    elif reason := _CT.refusal(image):
        raise UnsupportedError(f"synthesize cannot be run: {reason}")


@tool(precheck=_check, cost=Cost(seconds=10, device_memory_mb=1500), timeout_s=3600, examples=examples_of("synthesize"))
def synthesize(
    ctx: ToolContext,
    image: Annotated[
        ImageRef | None,
        Field(description="the CT to project, or the image that a model starts from; none: a model starts from noise"),
    ] = None,
    output: Annotated[
        Output,
        Field(
            description="what to make: drr, a digitally reconstructed radiograph; by_model: what a generator card makes"
        ),
    ] = "drr",
    view: Annotated[
        View, Field(description="from where it is seen; frontal is PA", json_schema_extra={"x-says": _SAYS})
    ] = "frontal",
    rotations_deg: Annotated[
        list[float] | None,
        Field(max_length=72, description="for a drr: several views, degrees turned about the body's long axis from PA"),
    ] = None,
) -> Image:
    """Make a synthetic image, such as an X-ray projection of a CT (digitally reconstructed radiograph).

    The word SYNTHETIC is burned into the pixels, and the result and all that is made from it carry the mark.

    Raises:
        UnsupportedError: a drr of something that is no CT, or no generator for this image.
    """
    if output == "by_model":
        return _generated(ctx, image)
    if image is None:
        raise BadInputError(NO_CT)
    from tools.imaging.nifti import write_nifti
    from tools.projection.film import film

    volume = _ct(ctx, image)
    angles = _angles(view, rotations_deg)
    pictures = _projected(ctx, volume, angles)
    files = [FILM, *(f"film-{number + 1}.nii.gz" for number in range(1, len(pictures)))]
    position = _VIEW_POSITION[view] if rotations_deg is None else ""
    films = [film(p, volume.body_part, position) for p in pictures]
    for file, one in zip(files, films, strict=True):
        write_nifti(ctx.folder / file, one.array, one)
    _draw(ctx, films, image)
    facts = ctx.workspace.image_facts(image)
    made = AttachmentFacts(
        id=ctx.step_id, modality="DX", modality_source="synthetic", body_part=facts.body_part, dims=2, has_spacing=False
    )
    return Image(
        summary=_summary(image, view, angles, rotations_deg),
        files=(*files, PICTURE),
        figures=(PICTURE,),
        marks=("synthetic",),
        notes=_notes(volume, angles),
        source=image,
        file=FILM,
        facts=made,
    )


def _ct(ctx: ToolContext, image: str) -> Volume:
    """Return the CT; content counts here, for a result of a step was not looked at when the plan was made."""
    if reason := _CT.refusal(ctx.workspace.image_facts(image)):
        raise UnsupportedError(f"synthesize cannot be run: {reason}")
    volume = ctx.workspace.volume(image)
    _ = volume.spacing_mm
    if volume.array.min() == volume.array.max():
        raise BadInputError(f"image: it holds the value {volume.array.flat[0]} everywhere: there is nothing to project")
    if volume.units != "HU":
        raise UnsupportedError(f"image: {image} is not in Hounsfield units, so its attenuation is unknown")
    return volume


def _angles(view: str, rotations_deg: Sequence[float] | None) -> list[Angles]:
    if rotations_deg is None:
        return [VIEWS[view]]
    if not rotations_deg or not np.isfinite(rotations_deg).all():
        raise BadInputError(f"rotations_deg: one or more angles in degrees are needed, got {rotations_deg!r}")
    return [Angles(float(turn), 0.0) for turn in rotations_deg]


def _projected(ctx: ToolContext, volume: Volume, angles: Sequence[Angles]) -> list[NDArray[np.float32]]:
    from tools.projection.attenuation import attenuation_per_mm
    from tools.projection.drr import project
    from tools.projection.geometry import beam, detector_for, isocentre_of

    ctx.progress(0.02, "preparing the volume")
    detector = detector_for(volume, PIXELS)
    beams = [beam(isocentre_of(volume), one, detector) for one in angles]
    bundles = len(beams) * max(1, -(-detector.rows * detector.columns // 65_536))
    done = 0

    def step() -> None:
        nonlocal done
        ctx.progress(0.05 + 0.85 * done / bundles, "casting rays")
        done += 1

    density = attenuation_per_mm(volume.array)
    return list(project(density, volume.affine_ras, beams, device=ctx.device, progress=step))


def _draw(ctx: ToolContext, films: Sequence[Volume], image: str) -> None:
    """Draw one film, or all of them side by side."""
    from tools.imaging.render import overlay_png

    ctx.progress(0.93, "drawing")
    across = films[0]
    if len(films) > 1:
        columns = int(np.ceil(np.sqrt(len(films))))
        blank = np.zeros_like(films[0].array)
        tiles = [one.array for one in films] + [blank] * (-len(films) % columns)
        rows = [np.concatenate(tiles[n : n + columns], axis=0) for n in range(0, len(tiles), columns)]
        from dataclasses import replace

        across = replace(films[0], array=np.concatenate(rows, axis=1))
    overlay_png(across, {}, ctx.folder / PICTURE, title=f"synthetic radiograph of {image}")


def _summary(image: str, view: str, angles: Sequence[Angles], rotations_deg: Sequence[float] | None) -> str:
    if rotations_deg is None:
        named = {"frontal": "frontal (PA)", "ap": "frontal (AP)"}.get(view, view)
        return f"A synthetic {named} radiograph was projected from {image}."
    return f"{len(angles)} synthetic radiographs were projected from {image}, one a rotation."


def _notes(volume: Volume, angles: Sequence[Angles]) -> tuple[str, ...]:
    from tools.projection.geometry import SOURCE_TO_DETECTOR_MM, SOURCE_TO_ISOCENTRE_MM

    notes = [
        "Synthetic: no scanner took this image. It shows what the CT holds and nothing beyond its field of view.",
        f"Point source {SOURCE_TO_DETECTOR_MM:.0f} mm from the detector, {SOURCE_TO_ISOCENTRE_MM:.0f} mm from the "
        "volume's middle; one energy (80 keV), no scatter, no noise.",
        "It has no millimetres: lengths on the detector are magnified by how deep they lie in the patient.",
    ]
    if len(angles) > 1:
        turns = ", ".join(f"{one.rotation_deg:g}" for one in angles)
        notes.append(f"Rotations in the order of the files, degrees from PA: {turns}; later steps use the first.")
    if not volume.orientation_known:
        notes.append("The image does not say how it lies in the patient: the view may be another one.")
    return tuple(notes)


def _generated(ctx: ToolContext, image: str | None) -> Image:
    """Let a generator card make an image, from another or from noise."""
    from dataclasses import replace

    from tools.imaging.nifti import write_nifti
    from tools.imaging.render import overlay_png
    from tools.models.runtimes.base import image_of
    from tools.projection.film import SYNTHETIC_NOTE, burned

    facts = NOTHING if image is None else ctx.workspace.image_facts(image)
    choice = ctx.hub.choose("synthesize", facts)
    source = None if image is None else ctx.workspace.volume(image)
    used = ctx.hub.use(
        choice,
        lambda runtime: runtime.synthesize(
            source, {"seed": float(ctx.seed)}, lambda f, what: ctx.progress(0.9 * f, what)
        ),
    )
    made = image_of(used.value)
    marked = replace(made, array=burned(made.array), header={**made.header, **SYNTHETIC_NOTE})
    write_nifti(ctx.folder / FILM, marked.array, marked)
    overlay_png(marked, {}, ctx.folder / PICTURE, title=f"synthetic image by {choice.card.name}")
    files, told = _labels(ctx, used.value, marked)
    start = "noise" if image is None else image
    return Image(
        summary=f"A synthetic image was made from {start} with {choice.card.title}.",
        files=(FILM, PICTURE, *files),
        figures=(PICTURE,),
        model=used.model,
        marks=("synthetic",),
        notes=("Synthetic: no scanner took this image.", *told, *used.notes, *choice.card.limits_for(())),
        source=image or "",
        file=FILM,
        units=made.units,
        facts=_facts_of(ctx, made),
    )


def _facts_of(ctx: ToolContext, made: Volume) -> AttachmentFacts:
    return AttachmentFacts(
        id=ctx.step_id,
        modality=made.modality,
        modality_source="synthetic",
        body_part=made.body_part,
        dims=made.dims,
        has_spacing=made.spacing_source is not None,
    )


def _labels(ctx: ToolContext, made: Volume | Synthesized, image: Volume) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Write the labels that came with an image; return their file and what a reader must know."""
    from tools.imaging.nifti import write_nifti
    from tools.models.runtimes.base import Synthesized as WithLabels

    if not isinstance(made, WithLabels):
        return (), ()
    if made.labels is None:
        return (), made.notes
    write_nifti(ctx.folder / LABELS, made.labels, image)
    names = ", ".join(f"{number} {name}" for number, name in sorted(made.names.items()))
    return (LABELS,), (
        f"{LABELS} holds the labels that the image was made to show, synthetic too: {names}.",
        *made.notes,
    )
