"""Sentences against their evidence."""

from __future__ import annotations

import pytest

from tests.tools.grounding.one_reading import three_scores
from tools.claims import claims_of, readable, shown
from tools.drafting.wording import says_the_same
from tools.grounding import Evidence, Quantity, judge, problem_with, quantities_in
from tools.grounding.lookup import of_artifact
from tools.results import Claim, MaskEntry, Masks
from tools.workspace import Artifact, Provenance

KNOWN = {
    "s2": Evidence((Quantity(3694.4, "ml"), Quantity(-812.34, "HU"), Quantity(52.25, "mm"))),
    "CXR1": Evidence(text="FINDINGS: The heart is normal. No pleural effusion."),
}


def problem(text: str, *evidence: str, kind: str = "measured") -> str | None:
    return problem_with(Claim(text=text, evidence=evidence, kind=kind), KNOWN.get)


@pytest.mark.parametrize(
    "text",
    [
        "The volume is 3,694 ml.",
        "The volume is 3694 ml.",
        "The volume is 3.7 l.",
        "The volume is 3.69 l.",
        "The mean density is −812 HU.",
        "The mean density is -812.3 HU.",
        "The diameter is 5.2 cm.",
        "The diameter is 52 mm.",
        "It was outlined and measured.",
    ],
)
def test_a_true_number_passes_after_rounding_and_conversion(text) -> None:
    assert problem(text, "s2") is None


@pytest.mark.parametrize(
    "text",
    [
        "The volume is 3.9 l.",
        "The volume is 3,695 ml.",
        "The volume is 3,694 mm.",
        "The mean density is 812 HU.",
        "The diameter is 53 mm.",
        "The diameter is 5.2 mm.",
        "It is 17 cm long.",
    ],
)
def test_a_false_number_or_unit_is_caught(text) -> None:
    assert "no cited evidence holds the value" in problem(text, "s2")


def test_evidence_must_exist_and_be_named() -> None:
    assert problem("The volume is 3,694 ml.", "s9") == "it cites 's9', which does not exist"
    assert problem("The volume is large.") == "it cites no evidence"
    assert problem("Research use only.", kind="general") is None


def test_a_quote_must_be_word_for_word() -> None:
    assert problem("A report says: “No pleural effusion.”", "CXR1", kind="quoted") is None
    assert "not in the cited report" in problem("A report says: “Pleural effusion.”", "CXR1", kind="quoted")


def test_numbers_in_data_keep_their_unit() -> None:
    data = {
        "rows": [{"value": 12.5, "unit": "ml", "mask": "s1"}],
        "spacing_mm": [0.7, 2.5],
        "summary": "3 of 4",
        "ok": True,
    }
    found = set(quantities_in(data))
    assert {Quantity(12.5, "ml"), Quantity(0.7, "mm"), Quantity(2.5, "mm"), Quantity(3.0), Quantity(4.0)} <= found
    assert len(found) == 5


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (3694.4, "ml", "3,694 ml"),
        (-812.34, "HU", "−812.3 HU"),
        (52.25, "mm", "52.2 mm"),
        (0.0321, "ml", "0.032 ml"),
        (512.6, "ml", "513 ml"),
    ],
)
def test_values_are_shown_with_the_digits_a_reader_needs_and_verify(value, unit, text) -> None:
    assert shown(value, unit) == text
    claim = Claim(text=f"It is {text}.", evidence=("x",), kind="measured")
    assert problem_with(claim, lambda _: Evidence((Quantity(value, unit),))) is None


def test_a_ratio_says_what_is_divided_by_what() -> None:
    row = {"target": "lung_left", "quantity": "volume_ratio", "value": 0.857, "unit": "", "image": "img1", "mask": "s1"}
    row |= {"spacing_source": "", "method": "volume of lung_left ÷ volume of lung_right"}
    made = Provenance(tool="measure", tool_version="0", params={}, inputs=())
    data = {"summary": "x", "rows": [row]}
    (claim,) = claims_of(Artifact(id="s2", kind="measurements", summary="x", data=data, provenance=made))
    assert claim.text == "Volume ratio, volume of lung left ÷ volume of lung right: 0.857."


def test_class_names_are_shown_in_words() -> None:
    assert readable("kidney_left") == "left kidney"
    assert readable("lung_upper_lobe_right") == "right lung upper lobe"


@pytest.mark.parametrize(
    ("reworded", "same"),
    [
        ("Left lung volume measures 1,712 ml.", True),
        ("The left lung has a volume of 1,713 ml.", False),
        ("The right lung has a volume of 1,712 ml.", False),
        ("The left lung has a normal volume of 1,712 ml.", False),
        ("The left lung has a volume of 1,712 ml without nodules.", False),
    ],
)
def test_a_reworded_sentence_may_not_change_what_is_said(reworded, same) -> None:
    assert says_the_same("Volume of the left lung: 1,712 ml.", reworded) is same


def test_a_tools_own_summary_may_count_and_nobody_else_may_use_its_count() -> None:
    masks = Masks(
        summary="Outlined 3 of 104 structures.",
        image="img1",
        masks=(MaskEntry(target="liver", file="l.nii.gz", voxels=9),),
    )
    made = Provenance(tool="segment", tool_version="0", params={}, inputs=("img1",))
    data = masks.model_dump(mode="json")
    evidence = of_artifact(Artifact(id="s1", kind="mask", summary=masks.summary, data=data, provenance=made), {})
    said = Claim(text=masks.summary, evidence=("s1",), kind="described")
    assert problem_with(said, {"s1": evidence}.get) is None
    used = Claim(text="The liver has 104 voxels.", evidence=("s1",), kind="described")
    assert problem_with(used, {"s1": evidence}.get) is not None


def test_what_was_not_examined_is_no_score_told_as_a_finding() -> None:
    """The word "devices" names findings too; the sentence states none."""
    text = "Not examined by any tool: devices, airways."
    assert judge(text, [three_scores()], "not examined").verdict == "supported"
    assert judge("Tubes and devices are seen.", [three_scores()]).verdict == "contradicted"
