"""Findings that a sentence states, against what reports of this patient and models say of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from knowledge.findings import Mention, analyse
from knowledge.vocabulary import load_vocabulary
from tools.grounding.agree import Problem
from tools.grounding.evidence import Assertion, Evidence
from tools.grounding.lexicon import lexicon, plain_words
from tools.grounding.lookup import sentences_of, sides_of
from tools.grounding.numbers import numbers_in
from tools.grounding.statement import Statement
from tools.grounding.trends import turns

_DOUBTED = re.compile(
    r"\s+(?:(?:is|was|as|to|be|considered)\s+){0,3}(?:possible|probable|likely|suspected)\b", re.IGNORECASE
)
_WORD = re.compile(r"[^\W\d_][\w'-]*")


def finding_problems(statement: Statement, found: Sequence[Evidence]) -> Iterator[Problem]:
    """Yield findings that no evidence of this patient states in the same way."""
    if statement.not_examined:
        return
    for mention in statement.mentions:
        words = statement.text[mention.start : mention.end]
        if _is_compared_elsewhere(mention, words, statement, found):
            continue
        said = [a for e in found for a in e.assertions if _is_same(a.finding, mention.finding)]
        if not said:
            if any(e.source == "other report" for e in found):
                yield Problem("contradicted", f"“{words}” is from a report of another patient")
            elif not any(e.targets and words.lower().replace(" ", "_") in e.targets for e in found):
                yield Problem("not covered", f"no tool of this reading looked for “{words}”")
            continue
        reported = [a for a in said if a.basis == "report"]
        doubted = replace(mention, assertion="uncertain") if _DOUBTED.match(statement.text, mention.end) else mention
        if reported and not any(_agrees(doubted, a) for a in reported):  # "considers pneumonia possible"
            yield Problem("contradicted", f"“{words}”: the report says {_described(reported[0])}")


def _is_compared_elsewhere(mention: Mention, words: str, statement: Statement, found: Sequence[Evidence]) -> bool:
    """Return whether what reads like a finding is a quality, a change or a vain search: they have other checks."""
    if mention.finding == "technical_limitation" and any(e.ratings for e in found):
        return True
    if any(e.trends for e in found) and turns(words):
        return True
    return statement.not_found and words.lower().startswith(("nothing", "none"))


def report_supports(statement: Statement, report: Evidence) -> bool:
    """Return whether one sentence of this patient's report says all that a statement says, in the same way."""
    wanted = {w for w in _content(statement.text) if w not in lexicon()["attribution"]["quote"]}
    if not wanted:
        return False
    for sentence in sentences_of(report.text):
        if not wanted <= set(_content(sentence)):
            continue
        theirs = {(m.finding, m.assertion, sides_of(m.modifiers)) for m in analyse(sentence).mentions}
        ours = {(m.finding, m.assertion, sides_of(m.modifiers)) for m in statement.mentions}
        if any(date.lower() not in sentence.lower() for date in statement.dates):
            continue
        held = {(n.value, n.unit) for n in numbers_in(sentence)}
        if (
            ours <= theirs
            and {(n.value, n.unit) for n in statement.numbers} <= held
            and _same_loaded(statement, sentence)
        ):
            return True
    return False


def _same_loaded(statement: Statement, sentence: str) -> bool:
    """A negation or doubt that is left out would turn what the report says."""
    from tools.grounding.statement import read_statement

    theirs = read_statement(sentence).loaded
    return all(set(theirs[g]) == set(statement.loaded[g]) for g in ("negation", "uncertain", "certain"))


def _content(text: str) -> list[str]:
    return [w.lower() for w in _WORD.findall(text) if w.lower() not in plain_words() and len(w) > 1]


def _is_same(theirs: str, ours: str) -> bool:
    return theirs == ours or ours in load_vocabulary().broader(theirs)


def _agrees(mention: Mention, said: Assertion) -> bool:
    sides = sides_of(mention.modifiers)
    return mention.assertion == said.status and (not sides or sides == said.sides)


def _described(said: Assertion) -> str:
    sides = " and ".join(sorted(said.sides))
    return f"{said.status}{f' on the {sides}' if sides else ''} (“{said.sentence[:80]}”)"
