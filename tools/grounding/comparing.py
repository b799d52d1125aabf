"""Comparisons that a sentence draws, worked out from measured values: "larger than the left", "at least 3 l".

What is true accounts for its characters, so that the other checks see the rest of the sentence; what is false
contradicts; what no value decides is left to the other checks.
"""

from __future__ import annotations

from collections.abc import Sequence

from tools.grounding.agree import Problem
from tools.grounding.bounding import bounds
from tools.grounding.boxing import boxes_compared
from tools.grounding.counting import counted
from tools.grounding.evidence import Evidence
from tools.grounding.pairing import differences, factors, pairs, sums
from tools.grounding.sharing import shares
from tools.grounding.statement import Statement
from tools.grounding.worked import Span, Worked


def work_out(statement: Statement, found: Sequence[Evidence]) -> Worked:
    """Decide the comparisons of a sentence that measured values decide."""
    spans: list[Span] = []
    problems: list[Problem] = []
    tells_scores = False
    for find in (counted, boxes_compared, factors, sums, differences, bounds, shares, pairs):
        for worked in find(statement, found):
            if any(start < end_ and start_ < end for start, end in worked.spans for start_, end_ in spans):
                continue
            spans += worked.spans
            problems += worked.problems
            tells_scores = tells_scores or worked.tells_scores
    return Worked(tuple(spans), tuple(problems), tells_scores)
