"""BM25 over sentences, where a negated word is another word: "effusion" never matches "no effusion"."""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from knowledge.findings import Analysis

# Robertson and Zaragoza, Found Trends Inf Retr 3 (2009) 333; b is low because sentences hardly differ in length.
_K1, _B = 1.2, 0.4
_WORD = re.compile(r"[a-z0-9]+")
_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        a an the of in on at to for from with and or is are was were be been being has have had this that these those
        there it its as by which who patient patients report reports show shows showing shown find findings finding
        image images chest radiograph radiographs film films x ray xray study exam examination xxxx seen noted evidence
        me all any some please where what case cases but not no without
        """,
    )
)


def words_of(text: str, negated: Sequence[tuple[int, int]] = ()) -> list[str]:
    """Return the stemmed words of a lower-case text without stop words; negated ones begin with "-"."""
    words = []
    for match in _WORD.finditer(text):
        word = match.group()
        if word in _STOP_WORDS:
            continue
        is_negated = any(start <= match.start() < end for start, end in negated)
        words.append(f"-{_stem(word)}" if is_negated else _stem(word))
    return words


def _stem(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    if len(word) > 5 and word.endswith(("ally", "edly")):
        return word[:-4]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "is", "us")):
        return word[:-1]
    return word


class LexicalIndex:
    """Postings of distinct sentences.

    Args:
        keys: the sentences, lower case.
        analyses: of each, for its negated stretches.
    """

    def __init__(self, keys: Sequence[str], analyses: Sequence[Analysis]) -> None:
        self._vocabulary: dict[str, int] = {}
        terms: list[int] = []
        counts: list[int] = []
        sizes = np.zeros(len(keys), dtype=np.int32)
        lengths = np.zeros(len(keys), dtype=np.float32)
        for place, (key, analysis) in enumerate(zip(keys, analyses, strict=True)):
            found = Counter(words_of(key, analysis.negated))
            sizes[place], lengths[place] = len(found), found.total()
            for word, count in found.items():
                terms.append(self._vocabulary.setdefault(word, len(self._vocabulary)))
                counts.append(count)
        documents = np.repeat(np.arange(len(keys), dtype=np.int32), sizes)
        term_ids = np.array(terms, dtype=np.int32)
        order = np.argsort(term_ids, kind="stable")
        self._documents = documents[order]
        frequencies = np.array(counts, dtype=np.float32)[order]
        self._starts = np.searchsorted(term_ids[order], np.arange(len(self._vocabulary) + 1))
        norm = _K1 * (1 - _B + _B * lengths / max(1.0, float(lengths.mean()) if len(keys) else 1.0))
        self._weights = frequencies * (_K1 + 1) / (frequencies + norm[self._documents])
        self._size = len(keys)

    def postings(self, word: str) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the sentences that hold a word and its BM25 weight in each; empty for an unknown word."""
        term = self._vocabulary.get(word)
        if term is None:
            return np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32)
        part = slice(int(self._starts[term]), int(self._starts[term + 1]))
        documents = self._documents[part]
        rarity = np.log(1 + (self._size - len(documents) + 0.5) / (len(documents) + 0.5))
        return documents, (self._weights[part] * rarity).astype(np.float32)

    def rarity(self, word: str) -> float:
        """Return the BM25 inverse document frequency of a word; an unknown word is the rarest."""
        documents, _ = self.postings(word)
        return float(np.log(1 + (self._size - len(documents) + 0.5) / (len(documents) + 0.5)))
