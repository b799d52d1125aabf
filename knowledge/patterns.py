"""The pattern language of our word lists, and a matcher that tries only patterns whose first word occurs.

plain words     plural forms match by themselves; blank, hyphen and slash are the same
word*           any ending
(a|b c)         either
word?  (a|b)?   may be missing
..              up to four words in between, without comma and without a word of normality or contrast
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

_SEPARATOR = r"(?:[\s\-/]+(?:xxxx[\s\-/]+)*)"  # xxxx stands where a collection removed a word
_GAP_STOPS = r"normal|unremarkable|clear|without|but|however|stable|unchanged"
_GAP = rf"(?:{_SEPARATOR}(?!(?:{_GAP_STOPS})\b)[\w'%.\[\]]+){{0,4}}?{_SEPARATOR}"
_ELEMENT = re.compile(r"\([^)]*\)\??|\.\.|[^\s()]+")
_WORD = re.compile(r"[a-z0-9]+")
_ANCHOR_CHARS = 4
_SIBILANTS = ("x", "z", "ch", "sh", "o")  # their plural ends in -es; of no other word, or "notes" would mean "not"


@dataclass(frozen=True)
class PatternMatch:
    """A pattern's label and where it matched."""

    label: str
    start: int
    end: int


class PatternIndex:
    """Many labelled patterns, matched together.

    Args:
        patterns: (label, pattern) pairs; a label may come several times.
    """

    def __init__(self, patterns: Iterable[tuple[str, str]]) -> None:
        self._by_anchor: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
        for label, pattern in patterns:
            compiled = compile_pattern(pattern)
            for anchor in _anchors(pattern):
                self._by_anchor.setdefault(anchor, []).append((label, compiled))

    def find(self, text: str) -> Iterator[PatternMatch]:
        """Yield every match in a lower-case text; matches of different patterns may overlap."""
        tried: set[tuple[str, int]] = set()
        for anchor in dict.fromkeys(anchor for word in _WORD.findall(text) for anchor in _keys(word)):
            for label, pattern in self._by_anchor.get(anchor, ()):
                if (label, id(pattern)) not in tried:
                    tried.add((label, id(pattern)))
                    yield from (PatternMatch(label, *match.span()) for match in pattern.finditer(text))


@lru_cache(maxsize=4096)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return the regular expression of one pattern; see the module's first lines."""
    elements = _ELEMENT.findall(pattern)
    expression, joint = "", ""
    for place, part in enumerate(elements):
        if part == "..":
            joint = _GAP
            continue
        body = _element_expression(part.removesuffix("?"))
        is_last = place == len(elements) - 1
        if not part.endswith("?"):
            expression, joint = f"{expression}{joint}{body}", _SEPARATOR
        elif joint == _SEPARATOR or is_last:
            expression = f"{expression}(?:{joint}{body})?"
        else:
            expression, joint = f"{expression}{joint}(?:{body}{_SEPARATOR})?", ""
    return re.compile(rf"(?<![a-z0-9]){expression}(?![a-z0-9])")


def _keys(word: str) -> Iterator[str]:
    for size in range(min(len(word), _ANCHOR_CHARS - 1) + 1):
        yield f"{word[:size]}*"
    if len(word) >= _ANCHOR_CHARS:
        yield word[:_ANCHOR_CHARS]


def _element_expression(element: str) -> str:
    if element.startswith("("):
        either = "|".join(_words_expression(part) for part in element[1:-1].split("|"))
        return f"(?:{either})"
    return _words_expression(element)


def _words_expression(words: str) -> str:
    return _SEPARATOR.join(_word_expression(word) for word in re.split(r"[\s\-/]+", words.strip()))


def _word_expression(word: str) -> str:
    if word.endswith("*"):
        return re.escape(word[:-1]) + r"[a-z]*"
    if "\\" in word or "?" in word:
        return word
    if word.endswith("y") and len(word) > 3:
        return re.escape(word[:-1]) + "(?:y|ies)"
    if word.endswith("is") and len(word) > 4:
        return re.escape(word[:-2]) + "[ie]s"
    plural = ("(?:es)?" if word.endswith(_SIBILANTS) else "s?") if len(word) > 2 and not word.endswith("s") else ""
    return re.escape(word) + plural


def _anchors(pattern: str) -> Iterator[str]:
    """Yield what the first word that must be there may begin with: four characters, or fewer and a star."""
    for element in _ELEMENT.findall(pattern):
        if element == ".." or element.endswith("?"):
            continue
        for choice in element.strip("()").split("|"):
            word = re.split(r"[\s\-/]+", choice.strip())[0]
            literal = re.match(r"[a-z0-9]*", word)
            stem = (literal.group() if literal else "")[:_ANCHOR_CHARS]
            yield stem if len(stem) == _ANCHOR_CHARS else f"{stem}*"
        return
