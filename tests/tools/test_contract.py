"""The tool decorator: what it derives, what it refuses."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from tools.contract import AnyRef, ImageRef, MaskRef, ToolContext, example, tool
from tools.errors import BadInputError
from tools.facts import AttachmentFacts, Requires
from tools.results import Measurements


@tool(examples=[example("How dense?", image="@img1", kind="mean")])
def density(
    ctx: ToolContext,
    image: Annotated[ImageRef, Field(description="the CT")],
    kind: Annotated[Literal["mean", "median"], Field(description="which average")] = "mean",
    others: Annotated[list[AnyRef] | None, Field(description="more results")] = None,
    mask: Annotated[MaskRef | None, Field(description="a mask")] = None,
) -> Measurements:
    """Measure the density.

    Only the first paragraph is for the planner.
    """
    return Measurements(summary=f"{image} {kind}", rows=())


def test_name_description_and_schema_come_from_the_function() -> None:
    assert density.name == "density"
    assert density.description == "Measure the density."
    schema = density.args_schema
    assert schema["required"] == ["image"]
    assert schema["properties"]["kind"]["enum"] == ["mean", "median"]
    assert schema["properties"]["image"]["x-kinds"] == ["image"]
    assert schema["additionalProperties"] is False
    assert density.kind == "measurements"


def test_references_are_known_with_their_kinds_also_inside_lists_and_optionals() -> None:
    assert density.refs["image"] == ("image",)
    assert density.refs["mask"] == ("mask",)
    assert "hits" in density.refs["others"]
    found = density.references({"image": "@img1", "others": ["@s1", "@s2"], "mask": None})
    assert found == [("image", "img1"), ("others", "s1"), ("others", "s2")]


def test_arguments_are_validated_and_lose_their_at() -> None:
    args = density.validate_args({"image": "@img1", "others": ["@s1"]})
    assert args == {"image": "img1", "kind": "mean", "others": ["s1"], "mask": None}


@pytest.mark.parametrize(
    ("args", "named"),
    [
        ({}, "image"),
        ({"image": "@img1", "kind": "mode"}, "kind"),
        ({"image": "/etc/passwd"}, "image"),
        ({"image": "@img1", "colour": "red"}, "colour"),
        ({"image": 3}, "image"),
    ],
)
def test_a_bad_argument_is_refused_in_one_line_that_names_it(args, named) -> None:
    with pytest.raises(BadInputError) as caught:
        density.validate_args(args)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_version_follows_what_the_planner_is_told() -> None:
    @tool()
    def density(ctx: ToolContext, image: Annotated[ImageRef, Field(description="another CT")]) -> Measurements:
        """Measure the density."""
        return Measurements(summary="x", rows=())

    assert density.version != globals()["density"].version
    assert globals()["density"].version == globals()["density"].version


def test_an_undescribed_parameter_is_refused_at_definition() -> None:
    with pytest.raises(TypeError, match="parameter 'image' needs a type and a description"):

        @tool()
        def bad(ctx: ToolContext, image: ImageRef) -> Measurements:
            """Do something."""


def test_a_missing_docstring_is_refused_at_definition() -> None:
    with pytest.raises(TypeError, match="needs a docstring"):

        @tool()
        def bad(ctx: ToolContext) -> Measurements: ...


def test_a_result_that_is_no_tool_result_is_refused_at_definition() -> None:
    with pytest.raises(TypeError, match="must return a ToolResult"):

        @tool()
        def bad(ctx: ToolContext) -> dict:
            """Do something."""


def test_a_context_is_the_first_parameter() -> None:
    with pytest.raises(TypeError, match="must take 'ctx: ToolContext' first"):

        @tool()
        def bad(image: Annotated[ImageRef, Field(description="x")]) -> Measurements:
            """Do something."""


def test_a_requirement_must_name_an_image_parameter() -> None:
    with pytest.raises(TypeError, match="requires something of 'picture'"):

        @tool(requires={"picture": Requires(modality=("CT",))})
        def bad(ctx: ToolContext, image: Annotated[ImageRef, Field(description="x")]) -> Measurements:
            """Do something."""


CT_ONLY = Requires(modality=("CT",), dims=(3,), body_part=("CHEST",), reason="Hounsfield units exist only in CT")


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"modality": "MR", "dims": 3}, "img1 is MR, CT is needed: Hounsfield units exist only in CT"),
        ({"modality": "", "dims": 3}, "does not say its modality"),
        ({"modality": "CT", "dims": 2}, "img1 is 2-D, 3-D is needed"),
        ({"modality": "CT", "dims": 3, "body_part": "HEAD"}, "img1 shows HEAD, CHEST is needed"),
    ],
)
def test_a_refusal_says_what_is_needed_and_why(facts, said) -> None:
    assert said in CT_ONLY.refusal(AttachmentFacts(id="img1", **facts))


def test_an_unknown_body_part_passes_and_a_fitting_image_too() -> None:
    assert CT_ONLY.refusal(AttachmentFacts(id="img1", modality="CT", dims=3)) is None
    assert CT_ONLY.refusal(AttachmentFacts(id="img1", modality="CT", dims=3, body_part="CHEST")) is None
