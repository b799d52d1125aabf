"""What a search reads: arrays made once from the database, one row a sentence, a mention, a report."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache

import numpy as np
from numpy.typing import NDArray

from knowledge.database import Database
from knowledge.findings import Analysis
from knowledge.hits import Filters
from knowledge.lexical import LexicalIndex, words_of
from knowledge.store import vector_id
from knowledge.vocabulary import load_vocabulary

ASSERTIONS = ("present", "absent", "uncertain", "historical", "hypothetical")
FINDING_SECTIONS = frozenset({"findings", "impression", "body", "addendum"})
"""Sections that state what the images show; what an indication names was only asked."""

# what Open-I and MIMIC-CXR have in the place of a word that could name a person
_CUT_OUT = re.compile(r"\bx{3,}|_{3,}")

IntArray = NDArray[np.int32]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Facts:
    """One finding's mentions over all reports, sorted by report; arrays of equal length.

    `report` and `sentence` are row numbers, `assertion` counts in `ASSERTIONS`, `modifiers` is a bit set.
    """

    report: IntArray
    sentence: IntArray
    assertion: NDArray[np.int8]
    modifiers: NDArray[np.uint64]


class Index:
    """Reports, sentences, mentions and words of one generation of the database."""

    def __init__(self, database: Database) -> None:
        with database.snapshot():
            self.generation = database.get_meta("generation")
            self._load_reports(database)
            texts = database.all_texts()
            self._load_sentences(database, {row[0]: place for place, row in enumerate(texts)})
        analyses = [Analysis.from_json(row[2]) for row in texts]
        self.keys = [row[1] for row in texts]
        self._place_by_vector = {vector_id(key): place for place, key in enumerate(self.keys)}
        self._load_mentions(analyses)
        self.lexical = LexicalIndex(self.keys, analyses)
        self.normal: tuple[NDArray[np.float32], IntArray] | None = None
        """Scores of a normal study with their sentences, the same for every query: kept by the ranking."""
        self.negative_text = np.array([_is_only_negative(analysis) for analysis in analyses], dtype=bool)
        cut = np.array([_is_cut_out(key) for key in self.keys], dtype=bool)
        self._says_something = ~cut[self.sentence_text] if len(cut) else np.zeros(0, dtype=bool)

    def _load_reports(self, database: Database) -> None:
        rows = database.all_reports()
        self.report_ids = [row[1] for row in rows]
        self._report_place = {row[0]: place for place, row in enumerate(rows)}
        self._columns = {
            name: np.array([str(row[column] or "").lower() for row in rows])
            for column, name in ((2, "source"), (3, "modality"), (4, "body_part"), (6, "patient"))
        }
        self._days = np.array([date.fromisoformat(row[5]).toordinal() if row[5] else 0 for row in rows], dtype=np.int32)

    def _load_sentences(self, database: Database, place_of: dict[int, int]) -> None:
        rows = database.all_sentences()
        self.section_names = sorted({row[2] for row in rows})
        code = {name: place for place, name in enumerate(self.section_names)}
        size = len(rows)
        self.sentence_report = np.fromiter((self._report_place[row[0]] for row in rows), np.int32, size)
        self.sentence_text = np.fromiter((place_of[row[1]] for row in rows), np.int32, size)
        self.sentence_section = np.fromiter((code[row[2]] for row in rows), np.int8, size)
        self.sentence_start = np.fromiter((row[3] for row in rows), np.int32, size)
        self.sentence_end = np.fromiter((row[4] for row in rows), np.int32, size)
        core = np.array([name in FINDING_SECTIONS for name in self.section_names] or [False])
        self.sentence_is_core = core[self.sentence_section] if size else np.zeros(0, dtype=bool)
        order = np.argsort(self.sentence_text, kind="stable").astype(np.int32)
        self._sentences_by_text = order
        self._text_starts = np.searchsorted(self.sentence_text[order], np.arange(len(place_of) + 1))

    def _load_mentions(self, analyses: list[Analysis]) -> None:
        finding_code = {name: place for place, name in enumerate(load_vocabulary().findings)}
        flat = [
            (place, finding_code[m.finding], ASSERTIONS.index(m.assertion), modifier_bits(m.modifiers))
            for place, analysis in enumerate(analyses)
            for m in analysis.mentions
            if m.finding in finding_code
        ]
        text = np.array([row[0] for row in flat], dtype=np.int32)
        sentences, owners = self.sentences_of(text)
        is_core = self.sentence_is_core[sentences]
        sentences, owners = sentences[is_core], owners[is_core]
        finding = np.array([row[1] for row in flat], dtype=np.int32)[owners]
        report = self.sentence_report[sentences]
        order = np.lexsort((sentences, report, finding))
        self._fact_starts = np.searchsorted(finding[order], np.arange(len(finding_code) + 1))
        self._finding_code = finding_code
        self._facts = Facts(
            report=report[order],
            sentence=sentences[order],
            assertion=np.array([row[2] for row in flat], dtype=np.int8)[owners][order],
            modifiers=np.array([row[3] for row in flat], dtype=np.uint64)[owners][order],
        )

    def facts(self, finding: str) -> Facts:
        """Return every mention of one finding, sorted by report."""
        code = self._finding_code[finding]
        part = slice(int(self._fact_starts[code]), int(self._fact_starts[code + 1]))
        facts = self._facts
        return Facts(facts.report[part], facts.sentence[part], facts.assertion[part], facts.modifiers[part])

    def sentences_of(self, texts: IntArray) -> tuple[IntArray, NDArray[np.int64]]:
        """Return the sentences that hold these texts, and for each the place of its text in the argument."""
        starts = self._text_starts[texts]
        counts = self._text_starts[texts + 1] - starts
        owners = np.repeat(np.arange(len(texts)), counts)
        within = np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)
        return self._sentences_by_text[starts[owners] + within], owners

    def text_of_vector(self, name: str) -> int | None:
        """Return the place of the text whose vector has this id; None: no report holds it any more."""
        return self._place_by_vector.get(name)

    def allowed(self, filters: Filters | None) -> BoolArray:
        """Return which reports the filters on the study let through, bool (reports,)."""
        mask = np.ones(len(self.report_ids), dtype=bool)
        if filters is None:
            return mask
        for name, column in self._columns.items():
            wanted = getattr(filters, name)
            if wanted is not None:
                mask &= column == wanted.lower()
        if filters.date_from is not None:
            mask &= self._days >= filters.date_from.toordinal()
        if filters.date_to is not None:
            mask &= (self._days <= filters.date_to.toordinal()) & (self._days > 0)
        return mask

    def sentence_mask(self, section: str | None) -> BoolArray:
        """Return which sentences a search looks at: those of one section, or those that state what the images show.

        A sentence whose statement a collection cut out ("The lungs are XXXX.") answers nothing.
        """
        if section is None:
            core: BoolArray = self.sentence_is_core & self._says_something
            return core
        if section not in self.section_names:
            return np.zeros(len(self.sentence_section), dtype=bool)
        mask: BoolArray = (self.sentence_section == self.section_names.index(section)) & self._says_something
        return mask


def modifier_bits(modifiers: Iterable[str]) -> int:
    """Return the bit set of "axis:value" modifiers."""
    return sum(1 << _modifier_places()[label] for label in set(modifiers))


def axis_bits(axis: str) -> int:
    """Return the bits of all values of one axis."""
    return sum(1 << place for label, place in _modifier_places().items() if label.startswith(f"{axis}:"))


@cache
def _modifier_places() -> dict[str, int]:
    from knowledge.modifiers import modifier_labels

    return {label: place for place, label in enumerate(modifier_labels())}


def _is_cut_out(key: str) -> bool:
    return bool(_CUT_OUT.search(key)) and len(words_of(key)) <= 1


def _is_only_negative(analysis: Analysis) -> bool:
    stated = [mention.assertion for mention in analysis.mentions]
    return bool(analysis.negated or "absent" in stated) and not {"present", "uncertain"} & set(stated)
