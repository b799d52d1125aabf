"""Scores of reports for a query: findings with assertion, words, meaning, and how they are joined."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from knowledge.index import ASSERTIONS, Facts, Index, axis_bits, modifier_bits
from knowledge.query import Query, Wanted
from knowledge.vocabulary import load_vocabulary

FloatArray = NDArray[np.float32]

# What a mention is worth by its assertion. Historical, hypothetical and absent mentions don't make a finding present.
_WORTH = {"present": 1.0, "uncertain": 0.55}
_NARROWER = 0.7  # a mention of a narrower finding, such as "bullous emphysema" for emphysema
_ALSO_MEANT = 0.9  # a mention of another finding that the query's words may mean
_REPEATED = 0.08  # added for each further mention, at most twice
_CONTRADICTED = 0.75  # the same report also denies the finding
_WRONG_MODIFIER = 0.6  # "left" asked for, "right" stated
_NO_MODIFIER = 0.85  # "left" asked for, no side stated
_MODIFIER_AXES = ("laterality", "severity", "location", "change", "age", "extent")
_SOFT_AXES = frozenset({"age", "extent", "change", "severity"})
CLOSE = 0.1  # added for a sentence that means the same as the query
_WITH_NEUTRAL = 0.7  # a normal study with a device, a surgical clip or the like
_UNMENTIONED = 0.9  # the query denies a finding, the report does not speak of it
_DOUBTED = 0.5  # the query denies a finding, the report doubts it


@dataclass
class Scores:
    """Scores of all reports, 0 to 1, and the sentence behind each (row of the index, -1: none)."""

    value: FloatArray
    sentence: NDArray[np.int32]

    @classmethod
    def zeros(cls, reports: int) -> "Scores":
        """Return scores of 0 without a sentence."""
        return cls(np.zeros(reports, dtype=np.float32), np.full(reports, -1, dtype=np.int32))

    def raise_to(self, reports: NDArray[np.int32], values: FloatArray, sentences: NDArray[np.int32]) -> None:
        """Keep for each report the highest of its score and these (a report may come several times)."""
        values = values.astype(np.float32, copy=False)
        before = self.value[reports]
        np.maximum.at(self.value, reports, values)
        best = np.flatnonzero((values > before) & (values == self.value[reports]))[::-1]  # of equal ones the first
        self.sentence[reports[best]] = sentences[best]


@dataclass(frozen=True)
class SentenceView:
    """Which sentences may count, bool (sentences,), and how near to the query each is.

    `allowed`: bool (sentences,). `closeness`: float32 (sentences,), 0 to `CLOSE`.
    """

    allowed: NDArray[np.bool_]
    closeness: FloatArray

    @classmethod
    def of(cls, index: Index, allowed: NDArray[np.bool_], neighbours: list[tuple[str, float]]) -> "SentenceView":
        """Return the view for a query's nearest sentences, (vector id, cosine similarity)."""
        closeness = np.zeros(len(allowed), dtype=np.float32)
        places = [(place, value) for name, value in neighbours if (place := index.text_of_vector(name)) is not None]
        if places:
            sentences, owners = index.sentences_of(np.array([place for place, _ in places], dtype=np.int32))
            closeness[sentences] = CLOSE * np.array([value for _, value in places], dtype=np.float32)[owners]
        return cls(allowed, np.maximum(closeness, 0))

    def restrict(self, facts: Facts) -> Facts:
        """Return the mentions in sentences that may count."""
        keep = self.allowed[facts.sentence]
        return Facts(facts.report[keep], facts.sentence[keep], facts.assertion[keep], facts.modifiers[keep])


def finding_scores(index: Index, wanted: Wanted, view: "SentenceView") -> Scores:
    """Return how surely each report states one finding with the modifiers asked for."""
    scores = Scores.zeros(len(index.report_ids))
    factors = narrower_factors(wanted)
    repeats = np.zeros(len(index.report_ids), dtype=np.int32)
    denied = np.zeros(len(index.report_ids), dtype=bool)
    for name, factor in factors.items():
        facts = view.restrict(index.facts(name))
        worth = _worth(facts) * _modifier_fit(facts, wanted) * factor
        stated = worth > 0
        worth = worth + view.closeness[facts.sentence]
        scores.raise_to(facts.report[stated], worth[stated], facts.sentence[stated])
        np.add.at(repeats, facts.report[facts.assertion == 0], 1)
        if name == wanted.finding:
            denied[facts.report[facts.assertion == ASSERTIONS.index("absent")]] = True
    scores.value *= 1.0 + _REPEATED * np.clip(repeats - 1, 0, 2)
    scores.value[denied] *= _CONTRADICTED
    scores.value /= 1.0 + 2 * _REPEATED + CLOSE
    return scores


def narrower_factors(wanted: Wanted) -> dict[str, float]:
    """Return every finding that answers one asked for, with what it is worth: 1 for the finding itself."""
    factors = dict.fromkeys(wanted.choices, _ALSO_MEANT) | {wanted.finding: 1.0}
    for choice in wanted.choices:
        for name in load_vocabulary().narrower(choice):
            factors.setdefault(name, _NARROWER)
    return factors


def _worth(facts: Facts) -> FloatArray:
    table = np.array([_WORTH.get(name, 0.0) for name in ASSERTIONS], dtype=np.float32)
    return table[facts.assertion]


