from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.context import assertion_of, load_context
from knowledge.findings import Analysis, analyse
from knowledge.patterns import compile_pattern
from knowledge.query import understand
from knowledge.vocabulary import Vocabulary, load_vocabulary

LABELLED = [
    line.split("\t")
    for line in (Path(__file__).parent / "data" / "assertions.tsv").read_text(encoding="utf-8").splitlines()
]


@pytest.mark.parametrize(("sentence", "phrase", "assertion"), LABELLED)
def test_assertion_of_labelled_sentences(sentence: str, phrase: str, assertion: str) -> None:
    text = sentence.lower()
    start = text.index(phrase)

    assert assertion_of(start, start + len(phrase), load_context().scopes(text)) == assertion


def stated(text: str) -> dict[str, str]:
    return {mention.finding: mention.assertion for mention in analyse(text).mentions}


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("The heart is not significantly enlarged.", {"cardiomegaly": "absent"}),
        ("Heart size is upper limits of normal.", {"borderline_heart": "present"}),
        (
            "Calcified granuloma in the right lung, no effusion.",
            {"calcified_granuloma": "present", "pleural_effusion": "absent"},
        ),
        ("Nodule that is not calcified.", {"calcified_nodule": "absent", "nodule": "present"}),
        ("Lungs not fully expanded.", {"hypoinflation": "present"}),
        ("Bullous emphysema.", {"bullous_emphysema": "present"}),
        ("A small pericardial effusion.", {"pericardial_effusion": "present"}),
        ("Subcutaneous emphysema of the neck.", {"subcutaneous_emphysema": "present"}),
        ("Degenerative changes of the thoracic spine.", {"thoracic_spine_degeneration": "present"}),
        ("Thank you for this referral.", {}),
    ],
)
def test_findings_of_a_sentence(sentence: str, expected: dict[str, str]) -> None:
    assert stated(sentence) == expected


def test_modifiers_go_to_their_finding() -> None:
    text = "Heart size is mildly enlarged, with small left pleural effusion and right basilar atelectasis."
    found = {mention.finding: set(mention.modifiers) for mention in analyse(text).mentions}

    assert found["cardiomegaly"] == {"severity:mild"}
    assert {"laterality:left", "severity:mild"} <= found["pleural_effusion"]
    assert found["atelectasis"] == {"laterality:right", "location:base"}


def test_offsets_quote_the_sentence() -> None:
    text = "There is BILATERAL pleural effusion."
    mention = analyse(text).mentions[0]

    assert text[mention.start : mention.end] == "pleural effusion"


@given(st.text(max_size=300))
def test_any_text_is_analysed_and_read_back(text: str) -> None:
    analysis = analyse(text)

    assert Analysis.from_json(analysis.to_json()) == analysis
    for mention in analysis.mentions:
        assert 0 <= mention.start < mention.end <= len(text.lower())


@pytest.mark.parametrize(
    ("query", "present", "absent", "normal"),
    [
        ("effusion without cardiomegaly", ["pleural_effusion"], ["cardiomegaly"], False),
        ("pleural effusion but a normal heart size", ["pleural_effusion"], ["cardiomegaly"], False),
        ("completely normal chest radiograph", [], [], True),
        ("nothing wrong on the chest film", [], [], True),
        ("normal", [], [], True),
        ("normal heart size", [], ["cardiomegaly"], False),
        ("enlarged heart", ["cardiomegaly"], [], False),
        ("fluid around the lung", ["pleural_effusion"], [], False),
        ("collapsed lung bases", ["atelectasis"], [], False),
        ("chronic obstructive pulmonary disease", ["copd"], [], False),
        ("old rib fractures", ["rib_fracture"], [], False),
        ("scoliosis without degenerative changes", ["scoliosis"], ["degenerative_change"], False),
        ("quarterly sales figures", [], [], False),
    ],
)
def test_queries_are_understood(query: str, present: list[str], absent: list[str], normal: bool) -> None:
    found = understand(query)

    assert [wanted.finding for wanted in found.present] == present
    assert list(found.absent) == absent
    assert found.normal == normal


def test_a_query_with_or_wants_either() -> None:
    assert understand("pneumonia or atelectasis").either
    assert not understand("pneumonia and atelectasis").either


def test_left_over_is_no_side() -> None:
    assert understand("metal clips left from an operation").present[0].modifiers == ()
    assert understand("left pleural effusion").present[0].modifiers[0] == "laterality:left"


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("effusion", ["effusion", "effusions"], ["effusionx", "transfusion"]),
        ("opacity", ["opacity", "opacities"], ["opacit"]),
        ("atelecta*", ["atelectasis", "atelectatic"], ["telecta"]),
        (
            "(heart|cardiac) .. enlarged",
            ["heart is mildly enlarged", "cardiac enlarged"],
            ["heart is normal, liver enlarged"],
        ),
        ("(lung)? volume", ["lung volume", "volumes"], ["lung"]),
        ("fluid .. (pleural)? space", ["fluid in the pleural space", "fluid in space"], ["fluid space x"[:5]]),
        ("x ray", ["x-ray", "x ray", "x/ray"], ["xray"]),
    ],
)
def test_pattern_language(pattern: str, matching: list[str], other: list[str]) -> None:
    compiled = compile_pattern(pattern)

    assert [text for text in matching if not compiled.search(text)] == []
    assert [text for text in other if compiled.search(text)] == []


def test_every_pattern_finds_its_own_plain_words() -> None:
    """A wording without pattern signs must name its finding, or one that means the same words more exactly."""
    import tomllib

    table = tomllib.loads((Path(__file__).parents[2] / "knowledge" / "findings.toml").read_text(encoding="utf-8"))
    vocabulary = load_vocabulary()
    lost = []
    for name, entry in table.items():
        for pattern in [*entry["patterns"], *entry.get("lay", [])]:
            if not set(pattern) & set("(*?.|\\"):
                named = {naming.finding for naming in vocabulary.name_findings(pattern)}
                wider = {broader for found in named for broader in vocabulary.broader(found)}
                if name not in named | wider:
                    lost.append((name, pattern, named))
    assert lost == []


def test_a_vocabulary_with_an_unknown_parent_is_refused() -> None:
    with pytest.raises(ValueError, match=r"is_a must name findings of the table, got \['b'\]"):
        Vocabulary({"a": {"name": "a", "patterns": ["a"], "is_a": ["b"]}})


def test_no_word_list_names_a_heading_or_a_report() -> None:
    """The answer key of the evaluation must not creep into the vocabulary: no report id, no heading syntax."""
    import re

    text = (Path(__file__).parents[2] / "knowledge" / "findings.toml").read_text(encoding="utf-8")
    assert not re.search(r"CXR\d|/lung/|/base|catheters, indwelling|pulmonary atelectasis|fractures, bone", text)
