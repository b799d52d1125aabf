from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.sentences import MAX_SENTENCE_CHARS, sentence_key, split_sections, split_sentences


def quoted(text: str) -> list[str]:
    return [text[start:end] for start, end in split_sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Heart large. No effusion.", ["Heart large.", "No effusion."]),
        ("1. Cardiomegaly. 2. No effusion. 3.", ["Cardiomegaly.", "No effusion."]),
        ("Nodule of 1.5 cm. Seen by Dr. Smith today.", ["Nodule of 1.5 cm.", "Seen by Dr. Smith today."]),
        ("No effusion.The heart is large.", ["No effusion.", "The heart is large."]),
        ("- Clear lungs\n- Large heart", ["Clear lungs", "Large heart"]),
        ("Effusion; edema..", ["Effusion;", "edema.."]),
        ("", []),
        (" . 12 ", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert quoted(text) == expected


def test_text_without_stops_is_cut() -> None:
    found = split_sentences("word " * 2000)

    assert max(end - start for start, end in found) <= MAX_SENTENCE_CHARS
    assert sum(end - start for start, end in found) > 9000


@given(st.text(max_size=500))
def test_sentences_lie_in_order_and_apart(text: str) -> None:
    position = 0
    for start, end in split_sentences(text):
        assert position <= start < end <= len(text)
        position = end


@given(st.text(max_size=300))
def test_sections_lie_in_order_and_apart(text: str) -> None:
    position = 0
    for section in split_sections(text):
        assert position <= section.start < section.end <= len(text)
        position = section.end


def test_equal_sentences_share_a_key() -> None:
    assert sentence_key("The Heart is large.") == sentence_key("the heart is large") == "the heart is large"
