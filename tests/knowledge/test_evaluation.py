from __future__ import annotations

from pathlib import Path

import pytest

from knowledge.errors import BadInputError, NotFoundError, UnavailableError
from knowledge.evaluation import RetrievalCase, evaluate_retrieval, evaluate_search, read_cases
from tests.knowledge.stores import REPORTS, Opener

HEADINGS = {name: frozenset(found) for name, found in {"A": ["x"], "B": ["x", "y"], "C": ["y"], "D": []}.items()}


def test_a_hit_is_right_when_headings_meet_positive_and_no_negative() -> None:
    case = RetrievalCase(id="1", query="q", positive=("x",), negative=("y",))

    result = evaluate_search([case], HEADINGS, lambda query, k: ["B", "A", "D"])

    assert result.mean_p_at_10 == pytest.approx(0.1)
    assert result.results[0].right == 1
    assert result.mean_recall["10"] == 1
    assert result.results[0].hits == ("B", "A", "D")


def test_places_left_empty_count_as_wrong() -> None:
    case = RetrievalCase(id="1", query="q", positive=("x", "y"))

    result = evaluate_search([case], HEADINGS, lambda query, k: ["A"])

    assert result.mean_p_at_10 == pytest.approx(0.1)
    assert result.mean_recall["10"] == pytest.approx(1 / 3)


def test_a_store_is_evaluated(open_knowledge: Opener) -> None:
    knowledge = open_knowledge()
    with pytest.raises(UnavailableError, match="ingest them first"):
        evaluate_retrieval([], knowledge, {"R1": frozenset({"x"})})
    knowledge.ingest(REPORTS)
    headings = {"R1": frozenset({"cardiomegaly"}), "R3": frozenset({"cardiomegaly", "pleural effusion"})}
    case = RetrievalCase(id="1", query="enlarged heart", positive=("cardiomegaly",))

    result = evaluate_retrieval([case], knowledge, headings)

    assert result.mean_p_at_10 == pytest.approx(0.2)
    assert set(result.model_dump()) >= {"queries", "mean_p_at_10", "results"}


@pytest.mark.parametrize("line", ["{", '{"id": "1"}', '{"id": "1", "query": "q", "positive": ["x"], "extra": 1}'])
def test_a_bad_case_is_named_by_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text('{"id": "1", "query": "q", "positive": ["x"]}\n' + line)

    with pytest.raises(BadInputError, match=r"cases\.jsonl line 2 must be a case with id, query, positive"):
        read_cases(path)
    with pytest.raises(NotFoundError, match="does not exist"):
        read_cases(tmp_path / "none")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(BadInputError, match="holds no case"):
        read_cases(tmp_path / "empty.jsonl")
