"""Drafts hold what the evidence holds, and nothing else."""

from __future__ import annotations

import dataclasses
import json
import shutil
from types import SimpleNamespace

import pytest

from agent.errors import ConfigError, LimitError, LLMUnavailableError, ModelBehaviorError
from agent.llm.lent import LentLLM
from agent.testing import ScriptedLLM
from tests.tools.verbs.conftest import REPORT
from tools.drafting.regions import region_of
from tools.drafting.style import style_of
from tools.errors import BadInputError, NotFoundError
from tools.grounding import evidence_in, problem_with
from tools.results import Claim, Draft, Hits, Measurement, Measurements, ReportHit
from tools.testing import _keep
from tools.verbs.draft_markdown import as_markdown
from tools.verbs.draft_report import draft_report


def test_every_sentence_follows_from_its_evidence(make_ctx, workspace) -> None:
    ctx = make_ctx()
    draft = draft_report(ctx, evidence=["s1", "s2", "s3"])
    look_up = evidence_in(workspace, ctx.open_knowledge)
    checked = [c for c in draft.claims() if c.evidence != ("PHANTOM1",)]
    assert [problem_with(c, look_up) for c in checked] == [None] * len(checked)
    assert draft.findings[0].evidence == ("s2",)
    ml = workspace.artifact("s2").data["rows"][0]["value"]
    assert draft.findings[0].text == f"Volume of the lungs: {ml:,.0f} ml."


def test_what_was_measured_twice_is_said_once_with_both_steps(make_ctx, workspace) -> None:
    again = Measurements.model_validate(workspace.artifact("s2").data)
    _keep(workspace, "s4", again)
    ctx = make_ctx()
    draft = draft_report(ctx, evidence=["s1", "s2", "s4"])
    for part in (draft.findings, draft.impression, draft.limitations):
        assert len({claim.text for claim in part}) == len(part) > 0
    assert draft.findings[0].evidence == ("s2", "s4")
    assert draft.held_back == ()
    assert problem_with(draft.findings[0], evidence_in(workspace, ctx.open_knowledge)) is None


def keep_hits(workspace, *sentences: str, report: str = "CXR7") -> None:
    places = [(s, max(REPORT.find(s), 0)) for s in sentences]
    hits = tuple(
        ReportHit(report_id=report, section="findings", sentence=s, start=at, end=at + len(s), score=1.0, why="said")
        for s, at in places
    )
    _keep(workspace, "s3", Hits(summary="Reports of other patients match.", query="lungs", hits=hits))


def test_reports_of_other_patients_are_quoted_apart_from_the_findings(make_ctx, workspace) -> None:
    keep_hits(workspace, "The lungs are clear.")
    draft = draft_report(make_ctx(), evidence=["s2", "s3"])
    assert [c.kind for c in draft.similar] == ["quoted"]
    assert draft.similar[0].evidence == ("CXR7",)
    assert not any("clear" in c.text for c in (*draft.findings, *draft.impression))


def test_a_quote_whose_report_is_gone_is_held_back_and_said_so(make_ctx) -> None:
    ctx = make_ctx()
    draft = draft_report(ctx, evidence=["s2", "s3"])
    assert draft.similar == ()
    (held,) = draft.held_back
    assert held.endswith("— held back: it cites 'PHANTOM1', which does not exist")
    assert "## Held back" in (ctx.folder / "draft.md").read_text()


def test_a_sentence_with_removed_words_is_quoted_last(make_ctx, workspace) -> None:
    keep_hits(workspace, "The lungs are XXXX.", "The lungs are clear.")
    draft = draft_report(make_ctx(), evidence=["s3"])
    assert "clear" in draft.similar[0].text


@pytest.mark.parametrize(("modality", "spoken_of"), [("CT", True), ("CR", False)])
def test_a_report_speaks_of_what_its_modality_shows(modality, spoken_of) -> None:
    names = [s.name for s in region_of("CHEST", (), modality).shown_by(modality)]
    assert ("upper abdomen" in names) is spoken_of
    assert ("devices" in names) is not spoken_of
    assert names[spoken_of - 1 if spoken_of else 1] in ("lungs", "upper abdomen")


def test_findings_stand_in_the_order_of_a_report(make_ctx, workspace) -> None:
    rows = workspace.artifact("s2").data["rows"]
    wanted = ("spleen", "aorta", "liver", "lungs", "trachea")
    table = tuple(Measurement.model_validate(rows[0] | {"target": t, "value": 100.0 + i}) for i, t in enumerate(wanted))
    _keep(workspace, "s2", Measurements(summary="Measured.", rows=table))
    draft = draft_report(make_ctx(), evidence=["s2"])
    said = [c.text.split(":")[0].removeprefix("Volume of the ") for c in draft.findings]
    assert said == ["lungs", "trachea", "aorta", "spleen", "liver"]


