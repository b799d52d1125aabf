"""What one sentence says, taken apart: numbers, structures, findings, and the words that turn a meaning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace

from knowledge.findings import Mention, analyse
from tools.grounding.lexicon import groups_of_words, lexicon, pattern_of, plain_words, quantity_words
from tools.grounding.numbers import NumberSaid, dates_in, numbers_in
from tools.grounding.shorthand import written_out
from tools.grounding.structures import TOKEN, Named, expand, structures_in, take

QUOTE = re.compile(r"“([^”]*)”|(?<!\w)\"([^\"]*)\"|«([^»]*)»|„([^“”]*)[“”]")
CITED = re.compile(r"\s*\\?\[((?=[^\]]*\d)[A-Za-z][\w.:/-]{0,80}(?:,\s*[A-Za-z][\w.:/-]{0,80})*)\\?\]")
_LARGEST = re.compile(
    r"\b(largest|greatest|longest|maximal)\s+(?!axial|diameter|dimension|extent|perpendicular|axis)(?:[\w-]+\s+){1,2}?"
    r"(?:diameter|width|dimension|extent|calib(?:re|er))\b",
    re.IGNORECASE,
)
_CT_NUMBER = re.compile(
    r"\bct numbers?\b|\bhounsfield (?:value|number|mean|average)s?\b|\(hu\)|(?<!\d )(?<!\d)\bhu:"
    r"|\b(?:mean|average|in|median)\s+(?:hu|hounsfield units?)\b",
    re.IGNORECASE,
)
MIN_DENSITY = 10  # a smaller whole number counts something
_OF_A_LENGTH = re.compile(r"\s+(?:[\w-]+\s+){0,2}?(?:diameter|width|dimension|calib(?:re|er)|scores?)\b", re.IGNORECASE)
_NOT_FOUND = re.compile(
    r"\b(?:found|detected|returned|identified|located|gave|placed)\s+(?:none|no|nothing)\b"
    r"|\bno\s+(?!longer)(?:[\w-]+\s+){1,4}?(?:was|were|could be)\s+"
    r"(?:found|detected|outlined|located|segmented|identified)\b"
    r"(?=[^.;]*\b(?:by|in|model|detector|tool|segmentation|algorithm|software|network)\b)"
    r"|\b(?:was|were)\s+not\s+(?:found|detected|outlined|located|segmented)\b"
    r"|\bcould not be (?:found|outlined|located)\b|\b(?:did|does|could) not (?:find|detect|see|locate|outline)\b"
    r"|\bnothing (?:was|is) (?:found|returned|detected|identified|located)\b"
    r"|\bwithout success\b|\b(?:gave|found|yielded|returned) nothing\b",
    re.IGNORECASE,
)
"""That a tool looked for something and did not find it, in other words than those of lexicon.toml."""
_CLAUSE = re.compile(r";|,(?!\d{3})|\bwhile\b|\bwhereas\b|\band\b|\bbut\b|\bversus\b|\bvs\b|[()]|\. ", re.IGNORECASE)


@dataclass(frozen=True)
class Statement:
    """One sentence, taken apart. Offsets count the characters of `text`."""

    text: str
    numbers: tuple[NumberSaid, ...] = ()
    structures: tuple[Named, ...] = ()
    quantities: tuple[Named, ...] = ()
    loaded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Per group of `loaded` in lexicon.toml: the words of it that the sentence has."""
    relations: tuple[Named, ...] = ()
    modalities: tuple[Named, ...] = ()
    dates: tuple[str, ...] = ()
    mentions: tuple[Mention, ...] = ()
    quotes: tuple[str, ...] = ()
    rest: tuple[str, ...] = ()
    """Words that are none of the above and not among the plain ones."""
    attributed: frozenset[str] = frozenset()
    """Groups of `attribution` in lexicon.toml that the sentence has words of."""
    not_examined: bool = False
    not_found: bool = False

    def clause_of(self, position: int) -> tuple[int, int]:
        """Return where the clause around a position begins and ends."""
        edges = [0, *(m.start() for m in _CLAUSE.finditer(self.text)), len(self.text)]
        return max(e for e in edges if e <= position), min((e for e in edges if e > position), default=len(self.text))

    def marked(self, mark: str, names: Set[str] | None = None) -> str:
        """Return the text with single blanks and a mark in the place of each structure; `names`: of these only."""
        text = self.text
        for named in sorted(self.structures, key=lambda s: -s.start):
            if named.names and not named.is_total and (names is None or not names.isdisjoint(named.names)):
                text = f"{text[: named.start]}{mark}{text[named.end :]}"
        return " ".join(text.split())

    @property
    def states_something(self) -> bool:
        """Whether there is anything in it that evidence could support or contradict."""
        grave = ("normality", "comparison")
        return bool(
            self.numbers or self.structures or self.quantities or self.mentions or self.dates or self.quotes
            or any(self.loaded.get(group) for group in grave)
        )  # fmt: skip


