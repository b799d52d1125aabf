"""enhance: a better image out of an image; the original stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.errors import BadInputError, UnsupportedError
from tools.examples import examples_of
from tools.facts import AttachmentFacts, Requires
from tools.results import Image, Mark, ModelUse

if TYPE_CHECKING:
    from tools.imaging.volume import Volume
    from tools.models.hub import Hub

Operation = Literal["denoise", "bias_correction", "resample", "super_resolution"]
Method = Literal["curvature_diffusion", "non_local_means"]
_SAYS = {"non_local_means": ["non-local*", "nlm"], "curvature_diffusion": ["curvature*", "anisotropic diffusion"]}
ENHANCED = "enhanced.nii.gz"
PICTURE = "before-after.png"
FACTOR = 2.0  # super-resolution without a spacing halves the voxel's edges
_BIAS = Requires(modality=("MR",), reason="a bias field is the receive coil's shading and exists only in MR")


def _check(args: Mapping[str, Any], facts: Mapping[str, AttachmentFacts], hub: Hub) -> None:
    image = facts.get(str(args.get("image", "")))
    if args.get("operation") == "bias_correction" and image and (reason := _BIAS.refusal(image)):
        raise UnsupportedError(f"enhance cannot correct a bias field: {reason}")
    if args.get("operation") in ("resample", "super_resolution") and image and image.has_spacing is False:
        raise UnsupportedError(f"enhance cannot change the grid of {image.id}: it has no physical spacing")


@dataclass(frozen=True)
class _Made:
    """An enhanced image and what is to be said of it."""

    volume: Volume
    said: str
    notes: tuple[str, ...] = ()
    model: ModelUse | None = None
    marks: tuple[Mark, ...] = ()


@tool(precheck=_check, cost=Cost(seconds=60), timeout_s=3600, examples=examples_of("enhance"))
def enhance(
    ctx: ToolContext,
    image: Annotated[ImageRef, Field(description="the image to enhance")],
    operation: Annotated[Operation, Field(description="what to do")],
    spacing_mm: Annotated[float | None, Field(gt=0, description="voxel edge to resample to, in mm")] = None,
    method: Annotated[
        Method,
        Field(
            description="how to denoise: curvature_diffusion is fast, non_local_means keeps fine texture",
            json_schema_extra={"x-says": _SAYS},
        ),
    ] = "curvature_diffusion",
) -> Image:
    """Make a better image: remove noise, correct the bias field, resample, raise the resolution.

    Always a new image; the original stays as it was. Measurements on it are measurements of the new image.

    Raises:
        UnsupportedError: a bias field outside MR, a grid without spacing, colour.
        BadInputError: a spacing that makes too large a volume, negative intensities in MR.
    """
    from tools.imaging.nifti import write_nifti

    _check({"image": image, "operation": operation}, {image: ctx.workspace.image_facts(image)}, ctx.hub)
    volume = ctx.workspace.volume(image)
    if volume.is_colour:
        raise UnsupportedError(f"image: {image} is in colour; a gray image is needed")
    if spacing_mm is not None and operation not in ("resample", "super_resolution"):
        raise BadInputError(f"spacing_mm: {operation} keeps the grid; leave it out, or choose resample")
    made = _enhanced(ctx, image, volume, operation, spacing_mm, method)
    ctx.progress(0.9, "writing")
    write_nifti(ctx.folder / ENHANCED, made.volume.array, made.volume)
    _draw(ctx, volume, made.volume, image)
    facts = ctx.workspace.image_facts(image).model_copy(update={"id": ctx.step_id, "prior": False})
    return Image(
        summary=f"{made.said}; the original stays as it was.",
        files=(ENHANCED, PICTURE),
        figures=(PICTURE,),
        model=made.model,
        marks=made.marks,
        notes=made.notes,
        source=image,
        file=ENHANCED,
        units=volume.units,
        facts=facts,
    )


def _enhanced(
    ctx: ToolContext, image: str, volume: Volume, operation: str, spacing_mm: float | None, method: str
) -> _Made:
    def progress(fraction: float, what: str) -> None:
        ctx.progress(0.05 + 0.8 * fraction, what)

    progress(0, "reading")
    if operation == "denoise":
        return _denoised(volume, image, method, progress)
    if operation == "bias_correction":
        return _unbiased(volume, image, progress)
    if operation == "resample":
        return _resampled(volume, image, spacing_mm)
    return _super_resolved(ctx, volume, image, spacing_mm)


def _denoised(volume: Volume, image: str, method: str, progress: Any) -> _Made:
    from tools.enhancing.filters import curvature_diffusion, noise_of, non_local_means

    before = noise_of(np.asarray(volume.array, np.float32))
    if method == "non_local_means":
        array, _ = non_local_means(volume, progress)
        named = "non-local means"
    else:
        array, named = curvature_diffusion(volume, progress), "curvature diffusion"
    after = noise_of(np.asarray(array, np.float32))
    unit = f" {volume.units}" if volume.units else ""
    note = (
        f"Noise, estimated from how neighbouring voxels differ: {before:.3g}{unit} before, {after:.3g}{unit} after; "
        "detail of that size can be gone too."
    )
    return _Made(volume.with_array(array), f"Noise in {image} was reduced by {named}", (note,))


def _unbiased(volume: Volume, image: str, progress: Any) -> _Made:
    from tools.enhancing.filters import n4

    array, ratio = n4(volume, progress)
    note = f"The field that was divided out ranges over a factor of {ratio:.2f} inside the patient."
    return _Made(volume.with_array(array), f"The bias field of {image} was corrected by N4", (note,))


def _resampled(volume: Volume, image: str, spacing_mm: float | None) -> _Made:
    from tools.enhancing.filters import regridded

    made = regridded(volume, spacing_mm, order="linear")
    notes = ["Interpolated linearly; where the grid gets coarser, smoothed first."]
    if spacing_mm is None:
        notes.append("No spacing was named: the shortest edge of the image's own voxels was taken.")
    return _Made(made, f"{image} was resampled to {_edges(made)}", tuple(notes))


def _super_resolved(ctx: ToolContext, volume: Volume, image: str, spacing_mm: float | None) -> _Made:
    """Let a model do it where a card serves; else interpolate, and say that this adds no information."""
    from tools.enhancing.filters import regridded

    if any(card.verb == "enhance" for card in ctx.hub.cards):
        return _by_card(ctx, volume, image, spacing_mm)
    edge = spacing_mm or float(np.min(volume.spacing_mm[: volume.dims])) / FACTOR
    made = regridded(volume, edge, order="cubic")
    note = (
        "No super-resolution model is installed: cubic interpolation makes a finer grid and adds no information to "
        "what the scanner saw."
    )
    return _Made(made, f"{image} was interpolated to {_edges(made)}", (note,))


def _by_card(ctx: ToolContext, volume: Volume, image: str, spacing_mm: float | None) -> _Made:
    from dataclasses import replace

    from tools.imaging.volume import SYNTHETIC_NOTE

    choice = ctx.hub.choose("enhance", ctx.workspace.image_facts(image), ("super_resolution",))
    parameters: dict[str, float | str] = {"operation": "super_resolution", "seed": float(ctx.seed)}
    if spacing_mm is not None:
        parameters["spacing_mm"] = spacing_mm
    used = ctx.hub.use(
        choice, lambda runtime: runtime.synthesize(volume, parameters, lambda f, what: ctx.progress(0.8 * f, what))
    )
    made: Volume = used.value
    return _Made(
        replace(made, header={**made.header, **SYNTHETIC_NOTE}),
        f"{image} was brought to {_edges(made)} by {choice.card.title}",
        ("Synthetic detail: a model filled in what the scanner did not see.", *used.notes, *choice.card.limits_for(())),
        used.model,
        ("synthetic",),
    )


def _edges(volume: Volume) -> str:
    return " × ".join(f"{step:.3g}" for step in volume.spacing_mm[: volume.dims]) + " mm"


def _draw(ctx: ToolContext, before: Volume, after: Volume, image: str) -> None:
    """Write the picture of the image as it was above the picture of what was made."""
    from PIL import Image as Images

    from tools.imaging.render import overlay_png
    from tools.workspace import writing

    halves = []
    for name, volume in ((f"{image}, before", before), ("after", after)):
        path = ctx.folder / f".{name[-5:].strip()}.png"
        overlay_png(volume, {}, path, title=name)
        with Images.open(path) as half:
            halves.append(half.copy())
        path.unlink()
    page = Images.new("RGB", (max(h.width for h in halves), sum(h.height for h in halves)))
    page.paste(halves[0], (0, 0))
    page.paste(halves[1], (0, halves[0].height))
    with writing(ctx.folder / PICTURE):
        page.save(ctx.folder / PICTURE, format="PNG")
