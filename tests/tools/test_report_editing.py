"""A draft as text, edited, and a draft again: what is a person's says so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.drafting.editing import TEMPLATES, as_text, by_template, changes, checked, edited_draft, lines_of
from tools.grounding.judge import Judgement
from tools.results import Claim, Draft

DRAFT = Draft(
    summary="A draft",
    technique=(Claim(text="CT, 512 × 512 × 133 voxels, 0.70 × 0.70 × 2.50 mm.", evidence=("img1",), kind="described"),),
    findings=(
        Claim(text="Volume of the lungs: 3,701 ml.", evidence=("s2",), kind="measured"),
        Claim(text="Mean density of the lungs: −827.3 HU.", evidence=("s2",), kind="measured"),
    ),
    impression=(Claim(text="Volume of the lungs: 3,701 ml.", evidence=("s2",), kind="measured"),),
    similar=(
        Claim(text="Another patient’s report says: “Clear. No effusion.”", evidence=("CXR12",), kind="quoted"),
    ),
    limitations=(
        Claim(text="Not examined by any tool: heart.", kind="not examined"),
        Claim(text="Lung volume measured; no comparison. Nothing else.", kind="general"),
    ),
    held_back=("Nonsense. — held back: nothing says so",),
)  # fmt: skip


def judged(verdict, reason=""):
    return lambda passage: Judgement(verdict, reason, passage.cited)


def never(passage):
    raise AssertionError(f"an unchanged sentence was judged again: {passage}")


def test_an_unchanged_text_is_the_draft_again() -> None:
    sentences = checked(as_text(DRAFT), DRAFT, never)
    assert {s.verdict for s in sentences} == {"supported"}
    assert edited_draft(DRAFT, sentences).claims() == DRAFT.claims()


def test_what_a_person_writes_is_theirs_and_what_contradicts_it_stands_behind_it() -> None:
    text = as_text(DRAFT).replace("Mean density of the lungs: −827.3 HU. [s2]", "Mean density: −100 HU. [s2]")
    new = edited_draft(DRAFT, checked(text, DRAFT, judged("contradicted", "s2 says −827.3 HU")))
    claim = new.findings[1]
    assert claim.kind == "by a person"
    assert claim.evidence == ()  # nothing supports it
    assert claim.shown == "Mean density: −100 HU. [by a person, not verified: the evidence contradicts it]"
    assert new.findings[0] == DRAFT.findings[0]
    assert new.held_back == DRAFT.held_back
    assert "1 sentence by a person" in new.summary


@pytest.mark.parametrize(
    ("verdict", "note"),
    [
        ("supported", "by a person; agrees with the evidence"),
        ("not covered", "by a person, not verified: no evidence covers it"),
    ],
)
def test_every_sentence_of_a_person_says_what_the_evidence_says_of_it(verdict, note) -> None:
    text = as_text(DRAFT).replace("IMPRESSION\n", "IMPRESSION\nLarge lungs. [s2]\n")
    assert edited_draft(DRAFT, checked(text, DRAFT, judged(verdict))).impression[0].note == note


def test_a_sentence_that_was_only_moved_stays_the_tools_own() -> None:
    text = "IMPRESSION\nMean density of the lungs: −827.3 HU. [s2]\n"
    new = edited_draft(DRAFT, checked(text, DRAFT, never))
    assert new.impression == (DRAFT.findings[1],)
    assert new.findings == ()


def test_taking_another_source_makes_it_a_persons() -> None:
    text = as_text(DRAFT).replace("−827.3 HU. [s2]", "−827.3 HU. [s3]")
    assert edited_draft(DRAFT, checked(text, DRAFT, judged("supported"))).findings[1].kind == "by a person"


def test_templates_order_headings_and_keep_sentences() -> None:
    text = by_template(as_text(DRAFT), "With indication and comparison")
    assert [row for row in text.splitlines() if row.isupper()] == list(TEMPLATES["With indication and comparison"])
    assert "Volume of the lungs" in text
    text = text.replace("INDICATION\n", "INDICATION\nCough for two weeks.\n")
    new = edited_draft(DRAFT, checked(text, DRAFT, judged("not covered")))
    assert new.technique[0].text == "Indication: Cough for two weeks."
    assert new.technique[0].kind == "by a person"


def test_what_stands_before_any_heading_is_a_finding_and_nothing_is_lost() -> None:
    lines = lines_of("The heart is large.\nImpression:\n1. Large heart. Compare.\n")
    assert [(line.heading, line.text) for line in lines] == [
        ("FINDINGS", "The heart is large."), ("IMPRESSION", "Large heart."), ("IMPRESSION", "Compare."),
    ]  # fmt: skip


def test_changes_are_told_line_by_line() -> None:
    before = as_text(DRAFT)
    after = before.replace("−827.3", "−100").replace("Not examined by any tool: heart.\n", "")
    told = [(kind, row) for kind, row in changes(before, after) if kind != "same"]
    assert told == [
        ("removed", "Mean density of the lungs: −827.3 HU. [s2]"),
        ("added", "Mean density of the lungs: −100 HU. [s2]"),
        ("removed", "Not examined by any tool: heart."),
    ]


@given(st.text(max_size=300))
def test_any_text_can_be_edited_in(text) -> None:
    sentences = checked(text, DRAFT, judged("not covered"))
    new = edited_draft(DRAFT, sentences)
    assert len(new.claims()) == len(sentences)
