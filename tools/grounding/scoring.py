"""What a sentence makes of a model's scores: a score is no finding, and it lies on one side of its operating point."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from tools.grounding.agree import Problem, agrees
from tools.grounding.evidence import Evidence, Quantity, Status
from tools.grounding.numbers import NumberSaid, factor
from tools.grounding.phrasing import places_named
from tools.grounding.statement import Statement
from tools.grounding.structures import Named

_EXCLUDING = frozenset(
    {
        "excluded",
        "excludes",
        "exclude",
        "ruled out",
        "rules out",
        "absent",
        "absence",
        "negative",
        "free of",
        "free from",
    }
)

_NOT_EXCLUDING = re.compile(
    r"\b(?:none|not|nothing|cannot|neither|never|no)\b[^.;:,]{0,30}\b(?:exclude[sd]?|rule[sd]? out)\b"
    r"|\b(?:exclud(?:es?|ing)|rul(?:es?|ing) out) nothing\b",
    re.IGNORECASE,
)
_STATED = re.compile(
    r"\bthere(?:'s| (?:is|are|was|were))\b(?!\s+(?:\w+\s+){0,2}?(?:box|boxes|candidates?|detections?|hits?|labels?)\b)"
    r"|\bpatient has\b|\b(?:is|are) (?:present|seen|visible|evident)\b"
    r"|\bwith (?:an? )?(?:large|small)\b"
    r"|\b(?:box|boxes|candidates?)\s+(?:each\s+)?(?:contains?|holds?|encloses?|covers?|proves?)\b"
    r"|\b(?:film|image|scan|ct|mri?|radiograph|x-ray|study|exam\w*|patient|lungs?|chest)\s+"
    r"(?:shows?|demonstrates?|reveals?|exhibits?|depicts?|has|contains?)\b",
    re.IGNORECASE,
)
_NOT_FLAGGED = re.compile(r"\b(?:not|n't|never)\s+(?:flag|reach|exceed|meet|pass|surpass|cross)\w*\b", re.IGNORECASE)
_FLAGS = (
    r"flag(?:s|ged)?|detect(?:s|ed)?|identif(?:y|ies|ied)|finds?|found|picks?|picked|sees?|saw|seen|propos(?:es?|ed)|"
    r"locat(?:es?|ed)|localis(?:es?|ed)|select(?:s|ed)?|calls?|called|tag(?:s|ged)?|mark(?:s|ed)?"
)
_FLAGGED = re.compile(
    rf"\b(?:{_FLAGS})(?: up| out)?(?: (?:an?|the|some))? ¶(?!(?: (?:in|at|on) \w+)? (?:score|scores|scored)\b)"
    rf"|¶ (?:is|are|was|were|gets?|got|has been|have been) (?!not\b)(?:\w+ )?(?:{_FLAGS})\b"
    r"|\byes (?:for|to|on|in) ¶|¶[^;]{0,20}\bas (?:an? |one )?(?:hit|positive|finding)\b",
    re.IGNORECASE,
)
"""That a model counts a label as there, ¶ being the label."""
_BY_FAR = re.compile(r"\b(?:easily|comfortably|clearly|far|well|by far)\s+$", re.IGNORECASE)
FAR = 0.05  # a score less than this above its operating point does not clear it easily
_JOINED = re.compile(r"\s*(?:,|and|or|nor|as well as|,\s*and)\s*(?:the\s+)?", re.IGNORECASE)
_THE_ONLY = re.compile(r"\bthe\s+only\b|\bonly\s+ones?\b", re.IGNORECASE)
_SCORE_OF = re.compile(r"\bscores?\s+(?:is|are|was|were|of|for|belongs?|goes|went)\b", re.IGNORECASE)
"""A score is spoken of as such, not as what the model calls present."""
_EXTREME = re.compile(
    r"\b(?:(highest|top|best|better|maximum|largest|leading|(?:comes|ranks) first)|"
    r"(lowest|smallest|minimum|weakest|(?:comes|ranks) last))\b",
    re.IGNORECASE,
)


def score_problems(statement: Statement, found: Sequence[Evidence]) -> Iterator[Problem]:
    """Yield scores passed off as findings, and scores said to be on the wrong side of their operating point."""
    statuses = _statuses(found)
    if not statuses:
        return
    labels = [s for s in statement.structures if any(n in statuses for n in s.names)]
    if statement.not_examined and not labels:
        return  # "not examined: lines, tubes and devices" states nothing
    if (labels or statement.mentions) and not is_told_of_a_model(statement):
        name = labels[0].text if labels else statement.text[statement.mentions[0].start : statement.mentions[0].end]
        yield Problem("contradicted", f"a model's score for {name} is stated as a finding")
    if (labels or statement.mentions) and _STATED.search(statement.text) and not statement.not_found:
        yield Problem("contradicted", "a model's score is stated as a finding")
    yield from _order_problems(statement, found)
    yield from _extreme_problems(statement, found)
    yield from _only_problems(statement, labels, statuses)
    excluding = _EXCLUDING & set(statement.loaded["negation"])
    if excluding and not _NOT_EXCLUDING.search(statement.text):
        yield Problem("contradicted", f"“{min(excluding)}”: a score below its operating point excludes nothing")
    if statement.relations:
        yield from _relations(statement, labels, statuses, _margins(found))
    else:
        yield from _plain_scores(statement, labels, statuses)


def is_told_of_a_model(statement: Statement) -> bool:
    """Return whether a sentence says that a model speaks: in words, or by speaking of scores."""
    told = any(q.names[0] in ("score", "operating_point") for q in statement.quantities)
    return told or "model" in statement.attributed


def _margins(found: Sequence[Evidence]) -> dict[str, float]:
    """Return how far each score lies from its operating point."""
    rows = [(q.name, q.targets[0], q.value) for e in found for q in e.quantities if q.targets]
    points = {label: value for name, label, value in rows if name == "operating_point"}
    return {label: abs(value - points[label]) for name, label, value in rows if name == "score" and label in points}


def _relations(
    statement: Statement, labels: Sequence[Named], statuses: Mapping[str, Status], margins: Mapping[str, float]
) -> Iterator[Problem]:
    spared = found.group().lower() if (found := _NOT_EXCLUDING.search(statement.text)) else ""
    flips = any(word not in spared for word in statement.loaded["negation"])
    for relation in statement.relations:
        wanted: Status = "above" if (relation.names[0] == "above") is not flips else "below"
        for label in _labels_of(statement.text, relation, labels):
            if (status := statuses.get(label)) in ("above", "below") and status != wanted:
                yield Problem("contradicted", f"the score for {label} is {status} its operating point")
            elif _BY_FAR.search(statement.text, 0, relation.start) and margins.get(label, 1.0) < FAR:
                yield Problem(
                    "contradicted", f"the score for {label} lies {margins[label]:.2f} from its operating point"
                )
        if not labels and wanted == "below" and "above" in statuses.values():
            yield Problem("contradicted", "a score does reach its operating point")
        if not labels and wanted == "above" and "above" not in statuses.values():
            yield Problem("contradicted", "no score reaches its operating point")


def _plain_scores(statement: Statement, labels: Sequence[Named], statuses: Mapping[str, Status]) -> Iterator[Problem]:
    named = {statuses.get(n) for s in labels for n in s.names}
    if named <= {"below"} and (statement.not_found or _NOT_FLAGGED.search(statement.text)):
        return
    spared = found.group().lower() if (found := _NOT_EXCLUDING.search(statement.text)) else ""
    if any(word not in spared for word in statement.loaded["negation"]):
        if statement.numbers:
            yield Problem("contradicted", "it denies a score that the evidence holds")
        elif "above" in named:
            yield Problem("contradicted", f"the score for {labels[0].text} is above its operating point")
    elif flagged := _FLAGGED.search(statement.marked("¶", {label for label, s in statuses.items() if s == "below"})):
        said = flagged.group().replace("¶", "…").strip()
        yield Problem("contradicted", f"“{said}”: the score is below its operating point")
    elif (
        "below" in named
        and not statement.numbers
        and "scored" not in statement.attributed
        and not _SCORE_OF.search(statement.text)
    ):
        yield Problem("contradicted", f"the score for {labels[0].text} is below its operating point")


def _statuses(found: Sequence[Evidence]) -> dict[str, Status]:
    statuses: dict[str, Status] = {}
    for evidence in found:
        if not any(a.basis in ("score", "box") for a in evidence.assertions) and evidence.kind not in (
            "scores",
            "boxes",
        ):
            continue
        points = {q.targets[0]: q.value for q in evidence.quantities if q.name == "operating_point" and q.targets}
        for quantity in evidence.quantities:
            if quantity.name == "score" and quantity.targets:
                label = quantity.targets[0]
                above = quantity.value >= points[label] if label in points else None
                default: Status = "above" if evidence.kind == "boxes" else "unrated"
                statuses[label] = default if above is None else "above" if above else "below"
        statuses |= dict.fromkeys(evidence.not_found, "below")
    return statuses


def _labels_of(text: str, relation: Named, labels: Sequence[Named]) -> list[str]:
    """Return the labels that a relation is about: the nearest before it with what is joined to it, else all."""
    before = [s for s in labels if s.end <= relation.start]
    chosen = before[-1:] if before else list(labels)
    for label in reversed(before[:-1]):
        if not _JOINED.fullmatch(text, label.end, chosen[0].start):
            break
        chosen.insert(0, label)
    return [n for s in chosen for n in s.names]


def _order_problems(statement: Statement, found: Sequence[Evidence]) -> Iterator[Problem]:
    """Yield "the second box scores 0.83" where the second scores something else, and other numbers of another box."""
    boxes = [box for e in found for box in e.boxed]
    named = places_named(statement.text, len(boxes))
    edges = [*(start for _, start, _ in named), len(statement.text)]
    for (place, start, end), behind in zip(named, edges[1:], strict=True):
        for number in statement.numbers:
            if not end <= number.start < behind or _is_count_of_all(number):
                continue
            if not any(_is_number_of(number, box.numbers) for box in boxes[place : place + 1]):
                yield Problem("contradicted", f"{number.text} is not of “{statement.text[start:end]}”")


def _is_count_of_all(number: NumberSaid) -> bool:
    return not number.unit and number.step >= 1


def _is_number_of(number: NumberSaid, box: Sequence[float]) -> bool:
    unit = number.unit if number.unit == "mm" or factor(number.unit, "mm") is not None else ""
    return any(agrees(number, Quantity(value, "mm" if unit else "")) for value in box)


def _extreme_problems(statement: Statement, found: Sequence[Evidence]) -> Iterator[Problem]:
    """Yield "the highest score is 0.31" where another is higher."""
    scores = [q.value for e in found if e.kind in ("scores", "boxes") for q in e.quantities if q.name == "score"]
    for match in _EXTREME.finditer(statement.text) if scores else ():
        number = next((n for n in statement.numbers if n.start >= match.end() and not n.unit and n.step < 1), None)
        extreme = max(scores) if match.group(1) else min(scores)
        before = [n for s in statement.structures if s.end <= match.start() for n in s.names]
        if " " in match.group() and before and all(s != extreme for s in _scores_of(before[-1], found)):
            yield Problem("contradicted", f"“{match.group()}”: the score for {before[-1]} does not")
        elif number is not None and abs(extreme - number.value) > 0.5 * number.step + 1e-9:
            yield Problem("contradicted", f"{number.text} is not the {match.group().lower()} score")


def _scores_of(label: str, found: Sequence[Evidence]) -> list[float]:
    return [q.value for e in found for q in e.quantities if q.name == "score" and q.targets == (label,)]


def _only_problems(statement: Statement, labels: Sequence[Named], statuses: Mapping[str, Status]) -> Iterator[Problem]:
    """Yield "only X reaches its operating point" where others do."""
    only = re.search(r"\bonly\s+(?:the\s+)?", statement.text, re.IGNORECASE)
    is_of_labels = only is not None and any(0 <= s.start - only.end() <= 1 for s in labels)
    if not (is_of_labels or _THE_ONLY.search(statement.text)) or not statement.relations:
        return
    above = {label for label, status in statuses.items() if status == "above"}
    named = {n for s in labels for n in s.names}
    if all(r.names[0] == "above" for r in statement.relations) and named != above:
        yield Problem("contradicted", f"{', '.join(sorted(above)) or 'none'} reach the operating point")
