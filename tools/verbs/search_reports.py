"""search_reports: sentences of stored reports that answer a query in plain language."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tools.contract import Cost, ToolContext, example, plan_example, tool
from tools.results import Hits, ReportHit

NOTE = "These are reports of other patients: what they say is no finding of this one."


@tool(
    cost=Cost(seconds=2),
    timeout_s=60,
    examples=[
        example("Find reports that mention a pleural effusion.", query="pleural effusion"),
        example("Search the reports for cardiomegaly.", query="cardiomegaly"),
        example("Are there old reports with a calcified granuloma?", query="calcified granuloma"),
        example("Show me three reports about scoliosis.", query="scoliosis", k=3),
        example("Any reports with emphysema but no effusion?", query="emphysema but no effusion"),
        example("Look up similar reports of lung nodules.", query="lung nodules"),
        example("Which reports describe rib fractures?", query="rib fractures"),
        example("Give me ten normal chest reports.", query="normal chest", k=10),
        plan_example(
            "Measure the volume of the lungs and find similar reports.",
            ("segment", {"image": "@img1", "targets": ["lungs"]}),
            ("measure", {"mask": "@s1", "quantities": ["volume"]}),
            ("search_reports", {"query": "lungs, lung volume"}),
        ),
    ],
)
def search_reports(
    ctx: ToolContext,
    query: Annotated[str, Field(min_length=1, max_length=500, description="what to look for, in plain language")],
    k: Annotated[int, Field(ge=1, le=50, description="how many reports to return")] = 5,
) -> Hits:
    """Find stored reports by meaning; returns the matching sentence of each, with the report's id."""
    knowledge = ctx.open_knowledge()
    found = knowledge.search(query, k=k)
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
    else:
        summary = f"No stored report is close enough to the query “{query}”."
    return Hits(summary=summary, query=query, hits=hits, notes=(NOTE,) if hits else ())
