"""Why a report is a hit, in words."""

import numpy as np

from knowledge.fusion import Ranked
from knowledge.index import ASSERTIONS, Index
from knowledge.query import Query, Wanted
from knowledge.ranking import narrower_factors
from knowledge.vocabulary import load_vocabulary


def explain(index: Index, query: Query, ranked: Ranked, row: int) -> str:
    """Return what made one report a hit.

    Args:
        index: of the store.
        query: understood.
        ranked: the result.
        row: the report's row in the index.
    """
    reasons = [_stated(index, wanted, row) for wanted in query.present]
    reasons += [_denied(index, finding, row) for finding in query.absent]
    if query.normal:
        reasons.append("no abnormal finding stated")
    reasons = [reason for reason in reasons if reason]
    if ranked.words[row] > 0:
        reasons.append(f"words of the query ({ranked.words[row]:.2f})")
    if ranked.meaning[row] > 0:
        reasons.append(f"meaning close to the query ({ranked.meaning[row]:.2f})")
    return "; ".join(reasons)


def _stated(index: Index, wanted: Wanted, row: int) -> str:
    vocabulary = load_vocabulary()
    best: tuple[int, str] | None = None
    for name in narrower_factors(wanted):
        for assertion in _assertions(index, name, row):
            if assertion in {"present", "uncertain"}:
                rank = 0 if assertion == "present" else 1
                best = min(best, (rank, name)) if best else (rank, name)
    if best is None:
        return f"{vocabulary.findings[wanted.finding].name} not stated"
    return f"{vocabulary.findings[best[1]].name} stated as {'present' if best[0] == 0 else 'uncertain'}"


def _denied(index: Index, finding: str, row: int) -> str:
    name = load_vocabulary().findings[finding].name
    if "absent" in _assertions(index, finding, row):
        return f"{name} stated as absent"
    return f"{name} not mentioned"


def _assertions(index: Index, finding: str, row: int) -> list[str]:
    facts = index.facts(finding)
    part = slice(*np.searchsorted(facts.report, [row, row + 1]))
    return [ASSERTIONS[code] for code in facts.assertion[part]]
