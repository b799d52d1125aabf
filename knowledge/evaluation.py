"""How often search finds the right reports: precision and recall against headings that the index never saw."""

import json
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from knowledge.errors import BadInputError, NotFoundError, UnavailableError
from knowledge.fusion import Parts
from knowledge.search import ALL_PARTS, Knowledge

RECALL_AT = (10, 20, 50, 100)

Headings = Mapping[str, frozenset[str]]
"""Report id → its headings, lower case, before the first slash."""


class RetrievalCase(BaseModel):
    """One query. A hit is right when its report's headings meet `positive` and none of `negative`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    query: str
    positive: tuple[str, ...]
    negative: tuple[str, ...] = ()

    def is_right(self, headings: frozenset[str]) -> bool:
        """Return whether a report with these headings answers the query."""
        return bool(headings & set(self.positive)) and not headings & set(self.negative)


class CaseResult(BaseModel):
    """One query's outcome. `p_at_10` counts an empty place as wrong. `right` is how many reports would be right."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    query: str
    p_at_10: float
    right: int
    recall: dict[str, float]
    hits: tuple[str, ...]
    seconds: float


class RetrievalResult(BaseModel):
    """The outcome over all queries."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    queries: int
    mean_p_at_10: float
    mean_recall: dict[str, float]
    median_seconds: float
    results: tuple[CaseResult, ...]


def read_cases(path: Path) -> list[RetrievalCase]:
    """Return the cases of a JSONL file.

    Raises:
        NotFoundError: there is no such file.
        BadInputError: a line is no case; says which and why.
    """
    if not path.is_file():
        raise NotFoundError(f"file must be a JSONL file of cases, {path} does not exist")
    cases = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            cases.append(RetrievalCase.model_validate(json.loads(line)))
        except (ValueError, ValidationError) as error:
            reason = str(error).splitlines()[0]
            raise BadInputError(
                f"{path.name} line {number} must be a case with id, query, positive: {reason}"
            ) from error
    if not cases:
        raise BadInputError(f"{path.name} holds no case")
    return cases


def evaluate_retrieval(
    cases: Sequence[RetrievalCase], knowledge: Knowledge, headings: Headings, parts: Parts = ALL_PARTS
) -> RetrievalResult:
    """Run every query and compare its hits with the headings.

    Args:
        cases: the queries with their answers.
        knowledge: the store; it never sees the headings.
        headings: of every report, from `knowledge.readers.openi.read_openi_headings`.
        parts: which parts of the search take part.

    Raises:
        UnavailableError: the store holds none of the reports.
    """
    if not any(report.id in headings for report in knowledge.export()):
        raise UnavailableError("the store holds none of the reports that the headings are of; ingest them first")
    return evaluate_search(
        cases, headings, lambda query, k: [hit.report_id for hit in knowledge.search(query, k, parts=parts)]
    )


def evaluate_search(
    cases: Iterable[RetrievalCase], headings: Headings, search: Callable[[str, int], list[str]]
) -> RetrievalResult:
    """Evaluate any search that returns report ids, best first.

    Args:
        cases: the queries with their answers.
        headings: of every report.
        search: takes the query and how many.
    """
    results = [_run(case, headings, search) for case in cases]
    return RetrievalResult(
        queries=len(results),
        mean_p_at_10=statistics.fmean(result.p_at_10 for result in results),
        mean_recall={str(n): statistics.fmean(result.recall[str(n)] for result in results) for n in RECALL_AT},
        median_seconds=statistics.median(result.seconds for result in results),
        results=tuple(results),
    )


def _run(case: RetrievalCase, headings: Headings, search: Callable[[str, int], list[str]]) -> CaseResult:
    start = time.perf_counter()
    hits = search(case.query, max(RECALL_AT))
    seconds = time.perf_counter() - start
    right = {name for name, found in headings.items() if case.is_right(found)}
    recall = {str(n): len(right & set(hits[:n])) / min(n, len(right)) if right else 0.0 for n in RECALL_AT}
    return CaseResult(
        id=case.id,
        query=case.query,
        p_at_10=len(right & set(hits[:10])) / 10,
        right=len(right),
        recall=recall,
        hits=tuple(hits[:10]),
        seconds=seconds,
    )
