"""One score a report from findings, words and meaning; each part can be left out, to show what it is worth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from knowledge.hits import Filters
from knowledge.index import FINDING_SECTIONS, Index
from knowledge.query import Query
from knowledge.ranking import (
    CLOSE,
    FloatArray,
    Scores,
    SentenceView,
    denial_factor,
    dense_scores,
    finding_scores,
    lexical_scores,
    normal_scores,
)

MIN_FINDING_SCORE = 0.2
"""Below this a report is no hit for a query whose findings are known."""
MIN_TEXT_SCORE = 0.3
"""Below this a report is no hit for a query of other words: MiniLM's neighbours then share no topic."""

_INCOMPLETE = 0.7  # not every finding asked for is stated: after those that state all, and said in `why`
_FINDINGS, _WORDS, _MEANING = 0.8, 0.1, 0.1  # the findings decide, words and meaning order what they leave equal


@dataclass(frozen=True)
class Parts:
    """Which parts of the search take part.

    `findings`: what reports state and deny, by the vocabulary. `negation`: sentences that only deny things are no
    neighbours in meaning. `lexical`: BM25. `dense`: neighbours in meaning.
    """

    findings: bool = True
    negation: bool = True
    lexical: bool = True
    dense: bool = True


@dataclass(frozen=True)
class Ranked:
    """Reports in order: rows of the index with score and sentence row, and the parts' scores for the explanation."""

    order: NDArray[np.int64]
    score: FloatArray
    sentence: NDArray[np.int32]
    findings: FloatArray
    words: FloatArray
    meaning: FloatArray


def rank(
    index: Index, query: Query, neighbours: list[tuple[str, float]], filters: Filters | None, parts: Parts
) -> Ranked:
    """Return the reports that answer a query, best first.

    Args:
        index: of the store.
        query: understood.
        neighbours: (vector id, cosine similarity) of the sentences nearest in meaning, best first.
        filters: what a hit's report must be.
        parts: which parts take part.
    """
    sentences = index.sentence_mask(filters.section if filters else None)
    words = lexical_scores(index, query, sentences) if parts.lexical else Scores.zeros(len(index.report_ids))
    asks_only_denial = bool(query.absent) and not query.present
    skip_negative = parts.negation and not query.normal and not asks_only_denial
    meaning = dense_scores(index, neighbours if parts.dense else [], sentences, skip_negative)
    states_findings = filters is None or filters.section is None or filters.section in FINDING_SECTIONS
    if parts.findings and query.has_findings and states_findings:
        found = _findings(index, query, SentenceView.of(index, sentences, neighbours if parts.dense else []))
        total = Scores(_FINDINGS * found.value + _WORDS * words.value + _MEANING * meaning.value, found.sentence)
        total.value[found.value <= 0] = 0
        threshold = MIN_FINDING_SCORE
    else:
        found = Scores.zeros(len(index.report_ids))
        total = _text_only(words, meaning, parts)
        threshold = MIN_TEXT_SCORE
    total.value[~_allowed(index, filters, total)] = 0
    order = np.flatnonzero(total.value >= threshold)
    order = order[np.argsort(-total.value[order], kind="stable")]
    return Ranked(order, total.value, total.sentence, found.value, words.value, meaning.value)


def _findings(index: Index, query: Query, view: SentenceView) -> Scores:
    if query.normal:
        scores = normal_scores(index)
    elif query.present:
        scores = _joined([finding_scores(index, wanted, view) for wanted in query.present], query.either)
    else:
        scores = _denials_only(index, query, view)
    for name in query.absent:
        scores.value *= denial_factor(index, name)
    return scores


def _joined(parts: list[Scores], either: bool) -> Scores:
    values = np.stack([part.value for part in parts])
    complete = np.where((values > 0).all(axis=0), 1.0, _INCOMPLETE)
    value = values.max(axis=0) if either else values.mean(axis=0) * complete
    which = values.argmax(axis=0) if either else (values > 0).argmax(axis=0)
    sentence = np.stack([part.sentence for part in parts])[which, np.arange(values.shape[1])]
    return Scores(value.astype(np.float32), sentence.astype(np.int32))


def _denials_only(index: Index, query: Query, view: SentenceView) -> Scores:
    """Return the reports that deny what the query denies ("no pneumothorax"): the sentence is the denial."""
    scores = Scores.zeros(len(index.report_ids))
    for name in query.absent:
        facts = view.restrict(index.facts(name))
        denied = facts.assertion == 1
        values = (1.0 + view.closeness[facts.sentence[denied]]) / (1.0 + CLOSE)
        scores.raise_to(facts.report[denied], values.astype(np.float32), facts.sentence[denied])
    return scores


def _text_only(words: Scores, meaning: Scores, parts: Parts) -> Scores:
    weights = (0.5, 0.5) if parts.lexical and parts.dense else (float(parts.lexical), float(parts.dense))
    value = weights[0] * words.value + weights[1] * meaning.value
    sentence = np.where(meaning.sentence >= 0, meaning.sentence, words.sentence)
    return Scores(value.astype(np.float32), sentence.astype(np.int32))


def _allowed(index: Index, filters: Filters | None, scores: Scores) -> NDArray[np.bool_]:
    allowed = index.allowed(filters) & (scores.sentence >= 0)
    if filters is None:
        return allowed
    for name in filters.present:
        facts = index.facts(name)
        stated = np.zeros(len(allowed), dtype=bool)
        stated[facts.report[facts.assertion == 0]] = True
        allowed &= stated
    for name in filters.absent:
        facts = index.facts(name)
        allowed[facts.report[facts.assertion == 0]] = False
    if filters.section is not None:
        allowed &= index.sentence_mask(filters.section)[np.maximum(scores.sentence, 0)]
    return allowed
