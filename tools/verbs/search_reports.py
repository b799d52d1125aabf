"""search_reports: sentences of stored reports that answer a query in plain language."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from knowledge.hits import Filters
from tools.contract import Cost, ToolContext, tool
from tools.examples import examples_of
from tools.results import Hits, ReportHit

NOTE = "These are reports of other patients: what they say is no finding of this one."


@tool(
    cost=Cost(seconds=2),
    timeout_s=60,
    examples=examples_of("search_reports"),
)
def search_reports(
    ctx: ToolContext,
    query: Annotated[str, Field(min_length=1, max_length=500, description="what to look for, in plain language")],
    k: Annotated[int, Field(ge=1, le=50, description="how many reports to return")] = 5,
    filters: Annotated[
        Filters | None, Field(description="what a report must be besides: modality, body part, date, section, source")
    ] = None,
) -> Hits:
    """Find stored reports by what they state, deny or mean; returns the matching sentence and id of each.

    Understands negation and combination ("effusion without cardiomegaly", "normal chest") and plain words.
    """
    knowledge = ctx.open_knowledge()
    found = knowledge.search(query, k=k, filters=filters)
    hits = tuple(
        ReportHit(
            report_id=hit.report_id,
            section=hit.section,
            sentence=hit.sentence,
            start=hit.start,
            end=hit.end,
            score=round(float(hit.score), 4),
            why=hit.why,
            source=knowledge.report(hit.report_id).source,
        )
        for hit in found
    )
    if hits:
        one = len(hits) == 1
        summary = (
            f"{len(hits)} report{'' if one else 's'} of other patients match{'es' if one else ''} the query “{query}”."
        )
    elif knowledge.is_empty:
        summary = (
            "The report store is empty, so nothing was searched: 'readingroom knowledge ingest PATH' puts reports into "
            "it, without PATH the sample reports."
        )
    else:
        summary = f"No stored report is close enough to the query “{query}”."
    return Hits(summary=summary, query=query, hits=hits, notes=(NOTE,) if hits else ())
