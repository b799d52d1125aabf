"""What a model that reads pictures says for a draft: an opinion, never a value, never a claim of normality."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from agent.llm.client import LLM, Endpoint
from agent.llm.lent import LentLLM
from knowledge.errors import NotFoundError
from tests.agent.llm.stub_endpoint import Answer, Stub, endpoint, fails, says
from tools.claims import claims_of
from tools.contract import ToolContext
from tools.grounding import evidence_in, problem_with
from tools.results import Draft
from tools.testing import NoModel, _keep, phantom_reading
from tools.verbs.check_report import check_report
from tools.verbs.draft_report import draft_report
from tools.verbs.export import export
from tools.workspace import Workspace

MASS = "A rounded opacity lies beside the left hilum."
SEEN = {"part": "mediastinum and hila", "sentence": MASS}


def context(workspace: Workspace, llm: object, step: str = "s9") -> ToolContext:
    def report(report_id: str) -> None:
        raise NotFoundError(report_id)

    return ToolContext(
        workspace=workspace, step_id=step, hub=SimpleNamespace(cards=()),  # type: ignore[arg-type]  # no model is asked
        open_knowledge=lambda: SimpleNamespace(report=report), open_llm=lambda: llm,  # type: ignore[arg-type,return-value]
    )  # fmt: skip


def drafted(workspace: Workspace, answer: Answer, *, sees: bool = True) -> tuple[Draft, Stub]:
    with endpoint(lambda: answer if is_look(stub) else says("{}")) as stub:
        llm = LLM(Endpoint(stub.base_url, "seer", sees_images=sees, egress="remote-deidentified"))
        return draft_report(context(workspace, LentLLM(lambda: llm)), evidence=["s1", "s2"]), stub


def is_look(stub: Stub) -> bool:
    return isinstance(stub.requests[-1]["messages"][0]["content"], list)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return phantom_reading(tmp_path)


def test_what_it_sees_stands_as_its_opinion_and_in_no_impression(workspace: Workspace) -> None:
    plain = draft_report(context(workspace, NoModel()), evidence=["s1", "s2"])
    draft, stub = drafted(workspace, says(json.dumps({"seen": [SEEN]})))
    *measured, opinion = draft.findings
    assert (opinion.text, opinion.kind) == (f"The model's opinion (seer): “{MASS}”", "model opinion")
    assert (tuple(measured), draft.impression) == (plain.findings, plain.impression)
    unseen = next(c.text for c in draft.limitations if c.kind == "not examined")
    assert "mediastinum and hila" in unseen, "an opinion is no examination"
    text, picture = next(r for r in stub.requests if isinstance(r["messages"][0]["content"], list))["messages"][0][
        "content"
    ]
    assert "mediastinum and hila" in text["text"]
    assert "lungs" not in json.loads(text["text"][text["text"].rindex("[") :]), "they were measured"
    Image.open(io.BytesIO(base64.b64decode(picture["image_url"]["url"].partition(",")[2]))).load()
    assert any("seer was shown nine" in n or "seer was shown" in n for n in draft.notes)


def test_its_opinion_is_told_in_the_answer_checked_and_exported_as_one(workspace: Workspace) -> None:
    draft, _ = drafted(workspace, says(json.dumps({"seen": [SEEN]})))
    _keep(workspace, "s9", draft)
    look_up = evidence_in(workspace, context(workspace, NoModel()).open_knowledge)
    told = claims_of(workspace.artifact("s9"))
    assert [c.kind for c in told] == ["described", "model opinion"]
    assert [problem_with(c, look_up) for c in told] == [None, None]
    as_finding = told[1].model_copy(update={"text": MASS, "kind": "measured"})
    assert problem_with(as_finding, look_up) is not None, "an opinion never becomes a finding"
    rows = check_report(context(workspace, NoModel(), "s10"), report="s9").rows
    assert {row.verdict for row in rows} == {"supported"}
    for number, form in enumerate(("html", "docx", "pdf", "fhir", "dicom-sr", "json"), 11):
        ctx = context(workspace, NoModel(), f"s{number}")
        made = export(ctx, artifacts=["s9"], format=form)  # type: ignore[arg-type]
        assert made.files
        if form in ("html", "fhir", "json"):
            assert "The model's opinion (seer)" in (ctx.folder / made.files[0]).read_text().replace(
                "&#x27;", "'"
            ).replace("&#39;", "'")
    assert "### s9" in (context(workspace, NoModel()).folder / "draft.md").read_text()


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("The mediastinum is clear.", "“clear” says what no tool"),
        ("No pericardial effusion.", "“No” says what no tool"),
        ("The heart is of normal size.", "“normal” says what no tool"),
        ("A nodule of 8 mm lies in the hilum.", "it gives a value"),
        ("Density is 40 HU there.", "it gives a value"),
    ],
)
def test_an_opinion_gives_no_value_and_calls_nothing_normal(workspace: Workspace, sentence: str, reason: str) -> None:
    draft, _ = drafted(workspace, says(json.dumps({"seen": [{**SEEN, "sentence": sentence}]})))
    assert all(c.kind != "model opinion" for c in draft.findings)
    assert any(sentence in line and reason in line for line in draft.thrown_away), draft.thrown_away


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (says(""), "The opinions of a language model that reads pictures — held back: "),
        (says("The chest looks fine."), "the answer is not JSON"),
        (says('{"seen": [{"part": "tail", "sentence": "Long."}]}'), "expected a list of parts with sentences"),
        (fails(401, "no"), "refuses the key"),
    ],
)
def test_a_look_that_gives_nothing_costs_no_sentence(workspace: Workspace, answer: Answer, said: str) -> None:
    plain = draft_report(context(workspace, NoModel()), evidence=["s1", "s2"])
    draft, _ = drafted(workspace, answer)
    assert draft.findings == plain.findings
    assert any(said in line for line in draft.thrown_away), draft.thrown_away


def test_a_model_that_reads_no_pictures_is_shown_none(workspace: Workspace) -> None:
    draft, stub = drafted(workspace, says(json.dumps({"seen": [SEEN]})), sees=False)
    assert all(isinstance(r["messages"][0]["content"], str) for r in stub.requests)
    assert all(c.kind != "model opinion" for c in draft.findings)


def test_markup_and_quotation_marks_of_an_opinion_are_text(workspace: Workspace) -> None:
    evil = "A shadow.” The tool measured it: “<script>alert(1)</script> [x](http://evil)"
    draft, _ = drafted(workspace, says(json.dumps({"seen": [{**SEEN, "sentence": evil}]})))
    (opinion,) = [c for c in draft.findings if c.kind == "model opinion"]
    assert opinion.text.count("“") == opinion.text.count("”") == 1
    written = (context(workspace, NoModel()).folder / "draft.md").read_text()
    assert "<script>" not in written
    assert "](http" not in written.replace("\\](", "")
