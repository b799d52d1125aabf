"""answer: a vision-language model's answer to an open question, marked as its opinion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

from pydantic import Field

from tools.contract import Cost, ImageRef, SeeingModel, ToolContext, tool
from tools.errors import BadInputError, UnavailableError, UnsupportedError
from tools.examples import examples_of
from tools.preconditions import needs_model
from tools.results import ModelUse, Text

if TYPE_CHECKING:
    from tools.facts import AttachmentFacts
    from tools.imaging.volume import Volume
    from tools.models.hub import Choice
    from tools.models.runtimes.base import AnswerRuntime

SEEN = "shown-to-the-model.png"
MAX_CHARACTERS = 2000
OPINION = "The answer is a model's opinion: no tool measured it, and it may be wrong however sure it sounds."


class _Said(NamedTuple):
    answer: str
    model: ModelUse
    title: str
    notes: tuple[str, ...]


@tool(precheck=needs_model("answer"), cost=Cost(seconds=20), examples=examples_of("answer"))
def answer(
    ctx: ToolContext,
    image: Annotated[ImageRef, Field(description="the image that the question is about")],
    question: Annotated[str, Field(description="the question, in the person's words")],
) -> Text:
    """Answer an open question about what an image shows, as a model's opinion.

    A local vision-language model answers where its weights are here; otherwise the language model endpoint, where it
    reads pictures and its egress policy lets pixels out.

    Raises:
        BadInputError: the question is empty or very long, or the image is blank.
        UnavailableError: neither is here, or pixels may not leave; says what to do.
    """
    from tools.imaging.montage import montage, png
    from tools.workspace import writing

    if not 0 < len(question.strip()) <= MAX_CHARACTERS:
        raise BadInputError(f"question: ask in 1 to {MAX_CHARACTERS} characters, got {len(question.strip())}")
    facts = ctx.workspace.image_facts(image)
    volume = ctx.workspace.volume(image)
    picture, shown = montage(volume)
    path = ctx.folder / SEEN
    with writing(path):
        path.write_bytes(png(picture))
    choice, why_not = _local(ctx, image)
    said = (
        _ask_local(ctx, choice, volume, question)
        if choice
        else _ask_endpoint(ctx, path.read_bytes(), question, shown, why_not)
    )
    return Text(
        summary=f"{said.title} answered a question about {image} as its opinion ({len(said.answer.split())} words).",
        files=(SEEN,),
        figures=(SEEN,),
        model=said.model,
        marks=("opinion",),
        notes=(OPINION, *said.notes, *_doubts(choice, facts), f"The model was shown {shown}."),
        image=image,
        question=question,
        answer=said.answer,
    )


def _doubts(choice: Choice | None, facts: AttachmentFacts) -> tuple[str, ...]:
    """Return what was let pass without being known; an endpoint has no card that says what it needs."""
    return choice.card.facts_needed.unsure(facts) if choice else facts.doubts


def _local(ctx: ToolContext, image: str) -> tuple[Choice | None, str]:
    """Return the local model to ask, or None and why there is none."""
    try:
        choice = ctx.hub.choose("answer", ctx.workspace.image_facts(image))
    except UnsupportedError as error:
        return None, str(error)
    status = ctx.hub.status(choice.card)
    return (
        (choice, "")
        if status.state == "ready"
        else (None, f"model {choice.card.name!r} {status.state}: {status.remedy}")
    )


def _ask_local(ctx: ToolContext, choice: Choice, volume: Volume, question: str) -> _Said:
    ctx.progress(0.05, f"{choice.card.title}: loading")

    def run(runtime: AnswerRuntime) -> str:
        return runtime.answer(volume, question, lambda done, what: ctx.progress(0.1 + 0.85 * done, what))

    used = ctx.hub.use(choice, run)
    return _Said(used.value, used.model, choice.card.title, (*used.notes, *choice.card.limits_for(())))


def _ask_endpoint(ctx: ToolContext, picture: bytes, question: str, shown: str, why_not: str) -> _Said:
    from prompts import load

    llm = ctx.open_llm()
    if not isinstance(llm, SeeingModel) or not llm.sees_images:
        raise UnavailableError(
            f"no model that reads pictures is here ({why_not}); get its weights, or set READINGROOM_LLM_BASE_URL to an "
            "endpoint that reads pictures and READINGROOM_LLM_SEES_IMAGES=1"
        )
    ctx.progress(0.2, f"{llm.name} looks at the picture")
    text, notes = llm.look(load("look").render(question=question, shown=shown), [picture])
    use = ModelUse(
        card=llm.name,
        runtime="language model endpoint",
        version="as served",
        device="endpoint",
        reason="no local vision-language model is ready",
    )
    return _Said(" ".join(text.split()), use, llm.name, (f"No local model answered: {why_not}.", *notes))
