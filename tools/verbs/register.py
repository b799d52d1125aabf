"""register: bring one image into the space of another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.examples import examples_of
from tools.facts import Requires
from tools.results import Image, Transform

if TYPE_CHECKING:
    from tools.registration.register import Alignment

Kind = Literal["rigid", "affine", "deformable"]
CHECKERBOARD = "checkerboard.png"
MOVED = "moved.nii.gz"
_THREE_D = Requires(dims=(3,), reason="images are laid on each other in space, and a single image has no depth")
_WEAK = 0.8  # correlation of two images of one modality below which a careful reader should look first


@tool(
    requires={"fixed": _THREE_D, "moving": _THREE_D},
    cost=Cost(seconds=90),
    timeout_s=3600,
    examples=examples_of("register"),
)
def register(
    ctx: ToolContext,
    fixed: Annotated[ImageRef, Field(description="the image that stays")],
    moving: Annotated[ImageRef, Field(description="the image that is brought into the other's space")],
    kind: Annotated[Kind, Field(description="how the moving image may change")] = "rigid",
) -> Image:
    """Align one image with another: the moving image on the fixed one's voxels, the transform, and how well they fit.

    Rigid and affine by mutual information, so that the modalities may differ; deformable by diffeomorphic demons within
    a modality, by B-splines across. Computed there and back: how far points come back from where they began says how
    sure the result is.

    Raises:
        BadInputError: the same image twice, or an image without content.
        UnsupportedError: two patients, two body parts, no overlap, no spacing, a single image; says which.
    """
    import SimpleITK as sitk  # noqa: N813

    from tools.imaging.nifti import write_nifti
    from tools.registration.picture import checkerboard_png
    from tools.registration.register import aligned, resampled

    found = aligned(ctx.workspace, (fixed, moving), kind, ctx.progress, ctx.seed)
    volumes = ctx.workspace.volume(fixed), ctx.workspace.volume(moving)
    moved = resampled(volumes[1], volumes[0], found.transform)
    write_nifti(ctx.folder / MOVED, moved, like=volumes[0])
    file = f"transform-{kind}.{'h5' if kind == 'deformable' else 'tfm'}"
    sitk.WriteTransform(found.transform, str(ctx.folder / file))
    title = f"{moving} on {fixed}, {kind}, tiles in turn"
    shown = checkerboard_png(volumes[0], moved, ctx.folder / CHECKERBOARD, title=title, moved_units=volumes[1].units)
    facts = ctx.workspace.image_facts(moving).model_copy(update={"id": ctx.step_id, "has_spacing": True})
    transform = Transform(kind=kind, file=file, fixed=fixed, moving=moving, **vars(found.quality))
    return Image(
        summary=_summary(transform, found),
        files=(MOVED, file, CHECKERBOARD),
        figures=(CHECKERBOARD,),
        notes=(*_notes(transform, found), f"Picture: {shown}."),
        source=moving,
        file=MOVED,
        units=volumes[1].units,
        facts=facts,
        transform=transform,
    )


def _summary(transform: Transform, found: Alignment) -> str:
    if found.same_modality:
        before, after = transform.correlation_before, transform.correlation_after
        fit = f"correlation {before:.3f} before, {after:.3f} after"
    else:
        fit = f"normalised mutual information {transform.nmi_before:.3f} before, {transform.nmi_after:.3f} after"
    back = transform.inverse_mean_mm
    sure = "" if back is None else f"; there and back again points miss by {back:.2f} mm on average"
    return f"{transform.moving} was brought onto {transform.fixed}, {transform.kind}: {fit}{sure}."


def _notes(transform: Transform, found: Alignment) -> list[str]:
    notes = [
        f"The transform maps points of {transform.fixed} to points of {transform.moving}, in ITK's world (LPS+ mm); "
        f"{MOVED} is {transform.moving} on the voxels of {transform.fixed}, interpolated linearly."
    ]
    if not found.patient:
        notes.append("The headers do not say whether both images are of the same patient.")
    if transform.overlap < 1:
        share = f"{100 * transform.overlap:.0f} %"
        notes.append(f"{transform.moving} covers {share} of {transform.fixed}; elsewhere its lowest value stands.")
    if found.same_modality and transform.correlation_after < _WEAK:
        notes.append(
            f"The fit is weak (correlation {transform.correlation_after:.2f}): look at the checkerboard first."
        )
    if transform.nmi_after < transform.nmi_before:
        notes.append("The images fitted better before than after: the headers' own position may be the right one.")
    if transform.kind == "deformable":
        low, high = transform.jacobian_min, transform.jacobian_max
        folds = (
            f"{100 * transform.folded_share:.2g} % of points fold" if transform.folded_share else "nowhere does it fold"
        )
        notes.append(f"Volumes change locally by factors of {low:.2f} to {high:.2f}; {folds}.")
    return notes
