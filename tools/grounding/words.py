"""Words that turn what a sentence says, and words that nothing in the evidence stands behind."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from tools.grounding.agree import JUST, NEAR, Problem, Verdict, defines, value_in
from tools.grounding.evidence import Evidence
from tools.grounding.lexicon import lexicon
from tools.grounding.phrasing import SPREADS
from tools.grounding.rating import rated_words, rating_problems
from tools.grounding.scoring import is_told_of_a_model
from tools.grounding.statement import Statement
from tools.grounding.stems import stem
from tools.grounding.structures import Named
from tools.grounding.trends import SAME

_COMPARES = frozenset(
    {"greater than", "more than", "less than", "higher than", "lower than", "fewer than", "exceeds", "exceed",
     "exceeding", "exceeded", "surpasses"}
)  # fmt: skip
_BEHIND = re.compile(
    r"\s*(?:at (?:most|least)|or (?:more|less|above|below|over|under)|maximum|minimum)\b", re.IGNORECASE
)
_SUMMING = re.compile(r"\b(?:adds?|added|sums?|amounts?|comes?|totals?)\s+$", re.IGNORECASE)
_JUDGED = re.compile(r"\s+(?:the )?(?:average|normal|expected|usual|reference)\b", re.IGNORECASE)
_BEFORE = re.compile(r"[^.;]*\b(?:before|prior|previous\w*|earlier|last)\b", re.IGNORECASE)
_MARKED_AS = re.compile(
    r"\bmarked\s+(?:an?|the|one|two|three|four|five|\d+|as|this|these|it|by|on|in|with|at)\b", re.IGNORECASE
)
_COULD_DO = re.compile(
    r"\bcould\s+(?:be\s+)?(?:outlin|segment|measur|delineat|determin|comput|find|found|detect|locat|identif)", re.I
)
_IN_VAIN = frozenset({"empty", "zero", "vain", "unsuccessful", "unsuccessfully", "missing"})
_PROPOSES = re.compile(r"\b(?:detector|model|network|algorithm|tool|ai|classifier|software)\s+suggest(?:s|ed)?\b", re.I)
_SIZES = frozenset({"larger", "smaller", "reduced", "diminished"})
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
    is_scoring = has_scores and is_told_of_a_model(statement)
    rated = rated_words(found)
    yield from rating_problems(statement, found)
    if loaded["negation"] and not (
        statement.not_found or statement.not_examined or is_scoring or _tells_stable(statement, found)
    ):
        speaks = bool(statement.numbers or statement.structures) and not statement.mentions
        verdict: Verdict = "contradicted" if speaks else "not covered"
        yield Problem(verdict, f"“{loaded['negation'][0]}” denies, and the evidence denies nothing of the kind")
    doubting = [
        w
        for w in loaded["uncertain"]
        if w not in rated and not (w == "could" and (statement.not_found or _COULD_DO.search(statement.text)))
    ]
    if _PROPOSES.search(statement.text) and has_scores:
        doubting = [w for w in doubting if not w.startswith("suggest")]
    if doubting:
        yield Problem("contradicted", f"“{doubting[0]}” doubts what the evidence states")
    if loaded["certain"]:
        yield Problem("not covered", f"“{loaded['certain'][0]}” concludes more than the evidence states")
    unjudged = _SAID_OF_NOTHING | _region_words() if statement.not_examined else frozenset()
    judged = [w for w in loaded["normality"] if w not in unjudged | rated]
    if any(e.trends for e in found):
        sizes = _SIZES | ({"enlarged"} if " enlarged by " in statement.text else set())
        judged = [w for w in judged if w not in sizes]  # "smaller than before": trends have been compared
    if _MARKED_AS.search(statement.text):
        judged = [w for w in judged if w != "marked"]  # a verb
    if judged:
        yield Problem("not covered", f"no tool judged what is “{judged[0]}”")
    yield from _bounds(statement, found)
    if unknown := _unknown_words(statement, found, has_scores=has_scores):
        yield Problem("not covered", f"nothing in the evidence speaks of “{unknown[0]}”")


def _tells_stable(statement: Statement, found: Sequence[Evidence]) -> bool:
    """Return whether the only denial is that something changed: that has been compared."""
    return any(e.trends for e in found) and len(statement.loaded["negation"]) == 1 and bool(SAME.search(statement.text))


def _unknown_words(statement: Statement, found: Sequence[Evidence], *, has_scores: bool) -> list[str]:
    """Return the words that neither the evidence nor lexicon.toml has."""
    rated = rated_words(found)
    known = frozenset().union(*(e.words for e in found)) if found else frozenset()
    stems = {stem(w) for w in known}
    unknown = [w for w in statement.rest if stem(w.removesuffix("'s")) not in stems and w not in rated]
    if has_scores or any(e.is_opinion for e in found):
        model = lexicon()["attribution"]["model"]
        unknown = [w for w in unknown if w.removesuffix("'s").removesuffix("-wise") not in model]
    if has_scores:
        unknown = [w for w in unknown if w not in lexicon()["plain_of"]["scores"]]
    if any(e.trends for e in found):  # how it went has been compared
        unknown = [w for w in unknown if w not in lexicon()["plain_of"]["changes"]]
    if statement.not_found:
        unknown = [w for w in unknown if w not in _IN_VAIN]
    if statement.not_examined:
        unknown = [w for w in unknown if w not in _region_words()]
    return unknown


def _bounds(statement: Statement, found: Sequence[Evidence]) -> Iterator[Problem]:
    """Yield "more than 3 l": a measurement is a value; only a score stands against a bound."""
    points = {q.value for e in found for q in e.quantities if q.name == "operating_point"}
    trends = any(e.trends for e in found)
    for number in statement.numbers:
        if bound := _BEHIND.match(statement.text, number.end):
            yield Problem("not covered", f"“{number.text}{bound.group()}” is a bound, the evidence holds values")
    for relation in statement.relations:
        if _gives_a_value(statement, relation):
            continue
        if trends and _BEFORE.match(statement.text, relation.end):
            continue
        if judged := _JUDGED.match(statement.text, relation.end):
            yield Problem("not covered", f"“{relation.text}{judged.group()}” judges, and no tool did")
            continue
        if near := JUST.search(statement.text, 0, relation.start):
            yield from _near(statement, relation, near.group(), found)
            continue
        if (
            relation.text.lower() in _COMPARES
            and not points
            and not any(n.start >= relation.end for n in statement.numbers)
        ):
            yield Problem("not covered", f"“{relation.text}” compares, and no tool compared")
        following = next((n for n in statement.numbers if 0 <= n.start - relation.end <= 2), None)
        if (
            following is not None
            and not defines(following, statement)
            and following.value not in points
            and following.joined == ""
        ):
            yield Problem("not covered", f"“{relation.text} {following.text}” is a bound, the evidence holds values")


def _gives_a_value(statement: Statement, relation: Named) -> bool:
    """Return whether a word of comparison gives a value: "reached 0.66", "add up to 311 ml", "extends over 6 mm"."""
    word = relation.text.lower()
    spreads = word == "over" and SPREADS.search(statement.text, 0, relation.start)
    sums = _SUMMING.search(statement.text, 0, relation.start)
    return bool(word.startswith(("reach", "positive")) or spreads or sums)


def _near(statement: Statement, relation: Named, how: str, found: Sequence[Evidence]) -> Iterator[Problem]:
    """Yield "just under 2 litres" where the value lies on the other side; that it lies near was checked already."""
    number = next((n for n in statement.numbers if 0 <= n.start - relation.end <= 2), None)
    if number is None:
        return
    held = [
        v for e in found for q in e.quantities
        if (v := value_in(number, q)) is not None and abs(v - number.value) <= NEAR * abs(number.value)
    ]  # fmt: skip
    wanted = 1 if relation.names[0] == "above" else -1
    if held and not any((v - number.value) * wanted >= 0 for v in held):
        text = f"{how.strip()} {relation.text} {number.text}"
        yield Problem("contradicted", f"“{text}”: the measured value lies on the other side")
