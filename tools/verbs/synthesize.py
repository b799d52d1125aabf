"""synthesize: an image that no scanner took, marked synthetic for ever."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.examples import examples_of
from tools.facts import Requires
from tools.results import Image
from tools.verbs.later import NO_METHOD, not_yet

Output = Literal["drr"]
View = Literal["frontal", "lateral", "oblique"]


@tool(
    requires={"image": Requires(modality=("CT",), dims=(3,), reason="X-rays are simulated from Hounsfield units")},
    cost=Cost(seconds=10),
    unavailable=NO_METHOD,
    examples=examples_of("synthesize"),
)
def synthesize(
    ctx: ToolContext,
    image: Annotated[ImageRef, Field(description="the CT to project")],
    output: Annotated[Output, Field(description="what to make: drr, a digitally reconstructed radiograph")] = "drr",
    view: Annotated[View, Field(description="from where it is seen")] = "frontal",
) -> Image:
    """Make a synthetic image, such as an X-ray projection of a CT (digitally reconstructed radiograph)."""
    not_yet("synthesize")