def test_the_style_of_stored_reports_is_learned_and_none_of_their_findings(make_ctx, workspace) -> None:
    keep_hits(workspace, "The lungs are clear.")
    text = (
        "FINDINGS: The lungs are clear. The heart is normal. There is a 3 cm mass. Bones are intact. No fluid is seen."
    )
    store = SimpleNamespace(report=lambda report_id: SimpleNamespace(text=text, source="test"))
    ctx = dataclasses.replace(make_ctx(), open_knowledge=lambda: store)
    draft = draft_report(ctx, evidence=["s2", "s3"])
    assert draft.findings[0].text.startswith("The lungs have a volume of 2,")
    assert any("style after 1 similar reports: whole sentences, lengths in cm" in n for n in draft.notes)
    own = " ".join(c.text for c in (*draft.findings, *draft.impression))
    assert not [w for w in ("clear", "normal", "mass", "fluid", "intact") if w in own]


def test_too_little_text_teaches_no_style() -> None:
    assert style_of(["No findings."]) == style_of([])


def test_a_model_mends_its_sentence_once(make_ctx, workspace) -> None:
    ml = f"{workspace.artifact('s2').data['rows'][0]['value']:,.0f}"
    script = [
        json.dumps({"sentences": [f"The lungs measure {ml} ml, likely emphysema."]}),
        json.dumps({"sentence": f"The lungs measure {ml} ml."}),
    ]
    llm = ScriptedLLM(script, name="writer")
    draft = draft_report(make_ctx(llm=llm), evidence=["s2"])
    assert draft.findings[0].text == f"The lungs measure {ml} ml."
    assert "“likely” doubts" in str(llm.calls[1].prompt) or "emphysema" in str(llm.calls[1].prompt)
    llm.assert_complete()


def test_what_no_tool_looked_at_is_named_and_nothing_is_called_normal(make_ctx) -> None:
    draft = draft_report(make_ctx(), evidence=["s1", "s2"])
    (unseen,) = [c for c in draft.limitations if c.kind == "not examined"]
    assert unseen.text.startswith("Not examined by any tool: airways, pleura, heart and great vessels")
    words = " ".join(c.text.lower() for c in draft.claims())
    for claim in ("normal", "unremarkable", "no evidence of", "clear"):
        assert claim not in words
    assert "none is stated or excluded" in words


def test_the_technique_says_what_the_image_is(make_ctx) -> None:
    draft = draft_report(make_ctx(), evidence=["s1"])
    assert draft.technique[0] == Claim(
        text="CT, 110 × 90 × 60 voxels, 3.00 × 3.00 × 5.00 mm.", evidence=("img1",), kind="described"
    )


def test_the_markdown_carries_notice_ids_and_sections(make_ctx, workspace) -> None:
    ctx = make_ctx()
    keep_hits(workspace, "The lungs are clear.")
    draft_report(ctx, evidence=["s1", "s2", "s3"])
    text = (ctx.folder / "draft.md").read_text()
    order = [
        text.index(part) for part in ("Research use only", "## Technique", "## Findings", "## Impression", "## Limit")
    ]
    assert order == sorted(order)
    assert "[s2]" in text
    assert "[CXR7]" in text


def test_html_and_markdown_in_a_report_are_shown_as_text() -> None:
    evil = Claim(
        text="A report says: “<script>alert(1)</script> [x](http://evil) **bold**”", evidence=("CXR7",), kind="quoted"
    )
    text = as_markdown(Draft(summary="x", similar=(evil,)))
    assert "<script>" not in text
    assert r"\[x\](http" in text
    assert "**bold**" not in text
    assert "script" in text


def test_an_llm_may_reword_a_sentence_that_stays_true(make_ctx, workspace) -> None:
    ml = f"{workspace.artifact('s2').data['rows'][0]['value']:,.0f}"
    llm = ScriptedLLM([json.dumps({"sentences": [f"The lungs measure {ml} ml."]})], name="writer")
    draft = draft_report(make_ctx(llm=llm), evidence=["s2"])
    assert draft.findings[0].text == f"The lungs measure {ml} ml."
    assert draft.worded_by == "writer"
    llm.assert_complete()


@pytest.mark.parametrize(
    "sentence",
    [
        "The lungs measure 9,999 ml.",
        "The lungs measure {ml} ml, which is normal.",
        "The right lung measures {ml} ml.",
        "The lungs measure {ml} l.",
        "",
    ],
)
def test_a_rewording_that_changes_what_is_said_is_thrown_away(make_ctx, workspace, sentence) -> None:
    ml = f"{workspace.artifact('s2').data['rows'][0]['value']:,.0f}"
    first, mended = {"sentences": [sentence.format(ml=ml)]}, {"sentence": sentence.format(ml=ml)}
    llm = ScriptedLLM(lambda ask: mended if "failed its check" in str(ask.prompt) else first, name="writer")
    draft = draft_report(make_ctx(llm=llm), evidence=["s2"])
    assert draft.findings[0].text == f"Volume of the lungs: {ml} ml."
    (thrown_away,) = draft.thrown_away
    assert "held back: " in thrown_away
    assert draft.worded_by == "template"


