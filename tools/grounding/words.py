"""Words that turn what a sentence says, and words that nothing in the evidence stands behind."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from tools.grounding.agree import Problem, Verdict
from tools.grounding.evidence import Evidence
from tools.grounding.statement import Statement, lexicon

_COMPARES = frozenset(
    {"greater than", "more than", "less than", "higher than", "lower than", "fewer than", "exceeds", "exceed",
     "exceeding", "exceeded", "surpasses"}
)  # fmt: skip
_SAID_OF_NOTHING = frozenset({"disease", "abnormality", "abnormalities", "abnormal"})


@cache
def _region_words() -> frozenset[str]:
    """Return the words by which a report names what was not examined."""
    path = Path(__file__).parents[1] / "drafting" / "regions.toml"
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return frozenset(
        re.findall(r"[a-z-]+", " ".join(s["name"].lower() for r in table.values() for s in r["structures"]))
    )


def word_problems(statement: Statement, found: Sequence[Evidence]) -> Iterator[Problem]:
    """Yield negations, doubts, judgements and words that the evidence does not hold."""
    loaded = statement.loaded
    has_scores = any(a.basis in ("score", "box") for e in found for a in e.assertions)
    is_scoring = has_scores and "model" in statement.attributed
    if loaded["negation"] and not (statement.not_found or statement.not_examined or is_scoring):
        speaks = bool(statement.numbers or statement.structures) and not statement.mentions
        verdict: Verdict = "contradicted" if speaks else "not covered"
        yield Problem(verdict, f"“{loaded['negation'][0]}” denies, and the evidence denies nothing of the kind")
    if loaded["uncertain"]:
        yield Problem("contradicted", f"“{loaded['uncertain'][0]}” doubts what the evidence states")
    if loaded["certain"]:
        yield Problem("not covered", f"“{loaded['certain'][0]}” concludes more than the evidence states")
    unjudged = _SAID_OF_NOTHING | _region_words() if statement.not_examined else frozenset()
    judged = [w for w in loaded["normality"] if w not in unjudged]
    if judged:
        yield Problem("not covered", f"no tool judged what is “{judged[0]}”")
    yield from _bounds(statement, found)
    known = frozenset().union(*(e.words for e in found)) if found else frozenset()
    unknown = [w for w in statement.rest if w not in known and w.removesuffix("'s") not in known]
    if has_scores or any(e.is_opinion for e in found):
        unknown = [w for w in unknown if w.removesuffix("'s") not in lexicon()["attribution"]["model"]]
    if statement.not_examined:
        unknown = [w for w in unknown if w not in _region_words()]
    if unknown:
        yield Problem("not covered", f"nothing in the evidence speaks of “{unknown[0]}”")


def _bounds(statement: Statement, found: Sequence[Evidence]) -> Iterator[Problem]:
    """Yield "more than 3 l": a measurement is a value; only a score stands against a bound."""
    points = {q.value for e in found for q in e.quantities if q.name == "operating_point"}
    for relation in statement.relations:
        if (
            relation.text.lower() in _COMPARES
            and not points
            and not any(n.start >= relation.end for n in statement.numbers)
        ):
            yield Problem("not covered", f"“{relation.text}” compares, and no tool compared")
        following = next((n for n in statement.numbers if 0 <= n.start - relation.end <= 2), None)
        if following is not None and following.value not in points and following.joined == "":
            yield Problem("not covered", f"“{relation.text} {following.text}” is a bound, the evidence holds values")
