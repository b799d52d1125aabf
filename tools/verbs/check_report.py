"""check_report: is what a report says supported by the evidence of this reading?"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tools.contract import REF_PATTERN, AnyRef, Cost, Ref, ToolContext, tool
from tools.examples import examples_of
from tools.results import Text
from tools.verbs.later import NO_METHOD, not_yet

ReportRef = Annotated[str, Field(pattern=REF_PATTERN), Ref(("report",))]


@tool(cost=Cost(seconds=5), unavailable=NO_METHOD, examples=examples_of("check_report"))
def check_report(
    ctx: ToolContext,
    report: Annotated[ReportRef, Field(description="the report or draft to check")],
    evidence: Annotated[
        list[AnyRef] | None, Field(description="results to check it against; none: all there are")
    ] = None,
) -> Text:
    """Check a report's statements against the evidence: supported, contradicted, or not covered."""
    not_yet("check_report")
