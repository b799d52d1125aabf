"""What a sentence says of a change, against what was measured in both studies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tools.grounding.agree import Problem, agrees
from tools.grounding.dates import is_date_of
from tools.grounding.evidence import Evidence, Quantity, Trend
from tools.grounding.lexicon import dimension_of
from tools.grounding.numbers import NumberSaid, dates_in, unit_named
from tools.grounding.statement import Statement
from tools.grounding.structures import expand

_THAN_BEFORE = (
    r"\b(?:than|then)\b[^.;]*\b(?:before|prior|previous\w*|earlier|last|img\d+|it (?:was|used to)|"
    r"in (?:\w+ )?(?:19|20)\d\d)\b"
)
_BECAME = r"\b(?:is|are|now|g[eo]ts?|gotten|becomes?|became|turned|grown)\s+(?:\w+\s+)?"
_UP = re.compile(
    r"\b(?:increas\w+|grow[ns]?|grew|growth|growing|progress\w+|rose|risen|rises|gain\w*|doubled|tripled|expanded|"
    r"climb\w*|puts? on|(?:went|gone|going|up) (?:up|by)|up from|enlarged (?:since|by)|is up|are up)\b"
    rf"|\b(?:larger|bigger|greater|higher|more|longer)\b(?=[^.;,]*{_THAN_BEFORE})"
    rf"|{_BECAME}(?:larger|bigger|greater|higher|longer|wider)\b",
    re.IGNORECASE,
)
_DOWN = re.compile(
    r"\b(?:decreas\w+|shr[aiu]nk\w*|fell|fallen|falls|regress\w+|reduction|diminution|dropped|lost|halved|contracted|"
    r"declin\w*|reduc\w+|diminish\w*|shrinkage|(?:went|gone|came|going|down) (?:down|by)|"
    r"down (?:from|to)|is down|are down)\b"
    rf"|\b(?:smaller|lower|less|shorter)\b(?=[^.;,]*{_THAN_BEFORE})"
    rf"|{_BECAME}(?:smaller|lower|shorter|narrower)\b",
    re.IGNORECASE,
)
SAME = re.compile(
    r"(?:\b|(?=n't))(?:unchanged|stable|constant|stationary|persist\w+|(?:no|not|never|without|n't) "
    r"(?:\w+ ){0,2}?(?:chang\w*|grown?|growth|increased?|decreased?|difference|shr[iu]nk|progress\w*)|"
    r"the same|same as before|(?:remain|stay)(?:s|ed)?(?= (?:(?:at|about|around|roughly) )?[\d−-])|"
    r"(?:stay(?:s|ed)?|back) where|"
    r"(?:keeps?|keeping|kept|holds?|holding|held)(?= its)|"
    r"\d[\d.,]* ?\w+ (?:on|in|at) both (?:visits|studies|scans|dates|occasions))\b",
    re.IGNORECASE,
)
_NEW = re.compile(r"\b(?:new(?:ly)?|appeared|developed)\b", re.IGNORECASE)
_GONE = re.compile(r"\b(?:resolved|disappeared|vanished|gone(?! (?:up|down|by)))\b", re.IGNORECASE)
_TIMES = ((re.compile(r"\bdoubled\b", re.IGNORECASE), 2.0), (re.compile(r"\btripled\b", re.IGNORECASE), 3.0),
          (re.compile(r"\bhalved\b", re.IGNORECASE), 0.5))  # fmt: skip
_PRIOR_BEFORE = re.compile(
    r"(?:\(was|\b(?:previously|prior|before|earlier|formerly|from|against|versus|vs\.?|compared (?:with|to)))"
    r"(?:\W+(?:the|a|of|in|study|value|volume|diameter|was|it|measured)){0,3}\W*$",
    re.IGNORECASE,
)
_PRIOR_AFTER = re.compile(
    r"\s*(?:\w+\s+){0,2}?(?:previously|before\b|earlier|formerly|(?:in|on) the (?:prior|previous|earlier|older))",
    re.IGNORECASE,
)
_NOW_BEFORE = re.compile(r"\b(?:to|now|currently|today)(?:\W+(?:measures|is|at|of)){0,2}\W*$", re.IGNORECASE)
_NOW_AFTER = re.compile(r"\s*(?:now\b|currently|today|at present|in the current|on the current)", re.IGNORECASE)
_AGAINST = re.compile(r"\s*\W?\s*(?:versus|vs\.?|against|compared (?:with|to)|down from|up from)\W*$", re.IGNORECASE)
_BY_BEFORE = re.compile(r"\bby(?:\W+(?:about|roughly|around|approximately|some))?\W*$", re.IGNORECASE)
_EVERY = re.compile(r"\b(?:(?P<none>nothing|none|no)|all|every|each|everything)\b", re.IGNORECASE)
_CHANGED = re.compile(r"\bchang(?:ed?|es)\b", re.IGNORECASE)
_GAINED = re.compile(
    r"\b(?:gain|los[et]|puts? on|add|increas|decreas|grow|grew|shr[aiu]nk|rose|risen|fell|fallen|dropped|difference|"
    r"change)\w*"
    r"(?:\s+(?:of|is|was|in|about|around|roughly|approximately|some|nearly|almost|an|by))*\s*$",
    re.IGNORECASE,
)
_STUDY = r"(?:study|scan|exam\w*|ct|mri?|image|series|acquisition|visit)"
_STUDIES = (
    (
        "prior",
        re.compile(
            rf"(?<!than )\b(?:in|on|at) the (?:earlier|prior|previous|former|older|last|baseline) {_STUDY}\b",
            re.IGNORECASE,
        ),
    ),
    (
        "current",
        re.compile(rf"\b(?:in|on|at) (?:the (?:current|present|new|latest)|today's) {_STUDY}\b", re.IGNORECASE),
    ),
)
_AMOUNT = re.compile(
    r"\b(?:increase|decrease|difference|change|growth|gain|loss|shrinkage|reduction|rise|drop)\b[^;]*?"
    r"\b(?:amounts?|amounted|comes?|came|adds?|is|was|equals?|of)\b(?!.*\b(?:from|now)\b)",
    re.IGNORECASE,
)
_ONLY = re.compile(r"\bonly\s+(?:the\s+)?(?=\w)", re.IGNORECASE)
MULTIPLE = 0.1  # "doubled" may be a tenth off


def trend_problems(statement: Statement, found: Sequence[Evidence]) -> Iterator[Problem]:
    """Yield directions, and values of either study, that the measured changes do not have."""
    trends = [t for e in found for t in e.trends]
    if not trends:
        return
    text = statement.text
    same = [m.span() for m in SAME.finditer(text)]
    for pattern, sign in ((_UP, 1), (_DOWN, -1)):
        for match in pattern.finditer(text):
            if any(start <= match.start() < end for start, end in same):
                continue
            if not any(t.sign == sign for t in _concerned(statement, match.start(), trends)):
                yield Problem("contradicted", f"“{match.group()}”: no measured change goes that way")
    for pattern, statuses in ((SAME, {"unchanged"}), (_NEW, {"new"}), (_GONE, {"resolved"})):
        for match in pattern.finditer(text):
            if not any(t.status in statuses for t in _concerned(statement, match.start(), trends)):
                yield Problem("contradicted", f"“{match.group()}”: the measurements of both studies say otherwise")
    yield from _multiples(statement, trends)
    yield from _other_quantity(statement, trends)
    yield from _every(statement, trends)
    yield from _only(statement, trends)
    dated = tuple(
        (role, start)
        for e in found
        for role, day in e.dates
        for said, start, _ in dates_in(text)
        if is_date_of(said, day)
    )
    dated += tuple((role, m.start()) for role, pattern in _STUDIES for m in pattern.finditer(text))
    for number in statement.numbers:
        yield from _value(statement, number, trends, dated)


def _every(statement: Statement, trends: Sequence[Trend]) -> Iterator[Problem]:
    """Yield "all structures increased" and "nothing changed" where one of them did otherwise."""
    said = _EVERY.search(statement.text)
    if said is None or any(s.names for s in statement.structures):
        return
    for pattern, signs in ((_UP, {1}), (_DOWN, {-1}), (_CHANGED, {1, -1})):
        if not pattern.search(statement.text):
            continue
        wanted = {0} if said["none"] and pattern is _CHANGED else signs
        holds = all(t.sign in wanted for t in trends)
        if said["none"] and pattern is not _CHANGED:
            holds = all(t.sign not in signs for t in trends)
        if not holds:
            yield Problem("contradicted", f"“{said.group()}”: the measured changes do not all go that way")


def _other_quantity(statement: Statement, trends: Sequence[Trend]) -> Iterator[Problem]:
    """Yield a quantity whose change nobody measured: "the density increased" of a volume."""
    for said in statement.quantities if turns(statement.text) else ():
        wanted = dimension_of(said.names[0])
        held = {u.dimension for t in _concerned(statement, said.start, trends) if (u := unit_named(t.unit))}
        if wanted and held and wanted not in held:
            yield Problem("not covered", f"no change of the {said.text.lower()} was measured")


def _only(statement: Statement, trends: Sequence[Trend]) -> Iterator[Problem]:
    """Yield "only the spleen increased" where others did too."""
    said = _ONLY.search(statement.text)
    named = [s for s in statement.structures if said and 0 <= s.start - said.end() <= 1 and s.names]
    for pattern, sign in ((_UP, 1), (_DOWN, -1)) if named else ():
        moved = {t.target for t in trends if t.sign == sign}
        parts = expand(n for s in statement.structures for n in s.names)
        if pattern.search(statement.text) and any(not expand([t]) <= parts for t in moved):
            yield Problem("contradicted", f"“only”: the same is measured of {', '.join(sorted(moved))}")


def _multiples(statement: Statement, trends: Sequence[Trend]) -> Iterator[Problem]:
    for pattern, times in _TIMES:
        for match in pattern.finditer(statement.text):
            ratios = [
                t.current / t.prior for t in _concerned(statement, match.start(), trends) if t.current and t.prior
            ]
            if not any(abs(r - times) <= MULTIPLE * times for r in ratios):
                yield Problem("contradicted", f"“{match.group()}”: it did not change by that factor")


def _concerned(statement: Statement, position: int, trends: Sequence[Trend]) -> list[Trend]:
    """Return the changes that a word is about: of the nearest structure in its clause, else of all that are named."""
    start, end = statement.clause_of(position)
    named = [s for s in statement.structures if s.names]
    nearest = [s for s in named if start <= s.start < end] or named
    before = [s for s in nearest if s.start <= position][-1:] or nearest[:1]
    parts = expand(n for s in before for n in s.names)
    return [
        t for t in trends if not parts or expand([t.target]) & parts or t.target in {n for s in before for n in s.names}
    ]


def _value(
    statement: Statement, number: NumberSaid, trends: Sequence[Trend], dated: Sequence[tuple[str, int]]
) -> Iterator[Problem]:
    role = _role(statement, number, dated)
    unit = unit_named(number.unit)
    if unit is None:
        return
    held = [
        (t.prior if role == "prior" else t.current, t)
        for t in _concerned(statement, number.start, trends)
        if (other := unit_named(t.unit)) is not None and other.dimension == unit.dimension
    ]
    if number.text.startswith("+") and held and all(t.sign < 0 for _, t in held):
        yield Problem("contradicted", f"{number.text}: the measured change goes the other way")
    if not role:
        return
    if held and not any(v is not None and agrees(number, Quantity(v, t.unit), hedged=True) for v, t in held):
        yield Problem("contradicted", f"{number.text} is not the {role} value")


def _role(statement: Statement, number: NumberSaid, dated: Sequence[tuple[str, int]]) -> str:
    """Return "prior" or "current" where the words beside a number say which study it is of."""
    text = statement.text
    if _amounts(statement, number):
        return ""
    edge = max((n.end for n in statement.numbers if n.end <= number.start), default=0)
    following = min((n.start for n in statement.numbers if n.start >= number.end), default=len(text))
    before, after = text[edge : number.start], text[number.end : following]
    if edge and _NOW_AFTER.match(before) and "," in before:
        before = before.rpartition(",")[2]  # "17.3 mm today, 23.8 mm in December"
    if _AGAINST.match(after):
        return "current"
    if (
        _BY_BEFORE.search(before)
        or _GAINED.search(before)
        or re.match(r"\s*(?:more|less|larger|smaller|higher|lower)\b", after)
    ):
        return ""
    for role, cue in (
        ("prior", _PRIOR_AFTER.match(after)),
        ("current", _NOW_AFTER.match(after)),
        ("prior", _PRIOR_BEFORE.search(before)),
        ("current", _NOW_BEFORE.search(before)),
    ):
        if cue:
            return role
    return _dated(statement, number, dated)


def _amounts(statement: Statement, number: NumberSaid) -> bool:
    """Return whether a number is how much changed: "the increase amounts to 47.8 ml"."""
    start, _ = statement.clause_of(number.start)
    return bool(_AMOUNT.search(statement.text[start : number.start]))


def _dated(statement: Statement, number: NumberSaid, dated: Sequence[tuple[str, int]]) -> str:
    """Return of which study a number is by the date that its clause gives, or that is the only one beside it."""
    start, end = statement.clause_of(number.start)
    inside = {role for role, at in dated if start <= at < end}
    if len(inside) == 1:
        return inside.pop()
    roles = {role for role, _ in dated}
    return roles.pop() if len(roles) == len(statement.numbers) == 1 and not turns(statement.text) else ""


def turns(text: str) -> bool:
    """Return whether a text tells a change, whose number may be the difference or the later value."""
    return any(pattern.search(text) for pattern in (_UP, _DOWN, SAME, _NEW, _GONE))