def names_in(statement: Statement) -> frozenset[str]:
    """Return every structure that a sentence names, and the parts that it is made of."""
    named = {name for structure in statement.structures for name in structure.names}
    return expand(named) | named


def read_statement(
    text: str, names: Mapping[str, str] | None = None, measures: Mapping[str, str] | None = None
) -> Statement:
    """Take a sentence apart.

    Args:
        text: one sentence; citations in brackets are passed over.
        names: wording → target or label of the evidence, beyond the anatomy that is known anyway; lower case.
        measures: wording → quantity of the evidence, beyond those of lexicon.toml; lower case.
    """
    body = written_out(CITED.sub(lambda m: " " * len(m.group()), text).replace("\\", " "))
    quotes = list(QUOTE.finditer(body))
    for quote in quotes:
        body = body[: quote.start()] + " " * len(quote.group()) + body[quote.end() :]
    taken = bytearray(len(body))
    quantities = _quantities(body, taken, measures or {})
    numbers = numbers_in(body)
    numbers = [n for n in numbers if not any(taken[n.start : n.start + 1])]
    if _CT_NUMBER.search(body):
        numbers = [replace(n, unit="HU") if _may_be_density(n) else n for n in numbers]
    take(taken, [(n.start, n.end) for n in numbers])
    dates = dates_in(body)
    take(taken, [(start, end) for _, start, end in dates])
    structures = structures_in(body, names or {}, taken)
    modalities = _spans(body, "modalities", taken)
    found = {name: bool(pattern.search(body)) for name, pattern in groups_of_words("not_examined")}
    relations = _spans(body, "relation", taken, taking=False)
    loaded = _spans(body, "loaded", taken)
    unchanged = [n for n in loaded if n.names == ("unchanged",)]
    attributed = frozenset(name for name, pattern in groups_of_words("attribution") if pattern.search(body))
    relation_words = [(r.start, r.end) for r in relations]
    take(taken, relation_words)
    return Statement(
        text=body,
        numbers=tuple(numbers),
        structures=tuple(structures),
        quantities=tuple(quantities),
        loaded={group: tuple(n.text.lower() for n in loaded if n.names == (group,)) for group in lexicon()["loaded"]},
        relations=tuple(relations),
        modalities=tuple(modalities),
        dates=tuple(date for date, _, _ in dates),
        mentions=tuple(
            m
            for m in analyse(body).mentions
            if not any(q.start <= m.start and m.end <= q.end for q in (*quantities, *relations, *unchanged))
        ),
        quotes=tuple(next(g for g in m.groups() if g is not None).strip() for m in quotes),
        rest=tuple(_rest(body, taken)),
        attributed=attributed,
        not_examined=found["words"],
        not_found=found["not_found"] or bool(_NOT_FOUND.search(body)),
    )


def _may_be_density(number: NumberSaid) -> bool:
    return not number.unit and (number.step < 1 or abs(number.value) >= MIN_DENSITY)


def _spans(body: str, table: str, taken: bytearray, *, taking: bool = True) -> list[Named]:
    found: list[Named] = []
    for name, pattern in groups_of_words(table):
        new = [
            Named((name,), match.start(), match.end(), match.group())
            for match in pattern.finditer(body)
            if not any(taken[match.start() : match.end()])
        ]
        if taking:
            take(taken, [(n.start, n.end) for n in new])
        found += new
    return sorted(found, key=lambda n: n.start)


def _quantities(body: str, taken: bytearray, measures: Mapping[str, str]) -> list[Named]:
    words, pattern = quantity_words()
    found = []
    take(taken, [m.span(1) for m in _LARGEST.finditer(body)])
    if measures:
        own = pattern_of(tuple(measures))
        found = [
            Named((name,), match.start(), match.end(), match.group())
            for match in own.finditer(body)
            if (name := measures.get(" ".join(match.group().lower().replace("-", " ").split())))
        ]
        take(taken, [(n.start, n.end) for n in found])
    for match in pattern.finditer(body):
        said = " ".join(match.group().lower().split())
        name = words.get(said) or words.get(said.replace("-", " "), "")
        if any(taken[match.start() : match.end()]):
            continue
        if name == "max_intensity" and _OF_A_LENGTH.match(body, match.end()):
            take(taken, [match.span()])  # "maximum aortic diameter"
            continue
        if name and not (match.group().lower() == "mean" and re.match(r"\s+that\b", body[match.end() :])):
            found.append(Named((name,), match.start(), match.end(), match.group()))
    take(taken, [(n.start, n.end) for n in found])
    return found


def _rest(body: str, taken: bytearray) -> Iterable[str]:
    for match in TOKEN.finditer(body):
        word = match.group().lower().replace("’", "'").strip(".'-")
        if any(taken[match.start() : match.end()]) or len(word) < 2:
            continue
        if not all(
            _is_plain(part) for part in (word.split("-") if "-" in word and word not in plain_words() else [word])
        ):
            yield word


def _is_plain(word: str) -> bool:
    return word in plain_words() or word.removesuffix("'s") in plain_words()
