"""Answers on made readings: ours hold, baselines that cannot know the truth do not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.answer_evals import evaluate_answers, read_answer_cases
from agent.errors import ConfigError, LLMUnavailableError
from agent.llm.lent import LentLLM
from agent.testing import ScriptedLLM
from tests.agent.llm.stub_endpoint import Answer, endpoint, fails, says
from ui.cli import main

SHIPPED = Path(__file__).parents[1] / "evals" / "answers.jsonl"


@pytest.fixture
def few(tmp_path: Path) -> Path:
    path = tmp_path / "few.jsonl"
    path.write_text("".join(SHIPPED.read_text(encoding="utf-8").splitlines(keepends=True)[:3]), encoding="utf-8")
    return path


def test_ours_hold_and_baselines_do_not(few: Path) -> None:
    ours, shuffled, blind = (figures.to_json() for figures in evaluate_answers(few))
    assert ours["system"] == "reading room"
    assert ours["valid_evidence"] == 1.0
    assert ours["numeric_fidelity"] == 1.0
    assert ours["contradictions"] == 0.0
    assert ours["abstention"] == 1.0
    assert shuffled["valid_evidence"] < 0.5
    assert shuffled["numeric_fidelity"] < 0.2
    assert blind["valid_evidence"] < 0.2
    assert blind["abstention"] <= 0.5
    assert ours["chrf"] > blind["chrf"]


def test_an_endpoint_words_drafts_and_answers_without_tools(few: Path) -> None:
    def reply(ask) -> object:
        prompt = str(ask.prompt)
        if "Write the findings" in prompt:
            return "The liver measures 1,500 ml. The lungs are clear."
        sentences = json.loads(prompt[prompt.index("\n\n[") :]) if "JSON list of sentences" in prompt else []
        return {"sentences": [s.replace("Volume of the", "Measured volume of the") for s in sentences], "sentence": ""}

    found = {f.system: f.to_json() for f in evaluate_answers(few, LentLLM(lambda: ScriptedLLM(reply, name="stub")))}
    assert found["reading room, worded by stub"]["valid_evidence"] == 1.0
    assert found["stub without tools"]["valid_evidence"] < 0.5


def by_prompt(request: dict[str, Any]) -> Answer:
    """Answer as a fluent model that sees no image: typical values, rewordings that keep their number, no repair."""
    prompt = str(request["messages"][-1]["content"])
    if "Write the findings" in prompt:
        asked = json.loads(prompt[prompt.index("[") : prompt.rindex("]") + 1])
        return says(" ".join(f"The {name} has a volume of 1,500 ml." for name in asked))
    if "JSON list of sentences" in prompt:
        sentences = json.loads(prompt[prompt.index("\n\n[") :])
        worded = [s.replace("Volume of the", "Measured volume of the") for s in sentences]
        return says(json.dumps({"sentences": worded}))
    return says(json.dumps({"sentence": "The lungs are clear."}))


def table_of(few: Path, base_url: str, monkeypatch, capsys) -> dict[str, dict[str, Any]]:
    monkeypatch.setenv("READINGROOM_LLM_BASE_URL", base_url)
    monkeypatch.setenv("READINGROOM_LLM_MODEL", "stub")
    with pytest.raises(SystemExit) as ended:
        main(["eval", "answers", str(few), "--json"])
    assert not ended.value.code
    return {s["system"]: s for s in json.loads(capsys.readouterr().out)["systems"]}


def test_a_model_behind_an_endpoint_stands_in_the_table_with_tools_and_without(few: Path, monkeypatch, capsys) -> None:
    with endpoint(lambda: by_prompt(stub.requests[-1])) as stub:
        table = table_of(few, stub.base_url, monkeypatch, capsys)
    blind = [r for r in stub.requests if "Write the findings" in str(r["messages"])]
    truth = [str(row.value) for case in read_answer_cases(few) for row in case.rows]
    assert len(blind) == 3
    assert not [value for value in truth if value in json.dumps(blind)], "it is given no result of a tool"
    assert list(table) == [
        "reading room", "reading room, worded by stub", "shuffled evidence", "image-blind", "stub without tools",
    ]  # fmt: skip
    worded, alone = table["reading room, worded by stub"], table["stub without tools"]
    assert worded["valid_evidence"] == worded["numeric_fidelity"] == worded["abstention"] == 1.0
    assert worded["contradictions"] == 0.0
    assert alone["sentences"] == sum(len(case.asked) for case in read_answer_cases(few))
    assert alone["valid_evidence"] < 0.2
    assert alone["numeric_fidelity"] < 0.2
    assert alone["abstention"] <= 0.5, "it speaks of everything, looked at or not"
    assert alone["failures"] == 0


def test_an_endpoint_that_fails_leaves_the_template_and_is_counted(few: Path, monkeypatch, capsys) -> None:
    with endpoint(fails(401, "bad key")) as stub:
        table = table_of(few, stub.base_url, monkeypatch, capsys)
    assert table["stub without tools"]["failures"] == 3
    assert table["stub without tools"]["valid_evidence"] is None
    assert table["reading room, worded by stub"]["valid_evidence"] == 1.0
    assert table["reading room, worded by stub"]["failures"] == 3


def test_a_model_that_fails_is_counted_not_hidden(few: Path) -> None:
    def reply(ask) -> object:
        if "Write the findings" in str(ask.prompt):
            return LLMUnavailableError("gone")
        return {"sentences": [], "sentence": ""}

    found = {f.system: f.to_json() for f in evaluate_answers(few, LentLLM(lambda: ScriptedLLM(reply, name="stub")))}
    assert found["stub without tools"]["failures"] == 3
    assert found["stub without tools"]["valid_evidence"] is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{}", "line 1: id: Field required"),
        ("not json", "line 1: line: Invalid JSON"),
        ('{"id": "a", "rows": [], "asked": ["liver"]}', "rows: Tuple should have at least 1 item"),
        ("", "holds no case"),
    ],
)
def test_a_bad_file_is_told_in_one_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_answer_cases(path)


def test_the_command_prints_one_table(few: Path, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["eval", "answers", str(few), "--json"])
    assert not ended.value.code
    systems = json.loads(capsys.readouterr().out)["systems"]
    assert [s["system"] for s in systems] == ["reading room", "shuffled evidence", "image-blind"]


def test_the_shipped_cases_are_read() -> None:
    cases = read_answer_cases(SHIPPED)
    assert len(cases) == 40
    assert len({case.id for case in cases}) == 40
