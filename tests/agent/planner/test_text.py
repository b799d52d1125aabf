"""Requests are taken apart where a new wish begins, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.planner.text import (
    Clause,
    asking,
    clauses,
    is_english,
    is_form,
    is_polite,
    joints,
    quoted,
    without_courtesy,
    written_out,
)


@pytest.mark.parametrize(
    ("request_text", "parts"),
    [
        (
            "Segment the lungs in this CT, measure their volume and mean density, find similar reports and draft "
            "findings and impression.",
            ["Segment the lungs in this CT", "measure their volume and mean density", "find similar reports",
             "draft findings and impression"],
        ),
        ("Find the carina and the aortic arch on this CT.", ["Find the carina and the aortic arch on this CT"]),
        ("Outline both kidneys and give me the volume.", ["Outline both kidneys", "give me the volume"]),
        ("Why did you say effusion? Show me where.", ["Why did you say effusion", "Show me where"]),
        ("What is this? Modality, size, spacing.", ["What is this: Modality, size, spacing"]),
        ("Box 'opacity, and then find a nodule'", ["Box 'opacity, and then find a nodule'"]),
        ("Save it as mask.nii.gz", ["Save it as mask.nii.gz"]),
        ("Resample to 1.5 mm", ["Resample to 1.5 mm"]),
    ],
)  # fmt: skip
def test_parts(request_text: str, parts: list[str]) -> None:
    assert [part.text for part in clauses(request_text)] == parts


@pytest.mark.parametrize(
    ("part", "done"),
    [
        ("correct the bias before skull stripping", ("correct the bias", "skull stripping")),
        ("segment the lungs after denoising the scan", ("denoising the scan", "segment the lungs")),
        ("outline the brain once the bias field is corrected", ("bias field is corrected", "outline the brain")),
    ],
)
def test_before_and_after_give_the_order_of_doing(part: str, done: tuple[str, str]) -> None:
    assert done in joints(part)


def test_conditions_stay_with_what_depends_on_them() -> None:
    assert clauses("If the volume is above 5 l, draft a report") == [
        Clause("draft a report", "If the volume is above 5 l")
    ]
    assert clauses("Measure the lungs; draft a report if the volume is above 5 l") == [
        Clause("Measure the lungs"),
        Clause("draft a report", "if the volume is above 5 l"),
    ]
    assert clauses("Segment the spleen and tell me if it is enlarged")[1].condition == ""


@given(st.text(max_size=300))
def test_any_text_can_be_taken_apart(text: str) -> None:
    for part in clauses(text):
        assert part.text.strip()


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("Segment the lungs", True),
        ("T1 MPRAGE, N4", True),
        ("Wie gross ist die Lunge?", False),
        ("Quelle est la taille du foie ?", False),
        ("请分割肺部", False),
        ("Сегментируй лёгкие", False),
        ("the patient's name is Müller, measure the liver", True),
        ("", True),
    ],
)
def test_language(text: str, english: bool) -> None:
    assert is_english(text) is english


def test_courtesy() -> None:
    assert is_polite("Hi, thanks!")
    assert not is_polite("Hi, lungs please")
    assert without_courtesy("N4 please") == "N4"
    assert without_courtesy("please") == "please"


def test_quotation() -> None:
    assert quoted("Box \u201cright hilar mass\u201d now") == "right hilar mass"
    assert quoted("the patient's lungs aren't 'that big'") == "that big"
    assert quoted("the patient's lungs") == ""


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("It would be lovely if you could shade the spleen so that our students see it.", ["shade the spleen"]),
        ("Our team wonders whether the heart is too big.", ["whether the heart is too big"]),
        ("Measure the spleen, and could you please save it as csv?", ["Measure the spleen", "save it as csv"]),
        ("Outline the liver before I send it on.", ["Outline the liver"]),
        ("MR head. Measure the brain.", ["Measure the brain"]),
        ("Segment the lungs if the volume is above 5 l.", ["Segment the lungs"]),
    ],
)
def test_what_stands_around_a_request_is_taken_off(said: str, asked: list[str]) -> None:
    assert [part.text for part in asking(said)] == asked


def test_abbreviations_are_written_out_for_comparison() -> None:
    assert written_out("spleen vol, prev reports") == "spleen volume, previous reports"
    assert is_form("want the boxes + scores")
    assert not is_form("want the lungs")
