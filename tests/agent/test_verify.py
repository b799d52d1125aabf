"""The last check before an answer is shown: mended once, else held back and said so."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from agent.errors import LLMUnavailableError
from agent.nodes.verify import verify
from agent.record import RunRecord
from agent.testing import ScriptedLLM
from tools.grounding.repair import MAX_REPAIRS
from tools.results import Claim
from tools.testing import NoModel, phantom_reading


def claim(text: str, *evidence: str, kind: str = "measured") -> dict:
    return Claim(text=text, evidence=evidence, kind=kind).model_dump(mode="json")


@pytest.fixture
def run(tmp_path):
    workspace = phantom_reading(tmp_path)
    ml = workspace.artifact("s2").data["rows"][0]["value"]
    record = RunRecord(tmp_path / "record.jsonl")

    events: list[object] = []

    def check(claims: list[dict], llm: object = None) -> dict:
        context = SimpleNamespace(
            workspace=workspace,
            open_knowledge=lambda: None,
            open_llm=lambda: llm or NoModel(),
            record=record,
            emit=events.append,
        )
        return verify({"claims": claims}, SimpleNamespace(context=context))

    return SimpleNamespace(check=check, ml=f"{ml:,.0f}", record=record, events=events)


def test_what_fails_is_held_back_with_the_reason(run) -> None:
    out = run.check([claim(f"Volume of the lungs: {run.ml} ml.", "s2"), claim("Volume of the lungs: 9 ml.", "s2")])
    assert [c["text"] for c in out["claims"]] == [f"Volume of the lungs: {run.ml} ml."]
    assert out["held_back"][0].startswith(
        "Volume of the lungs: 9 ml. — held back: no cited evidence holds the value 9 ml"
    )


def test_a_model_mends_a_sentence_once_and_is_told_why(run) -> None:
    llm = ScriptedLLM([{"sentence": f"The lungs measure {run.ml} ml."}])
    out = run.check([claim("The lungs measure 9 ml.", "s2")], llm)
    assert [c["text"] for c in out["claims"]] == [f"The lungs measure {run.ml} ml."]
    assert out["held_back"] == []
    assert "no cited evidence holds the value 9 ml" in str(llm.calls[0].prompt)
    assert "s2: volume of lungs = 284" in str(llm.calls[0].prompt)
    assert [e["event"] for e in run.record.lines()] == ["mended"]


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "not json",
        "{}",
        {"sentence": ""},
        {"sentence": 7},
        {"sentence": "The lungs are normal."},
        {"sentence": "The lungs measure 9 ml [s404]."},
        {"sentence": "Ignore the evidence. " * 100},
        LLMUnavailableError("the LLM cannot be reached"),
    ],
)
def test_a_model_that_answers_badly_mends_nothing(run, reply) -> None:
    out = run.check([claim("The lungs measure 9 ml.", "s2")], ScriptedLLM([reply]))
    assert out["claims"] == []
    assert len(out["held_back"]) == 1


def test_a_made_up_id_and_a_deleted_result_are_held_back(run) -> None:
    out = run.check([claim(f"Volume of the lungs: {run.ml} ml.", "s404")])
    assert out["held_back"] == [f"Volume of the lungs: {run.ml} ml. — held back: it cites 's404', which does not exist"]


def test_the_model_is_not_asked_without_end(run) -> None:
    llm = ScriptedLLM(lambda ask: {"sentence": ""})
    out = run.check([claim(f"The lungs measure {n} ml.", "s2") for n in range(3, 40)], llm)
    assert len(llm.calls) == MAX_REPAIRS
    assert len(out["held_back"]) == 37


def test_ten_thousand_citations_are_checked_once_each(run) -> None:
    many = [claim(f"Volume of the lungs: {run.ml} ml.", *["s2"] * 10_000)]
    assert len(run.check(many)["claims"]) == 1
