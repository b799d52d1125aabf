"""find_similar: stored images that look like this one, with their reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from tools.contract import Cost, ImageRef, ToolContext, tool
from tools.errors import UnavailableError
from tools.examples import examples_of
from tools.preconditions import needs_model
from tools.results import Hits, ReportHit

if TYPE_CHECKING:
    from knowledge.images import ImageEncoder, SimilarImage
    from knowledge.search import Knowledge

NOTE = "These are images and reports of other patients; to look alike is no diagnosis."


@tool(cost=Cost(seconds=5), timeout_s=120, precheck=needs_model("find_similar"), examples=examples_of("find_similar"))
def find_similar(
    ctx: ToolContext,
    image: Annotated[ImageRef, Field(description="the image to compare with")],
    k: Annotated[int, Field(ge=1, le=50, description="how many images to return")] = 5,
    text: Annotated[
        str | None,
        Field(description="words to look for instead of the image's looks; needs an encoder that reads words"),
    ] = None,
) -> Hits:
    """Find stored images that look like this one, with their reports.

    Raises:
        BadInputError: words are given and the encoder reads none.
        UnsupportedError: no image encoder serves this kind of image.
        UnavailableError: the encoder's weights are missing, or no image is stored; says what to do.
    """
    from tools.similar import picture_of

    words = " ".join((text or "").split())
    volume = ctx.workspace.volume(image)
    facts = ctx.workspace.image_facts(image)
    choice = ctx.hub.choose("find_similar", facts)
    knowledge = ctx.open_knowledge()

    def look(encoder: ImageEncoder) -> list[SimilarImage]:
        index = knowledge.images(encoder)
        if index.count() == 0:
            raise UnavailableError(
                f"no image is stored for the encoder {choice.card.name!r}; put images beside the reports first "
                "(tools.similar.add_images)"
            )
        return index.like_text(words, k) if words else index.like_picture(picture_of(volume), k)

    used = ctx.hub.use(choice, look)
    hits = tuple(_hit(knowledge, found) for found in used.value)
    one = len(hits) == 1
    notes = (NOTE,) if volume.dims == 2 or words else (NOTE, "of a volume the middle slice was compared")
    like = f"“{words}”" if words else image
    return Hits(
        summary=f"{len(hits)} image{'' if one else 's'} of other patients look{'s' if one else ''} most like {like}.",
        query=f"images like {like}",
        hits=hits,
        model=used.model,
        notes=(*used.notes, *notes, *choice.card.facts_needed.unsure(facts)),
    )


def _hit(knowledge: Knowledge, found: SimilarImage) -> ReportHit:
    """Quote the impression of an image's report, or its findings; the hit stays when the report is gone."""
    from knowledge.errors import NotFoundError
    from knowledge.sentences import split_sentences

    why = f"image {found.image_id} looks alike (cosine {found.similarity:.2f})"
    try:
        report = knowledge.report(found.report_id)
    except NotFoundError:
        gone = f"{why}; its report is not stored"
        return ReportHit(report_id=found.report_id, section="", sentence="", start=0, end=0, score=0.0, why=gone)
    preferred = {"impression": 0, "findings": 1}
    section = min(report.sections, key=lambda part: preferred.get(part.name, 2))
    start, end = split_sentences(report.text, section.start, section.end)[0]
    return ReportHit(
        report_id=report.id,
        section=section.name,
        sentence=report.text[start:end],
        start=start,
        end=end,
        score=max(0.0, found.similarity),
        why=why,
        source=report.source,
    )
