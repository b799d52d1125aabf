"""Sentences on every kind of evidence, written before they were tried; tests/evals/README.md has the first readings."""

from __future__ import annotations

from pathlib import Path

import pytest

from knowledge.findings import analyse
from tests.tools.grounding.many_kinds import MANY_KINDS
from tests.tools.grounding.readings import ABDOMEN, NODULES, OPACITY
from tools.grounding import judge

EVALS = Path(__file__).parents[2] / "evals"


def read(name: str) -> list[tuple[bool, list[str], str]]:
    lines = (EVALS / name).read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    return [(truth == "T", ids.split(","), text) for truth, ids, text in rows]


SETS = (
    ("sentences_first.tsv", MANY_KINDS),
    ("sentences_second.tsv", MANY_KINDS),
    ("sentences_third.tsv", MANY_KINDS),
    ("sentences_fourth.tsv", NODULES),
    ("sentences_fifth.tsv", ABDOMEN),
    ("sentences_sixth.tsv", OPACITY),
    ("sentences_seventh.tsv", OPACITY),
    ("sentences_eighth.tsv", ABDOMEN),
    ("sentences_ninth.tsv", NODULES),
    ("sentences_tenth.tsv", OPACITY),
    ("sentences_eleventh.tsv", MANY_KINDS),
)


@pytest.mark.parametrize(("name", "reading"), SETS, ids=[name for name, _ in SETS])
def test_true_sentences_pass_and_false_ones_do_not(name, reading) -> None:
    """What is known of these sets has been mended since, so that this test only says that it stays so."""
    evidence = reading.evidence()
    wrong: dict[bool, list[str]] = {True: [], False: []}
    cases = read(name)
    for is_true, ids, text in cases:
        if (judge(text, [evidence[i] for i in ids]).verdict == "supported") is not is_true:
            wrong[is_true].append(text)
    assert len(wrong[True]) <= 0.06 * sum(is_true for is_true, _, _ in cases), wrong[True]
    assert len(wrong[False]) <= 0.02 * sum(not is_true for is_true, _, _ in cases), wrong[False]


def test_the_verb_notes_denies_nothing() -> None:
    """The plural of the trigger "not" was matched as "notes"."""
    (mention,) = analyse("The report notes cardiomegaly.").mentions
    assert mention.assertion == "present"
