"""enhance: a better image out of an image; the original stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.errors import UnsupportedError
from tools.examples import examples_of
from tools.facts import AttachmentFacts, Requires
from tools.results import Image
from tools.verbs.later import NO_METHOD, not_yet

if TYPE_CHECKING:
    from tools.models.hub import Hub

Operation = Literal["denoise", "bias_correction", "resample", "super_resolution"]
_BIAS = Requires(modality=("MR",), reason="a bias field is the receive coil's shading and exists only in MR")


def _check(args: Mapping[str, Any], facts: Mapping[str, AttachmentFacts], hub: Hub) -> None:
    image = str(args.get("image", ""))
    if args.get("operation") == "bias_correction" and image in facts and (reason := _BIAS.refusal(facts[image])):
        raise UnsupportedError(f"enhance cannot correct a bias field: {reason}")


@tool(precheck=_check, cost=Cost(seconds=60), unavailable=NO_METHOD, examples=examples_of("enhance"))
def enhance(
    ctx: ToolContext,
    image: Annotated[ImageRef, Field(description="the image to enhance")],
    operation: Annotated[Operation, Field(description="what to do")],
    spacing_mm: Annotated[float | None, Field(gt=0, description="voxel edge to resample to, in mm")] = None,
) -> Image:
    """Make a better image: remove noise, correct the bias field, resample, raise the resolution."""
    not_yet("enhance")