@pytest.mark.parametrize("reply", ["not json", "{}", '{"sentences": []}', '{"sentences": [1]}'])
def test_a_reply_that_is_no_rewording_leaves_the_template(make_ctx, reply) -> None:
    draft = draft_report(make_ctx(llm=ScriptedLLM([reply])), evidence=["s2"])
    assert draft.findings[0].text.startswith("Volume of the lungs: 2,")
    assert draft.worded_by == "template"
    (said,) = draft.thrown_away
    assert f"scripted answered {reply!r}, expected a list of 1 sentences; the template's sentences stand" in said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (LLMUnavailableError("the LLM cannot be reached"), "cannot be reached"),
        (ModelBehaviorError("scripted: an empty answer"), "an empty answer"),
        (LimitError("the request used up its tokens", limit=1, used=1), "used up its tokens"),
        (ConfigError("READINGROOM_LLM_MODEL must name a model"), "must name a model"),
    ],
)
def test_a_model_that_fails_costs_its_wording_and_no_sentence(make_ctx, error, said) -> None:
    plain = draft_report(make_ctx(), evidence=["s2"])
    draft = draft_report(make_ctx(llm=LentLLM(lambda: ScriptedLLM([error]))), evidence=["s2"])
    assert draft.claims() == plain.claims()
    assert said in draft.thrown_away[0]


def test_a_model_that_cannot_be_opened_costs_its_wording_and_no_sentence(make_ctx) -> None:
    def refuse() -> ScriptedLLM:
        raise ConfigError("READINGROOM_EGRESS=local allows only an LLM on this machine")

    draft = draft_report(make_ctx(llm=LentLLM(refuse)), evidence=["s2"])
    assert draft.findings[0].text.startswith("Volume of the lungs: 2,")
    assert "allows only an LLM on this machine" in draft.thrown_away[0]


def test_a_model_that_goes_away_is_not_asked_to_mend_each_sentence(make_ctx, workspace) -> None:
    rows = workspace.artifact("s2").data["rows"]
    table = tuple(
        Measurement.model_validate(rows[0] | {"target": t, "value": 100.0})
        for t in ("lung_left", "lung_right", "liver")
    )
    _keep(workspace, "s2", Measurements(summary="Measured.", rows=table))
    llm = ScriptedLLM([{"sentences": ["Wrong: 1 ml."] * 3}, LLMUnavailableError("gone")], name="writer")
    draft = draft_report(make_ctx(llm=LentLLM(lambda: llm)), evidence=["s2"])
    assert [c.text.partition(":")[0] for c in draft.findings] == [
        "Volume of the left lung", "Volume of the right lung", "Volume of the liver",
    ]  # fmt: skip
    assert len(draft.thrown_away) == 3
    llm.assert_complete()


def test_an_image_that_was_deleted_costs_no_measurement(make_ctx, workspace) -> None:
    whole = draft_report(make_ctx(), evidence=["s1", "s2"])
    workspace.attachment_path("img1").unlink()
    workspace._volumes.clear()
    draft = draft_report(make_ctx(), evidence=["s1", "s2"])
    assert draft.findings == whole.findings
    assert draft.impression == whole.impression
    assert draft.held_back == ("What img1 is — held back: its file is gone or cannot be read any more",)
    assert draft.technique == whole.technique[1:]


def test_a_result_that_was_deleted_is_named_with_what_is_there(make_ctx, workspace) -> None:
    shutil.rmtree(workspace.root / "artifacts" / "s2")
    with pytest.raises(NotFoundError, match=r"no result 's2' in this reading; there are: s1, s3"):
        draft_report(make_ctx(), evidence=["s1", "s2"])


def test_an_attachment_alone_is_no_evidence(make_ctx) -> None:
    with pytest.raises(BadInputError, match="evidence must name results of steps"):
        draft_report(make_ctx(), evidence=["img1"])


def test_each_id_of_the_markdown_leads_to_what_stands_behind_it(make_ctx, workspace) -> None:
    """The ids are links of CommonMark: a definition each, which leads to a heading, which viewers make an anchor of."""
    keep_hits(workspace, "The lungs are clear.")
    ctx = make_ctx()
    draft = draft_report(ctx, evidence=["s1", "s2", "s3"])
    text = (ctx.folder / "draft.md").read_text(encoding="utf-8")
    cited = {i for claim in draft.claims() for i in claim.evidence}
    headings = {line.removeprefix("### ") for line in text.splitlines() if line.startswith("### ")}
    assert headings == cited
    assert all(f"[{i}]: #{i.lower()}" in text.splitlines() for i in cited)
    assert "CXR7, findings, characters 10 to 30" in text