def _modifier_fit(facts: Facts, wanted: Wanted) -> FloatArray:
    fit = np.ones(len(facts.report), dtype=np.float32)
    asked = modifier_bits(wanted.modifiers)
    for axis in _MODIFIER_AXES:
        asked_here = np.uint64(asked & axis_bits(axis))
        if asked_here == 0:
            continue
        stated = facts.modifiers & np.uint64(axis_bits(axis))
        factor = np.where(stated == 0, _NO_MODIFIER, _WRONG_MODIFIER if axis not in _SOFT_AXES else _NO_MODIFIER)
        fit *= np.where(stated & asked_here != 0, 1.0, factor).astype(np.float32)
    return fit


def denial_factor(index: Index, finding: str) -> FloatArray:
    """Return what a query's denial of a finding leaves of each report's score: 1 where the report denies it too."""
    factor = np.full(len(index.report_ids), _UNMENTIONED, dtype=np.float32)
    names = [finding, *load_vocabulary().narrower(finding)]
    for name in names:
        facts = index.facts(name)
        if name == finding:
            factor[facts.report[facts.assertion == ASSERTIONS.index("absent")]] = 1.0
    for name in names:
        facts = index.facts(name)
        factor[facts.report[facts.assertion == ASSERTIONS.index("uncertain")]] = _DOUBTED
    for name in names:
        facts = index.facts(name)
        factor[facts.report[facts.assertion == ASSERTIONS.index("present")]] = 0.0
    return factor


def normal_scores(index: Index) -> Scores:
    """Return how surely each report describes a normal study: nothing abnormal stated, and the usual denials made."""
    if index.normal is None:
        scores = _normal_scores(index)
        index.normal = (scores.value, scores.sentence)
    value, sentence = index.normal
    return Scores(value.copy(), sentence.copy())


def _normal_scores(index: Index) -> Scores:
    vocabulary = load_vocabulary()
    scores = Scores.zeros(len(index.report_ids))
    abnormal = np.zeros(len(index.report_ids), dtype=np.float32)
    neutral = np.zeros(len(index.report_ids), dtype=np.float32)
    denials = np.zeros(len(index.report_ids), dtype=np.float32)
    for name in vocabulary.findings:
        facts = index.facts(name)
        if name == "normal_study":
            stated = facts.assertion != ASSERTIONS.index("absent")
            scores.raise_to(facts.report[stated], np.ones(int(stated.sum()), np.float32), facts.sentence[stated])
            continue
        np.add.at(denials, facts.report[facts.assertion == ASSERTIONS.index("absent")], 1.0)
        np.add.at(neutral if vocabulary.findings[name].neutral else abnormal, facts.report[_worth(facts) > 0], 1.0)
    has_sentence = scores.sentence >= 0
    first = np.full(len(index.report_ids), -1, dtype=np.int32)
    core = np.flatnonzero(index.sentence_is_core)[::-1]
    first[index.sentence_report[core]] = core
    scores.sentence = np.where(has_sentence, scores.sentence, first).astype(np.int32)
    scores.value = np.where(
        (abnormal == 0) & (has_sentence | (denials > 0)) & (scores.sentence >= 0),
        0.6 + 0.05 * np.minimum(denials, 6) + 0.1 * has_sentence,
        0.0,
    ).astype(np.float32)
    scores.value[neutral > 0] *= _WITH_NEUTRAL
    return scores


def lexical_scores(index: Index, query: Query, allowed: NDArray[np.bool_]) -> Scores:
    """Return the share of the query's rare words that each report holds, weighted by BM25.

    Args:
        index: of the store.
        query: whose words count.
        allowed: which sentences may count, bool (sentences,).
    """
    total = Scores.zeros(len(index.report_ids))
    best = Scores.zeros(len(index.report_ids))
    ceiling = 0.0
    for word in query.words:
        texts, weights = index.lexical.postings(word)
        ceiling += 2.0 * index.lexical.rarity(word)
        sentences, owners = index.sentences_of(texts)
        keep = allowed[sentences]
        part = Scores.zeros(len(index.report_ids))
        part.raise_to(index.sentence_report[sentences[keep]], weights[owners[keep]], sentences[keep])
        total.value += part.value
        found = part.sentence >= 0
        best.raise_to(np.flatnonzero(found).astype(np.int32), part.value[found], part.sentence[found])
    total.sentence = best.sentence
    if ceiling > 0:
        total.value = np.minimum(1.0, total.value / ceiling).astype(np.float32)
    return total


def dense_scores(
    index: Index, neighbours: list[tuple[str, float]], allowed: NDArray[np.bool_], skip_negative: bool
) -> Scores:
    """Return each report's nearest sentence by meaning, 0 where none is among the neighbours.

    Args:
        index: of the store.
        neighbours: (vector id, cosine similarity) from the vector store.
        allowed: which sentences may count, bool (sentences,).
        skip_negative: leave out sentences that only deny things.
    """
    places = [(place, value) for name, value in neighbours if (place := index.text_of_vector(name)) is not None]
    if skip_negative:
        places = [(place, value) for place, value in places if not index.negative_text[place]]
    scores = Scores.zeros(len(index.report_ids))
    if not places:
        return scores
    sentences, owners = index.sentences_of(np.array([place for place, _ in places], dtype=np.int32))
    keep = allowed[sentences]
    values = np.array([value for _, value in places], dtype=np.float32)[owners[keep]]
    scores.raise_to(index.sentence_report[sentences[keep]], values, sentences[keep])
    return scores
