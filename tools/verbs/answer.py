"""answer: a vision-language model's answer to an open question, marked as its opinion."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.examples import examples_of
from tools.results import Text
from tools.verbs.later import NO_RUNTIME, needs_model, not_yet


@tool(precheck=needs_model("answer"), cost=Cost(seconds=20), unavailable=NO_RUNTIME, examples=examples_of("answer"))
def answer(
    ctx: ToolContext,
    image: Annotated[ImageRef, Field(description="the image that the question is about")],
    question: Annotated[str, Field(description="the question, in the person's words")],
) -> Text:
    """Answer an open question about what an image shows, as a model's opinion."""
    not_yet("answer")
