"""What a sentence makes of a model's scores: a score is no finding, and it lies on one side of its operating point."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from tools.grounding.agree import Problem
from tools.grounding.evidence import Evidence, Status
from tools.grounding.statement import Named, Statement

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
    r"\b(?:none|not|nothing|cannot|neither|never|no)\b[^.;:,]{0,30}\b(?:exclude[sd]?|rule[sd]? out)\b", re.IGNORECASE
)
"""That nothing is excluded is what a score allows to be said."""


def score_problems(statement: Statement, found: Sequence[Evidence]) -> Iterator[Problem]:
    """Yield scores passed off as findings, and scores said to be on the wrong side of their operating point."""
    statuses = _statuses(found)
    if not statuses:
        return
    labels = [s for s in statement.structures if any(n in statuses for n in s.names)]
    if (labels or statement.mentions) and "model" not in statement.attributed:
        name = labels[0].text if labels else statement.text[statement.mentions[0].start : statement.mentions[0].end]
        yield Problem("contradicted", f"a model's score for {name} is stated as a finding")
    excluding = _EXCLUDING & set(statement.loaded["negation"])
    if excluding and not _NOT_EXCLUDING.search(statement.text):
        yield Problem("contradicted", f"“{min(excluding)}”: a score below its operating point excludes nothing")
    if statement.relations:
        yield from _relations(statement, labels, statuses)
    else:
        yield from _plain_scores(statement, labels, statuses)


def _relations(statement: Statement, labels: Sequence[Named], statuses: Mapping[str, Status]) -> Iterator[Problem]:
    flips = bool(statement.loaded["negation"])
    for relation in statement.relations:
        wanted: Status = "above" if (relation.names[0] == "above") is not flips else "below"
        for label in _labels_of(relation, labels):
            if (status := statuses.get(label)) in ("above", "below") and status != wanted:
                yield Problem("contradicted", f"the score for {label} is {status} its operating point")
        if not labels and wanted == "below" and "above" in statuses.values():
            yield Problem("contradicted", "a score does reach its operating point")
        if not labels and wanted == "above" and "above" not in statuses.values():
            yield Problem("contradicted", "no score reaches its operating point")


def _plain_scores(statement: Statement, labels: Sequence[Named], statuses: Mapping[str, Status]) -> Iterator[Problem]:
    named = {statuses.get(n) for s in labels for n in s.names}
    if statement.loaded["negation"]:
        if statement.numbers:
            yield Problem("contradicted", "it denies a score that the evidence holds")
        elif "above" in named:
            yield Problem("contradicted", f"the score for {labels[0].text} is above its operating point")
    elif "below" in named and not statement.numbers:
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


def _labels_of(relation: Named, labels: Sequence[Named]) -> list[str]:
    """Return the labels that a relation is about: the nearest before it, else all."""
    before = [s for s in labels if s.end <= relation.start]
    chosen = before[-1:] if before else list(labels)
    return [n for s in chosen for n in s.names]
