"""What one sentence says, taken apart: numbers, structures, findings, and the words that turn a meaning."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from knowledge.findings import Mention, analyse
from tools.grounding.numbers import NumberSaid, dates_in, numbers_in
from tools.imaging.anatomy import find_targets, members_of, vocabulary

QUOTE = re.compile(r"“([^”]*)”|(?<!\w)\"([^\"]*)\"|«([^»]*)»|„([^“”]*)[“”]")
CITED = re.compile(r"\s*\\?\[((?=[^\]]*\d)[A-Za-z][\w.:/-]{0,80}(?:,\s*[A-Za-z][\w.:/-]{0,80})*)\\?\]")
_ID = re.compile(r"\b(?:img|mask|rep|s)\d+\b")
_SIDES = re.compile(r"\b(left|right)(?:[\s-]sided)?\b", re.IGNORECASE)
_SIDE_BEFORE = re.compile(r"\b(left|right)\s+$", re.IGNORECASE)
_COUNTERPART = re.compile(r"(?:(?<=, )|(?<=and )|(?<=while )|(?<=; ))its (?:counterpart|opposite)\b", re.IGNORECASE)
_TOKEN = re.compile(r"[^\W\d_][\w'’.-]*", re.UNICODE)
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
_ACROSS = re.compile(
    r"\bfrom (?:left to right|right to left)\b|\bleft[- ](?:to[- ])?right (?:direction|extent|axis|width)\b"
    r"|\bside to side\b",
    re.IGNORECASE,
)
"""A direction, no side."""
MIN_DENSITY = 10  # a smaller whole number counts something
_NUMERO = re.compile(r"\bno\.\s?(?=\d)", re.IGNORECASE)
_SIDE_LETTER = re.compile(r"(?<![\d\w.,] )(?<![\w.])[RL](?=\s*[:=]?\s*[−-]?\d)|(?<=[,;/] )[RL](?=\s*[:=]?\s*[−-]?\d)")
"""R or L before a number, and no litre behind one."""
_TOTAL = re.compile(r"\b(?:total(?:s|l?ing)?|sum(?:s|ming)?|together|combined|in all|altogether)\b", re.IGNORECASE)
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
class Named:
    """A place in a sentence that names something; what it names is empty for a side without a structure."""

    names: tuple[str, ...]
    start: int
    end: int
    text: str
    side: str = ""
    is_total: bool = False
    """Whether it is a word such as "total", said of structures that are named before it."""


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


@cache
def lexicon() -> dict[str, Any]:
    """Return the words of lexicon.toml."""
    return tomllib.loads(Path(__file__).with_name("lexicon.toml").read_text(encoding="utf-8"))


@cache
def plain_words() -> frozenset[str]:
    """Return the words that never change what a measured sentence says."""
    return frozenset(word for words in lexicon()["plain"].values() for word in words)


@cache
def dimension_of(quantity: str) -> str:
    """Return what kind of unit a quantity has; empty: none, or unknown."""
    return str(lexicon()["quantities"].get(quantity, {}).get("dimension", ""))


@cache
def _pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    either = "|".join(
        re.escape(w).replace(r"\ ", r"[\s-]+").replace(r"\-", r"[\s-]?") for w in sorted(words, key=len, reverse=True)
    )
    return re.compile(rf"(?<![\w-])(?:{either})(?![\w])", re.IGNORECASE)


@cache
def _groups(table: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((name, _pattern(tuple(words))) for name, words in lexicon()[table].items())


@cache
def _quantity_words() -> tuple[dict[str, str], re.Pattern[str]]:
    words = {word: name for name, entry in lexicon()["quantities"].items() for word in entry["words"]}
    return words, _pattern(tuple(words))


def expand(targets: Iterable[str]) -> frozenset[str]:
    """Return the smallest parts that targets are made of: lungs are lung_left and lung_right."""
    out: set[str] = set()
    for target in targets:
        parts = ("lung_left", "lung_right") if target == "lungs" else members_of(target)
        out |= expand(parts) if parts and target not in parts else {target}
    return frozenset(out)


def sides_of(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the two sides that a paired structure has, else the names as they are."""
    return ("lung_left", "lung_right") if names == ("lungs",) else names


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
    body = _unabbreviated(CITED.sub(lambda m: " " * len(m.group()), text).replace("\\", " "))
    quotes = list(QUOTE.finditer(body))
    for quote in quotes:
        body = body[: quote.start()] + " " * len(quote.group()) + body[quote.end() :]
    taken = bytearray(len(body))
    quantities = _quantities(body, taken, measures or {})
    numbers = numbers_in(body)
    numbers = [n for n in numbers if not any(taken[n.start : n.start + 1])]
    if _CT_NUMBER.search(body):
        numbers = [replace(n, unit="HU") if _may_be_density(n) else n for n in numbers]
    _take(taken, [(n.start, n.end) for n in numbers])
    dates = dates_in(body)
    _take(taken, [(start, end) for _, start, end in dates])
    structures = _structures(body, names or {}, taken)
    modalities = _spans(body, "modalities", taken)
    found = {name: bool(pattern.search(body)) for name, pattern in _groups("not_examined")}
    relations = _spans(body, "relation", taken, take=False)
    loaded = _spans(body, "loaded", taken)
    unchanged = [n for n in loaded if n.names == ("unchanged",)]
    attributed = frozenset(name for name, pattern in _groups("attribution") if pattern.search(body))
    relation_words = [(r.start, r.end) for r in relations]
    _take(taken, relation_words)
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


@cache
def _abbreviations() -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])(?:{'|'.join(lexicon()['abbreviations'])})(?![\w-])")


@cache
def _frames() -> re.Pattern[str]:
    """Return what finds phrases around a statement that say nothing themselves: "as you can see in the table"."""
    return re.compile("|".join(rf"\b(?:{phrase})\b" for phrase in lexicon()["frames"]["phrases"]), re.IGNORECASE)


@cache
def _shorthand() -> re.Pattern[str]:
    words = "|".join(re.escape(word) for word in lexicon()["shorthand"])
    return re.compile(rf"(?<![\w-])(?:{words})(?![\w-])", re.IGNORECASE)


def _unabbreviated(text: str) -> str:
    """Write out "EI" and the like, in capitals only; in brackets they stand behind their own words."""

    def written_out(match: re.Match[str]) -> str:
        known = text[match.start() - 1 : match.start()] == "(" and text[match.end() : match.end() + 1] == ")"
        return " " * len(match.group()) if known else str(lexicon()["abbreviations"][match.group()])

    text = _SIDE_LETTER.sub(lambda m: {"R": "right", "L": "left"}[m.group()], text)
    text = _NUMERO.sub("number ", text)
    text = _shorthand().sub(lambda m: str(lexicon()["shorthand"][m.group().lower()]), text)
    text = _frames().sub(lambda m: " " * len(m.group()), text)
    return _abbreviations().sub(written_out, text)


def _may_be_density(number: NumberSaid) -> bool:
    return not number.unit and (number.step < 1 or abs(number.value) >= MIN_DENSITY)


def _take(taken: bytearray, spans: Iterable[tuple[int, int]]) -> None:
    for start, end in spans:
        taken[start:end] = b"\x01" * (end - start)


def _spans(body: str, table: str, taken: bytearray, *, take: bool = True) -> list[Named]:
    found: list[Named] = []
    for name, pattern in _groups(table):
        new = [
            Named((name,), match.start(), match.end(), match.group())
            for match in pattern.finditer(body)
            if not any(taken[match.start() : match.end()])
        ]
        if take:
            _take(taken, [(n.start, n.end) for n in new])
        found += new
    return sorted(found, key=lambda n: n.start)


def _quantities(body: str, taken: bytearray, measures: Mapping[str, str]) -> list[Named]:
    words, pattern = _quantity_words()
    found = []
    _take(taken, [m.span(1) for m in _LARGEST.finditer(body)])
    if measures:
        own = _pattern(tuple(measures))
        found = [
            Named((name,), match.start(), match.end(), match.group())
            for match in own.finditer(body)
            if (name := measures.get(" ".join(match.group().lower().replace("-", " ").split())))
        ]
        _take(taken, [(n.start, n.end) for n in found])
    for match in pattern.finditer(body):
        said = " ".join(match.group().lower().split())
        name = words.get(said) or words.get(said.replace("-", " "), "")
        if any(taken[match.start() : match.end()]):
            continue
        if name == "max_intensity" and _OF_A_LENGTH.match(body, match.end()):
            _take(taken, [match.span()])  # "maximum aortic diameter"
            continue
        if name and not (match.group().lower() == "mean" and re.match(r"\s+that\b", body[match.end() :])):
            found.append(Named((name,), match.start(), match.end(), match.group()))
    _take(taken, [(n.start, n.end) for n in found])
    return found


def _structures(body: str, names: Mapping[str, str], taken: bytearray) -> list[Named]:
    found: list[Named] = []
    if names:
        pattern = _pattern(tuple(names))
        for match in pattern.finditer(body):
            name = names.get(" ".join(re.split(r"[\s-]+", match.group().lower())))
            if name and not any(taken[match.start() : match.end()]):
                found.append(Named((name,), match.start(), match.end(), match.group()))
    for mention in find_targets(body):
        start = next((i for i in range(mention.start, mention.end) if not taken[i] and body[i].isalpha()), mention.end)
        if start == mention.end or any(m.start < mention.end and start < m.end for m in found):
            continue
        text = body[start : mention.end]  # without "two" of "two kidneys", which was taken as a number
        if text.lower() in plain_words():
            continue  # a word of its own, not a structure with a slip of the pen: "boxes", not "bones"
        found.append(Named(_ordered(text, mention.targets), start, mention.end, text))
    found += [n for n in _adjectives(body) if not any(m.start < n.end and n.start < m.end for m in found)]
    found.sort(key=lambda n: n.start)
    _take(taken, [m.span() for m in _ACROSS.finditer(body)])
    sides = [
        m
        for m in _SIDES.finditer(body)
        if not taken[m.start()] and not any(n.start < m.end() and m.start() < n.end for n in found)
    ]
    if sides or len({n.names for n in found}) > 1:
        found = sorted((*found, *_singular(body, found)), key=lambda n: n.start)
    found += [_of_evidence(_bare_side(match, found), names) for match in sides]
    found += _counterparts(body, found)
    found += _totals(body, sorted(found, key=lambda n: n.start))
    _take(taken, [(n.start, n.end) for n in found])
    return sorted(found, key=lambda n: n.start)


def _adjectives(body: str) -> Iterable[Named]:
    """Yield organs named by an adjective alone, with its side: "aortic calibre", "right renal volume"."""
    known = vocabulary().adjectives
    for match in _TOKEN.finditer(body):
        targets = known.get(match.group().lower(), ())
        side = _SIDE_BEFORE.search(body, 0, match.start())
        of_side = tuple(t for t in targets if side and t.endswith(f"_{side.group(1).lower()}"))
        if of_side and side:
            yield Named(of_side, side.start(), match.end(), body[side.start() : match.end()])
        elif targets:
            yield Named(targets, match.start(), match.end(), match.group())


def _ordered(text: str, targets: Sequence[str]) -> tuple[str, ...]:
    """Return left and right in the order of the words."""
    words = text.lower().split()
    places = [next((i for i, w in enumerate(words) if w.startswith(side)), -1) for side in ("left", "right")]
    return tuple(reversed(targets)) if places[0] > places[1] >= 0 and len(targets) == 2 else tuple(targets)


def _singular(body: str, found: Sequence[Named]) -> Iterator[Named]:
    """Yield "lung" without a side, where sides are named beside it: it is both of them, or the one that follows."""
    for match in _TOKEN.finditer(body):
        names = vocabulary().phrases.get(f"{match.group().lower()}s", ())
        is_paired = names == ("lungs",) or (len(names) == 2 and names[0].endswith("_left"))
        if is_paired and not any(m.start < match.end() and match.start() < m.end for m in found):
            yield Named(names, match.start(), match.end(), match.group())


def _totals(body: str, found: Sequence[Named]) -> Iterator[Named]:
    """Yield "a total of" behind two sides as both of them together."""
    for match in _TOTAL.finditer(body):
        named = [n.names[0] for n in found if len(n.names) == 1 and n.end <= match.start()]
        sides = [name for name in named if name.endswith(("_left", "_right"))]
        near = any(0 <= n.start - match.end() <= len(" volume of both ") for n in found)
        pair = tuple(dict.fromkeys(sides))
        if not near and len(pair) == 2 and {p.rpartition("_")[2] for p in pair} == {"left", "right"}:
            yield Named(pair, match.start(), match.end(), match.group(), is_total=True)


def _bare_side(match: re.Match[str], found: Sequence[Named]) -> Named:
    """Read "the right" after "the left lung" as the right lung."""
    side = match.group(1).lower()
    other = "left" if side == "right" else "right"
    before = [m for m in found if m.names and m.end <= match.start()] or [m for m in found if m.names]
    for mention in reversed(before):
        swapped = tuple(n.replace(f"_{other}", f"_{side}") for n in mention.names if f"_{other}" in n)
        if mention.names == ("lungs",):
            swapped = (f"lung_{side}",)
        if swapped and all(name in vocabulary().targets for name in swapped):
            return Named(swapped, match.start(), match.end(), match.group(), side)
    return Named((), match.start(), match.end(), match.group(), side)


def _counterparts(body: str, found: Sequence[Named]) -> Iterator[Named]:
    """Yield "its counterpart" behind "the left kidney" as the right kidney."""
    for match in _COUNTERPART.finditer(body):
        before = [n for n in found if n.end <= match.start() and len(n.names) == 1]
        if before and (other := other_side(before[-1].names[0])):
            yield Named((other,), match.start(), match.end(), match.group())


def other_side(name: str) -> str:
    """Return the same structure of the other side, or nothing."""
    for side, other in (("_left", "_right"), ("_right", "_left")):
        if side in name:
            return name.replace(side, other)
    return ""


def _of_evidence(side: Named, names: Mapping[str, str]) -> Named:
    """Read "the left" as the only thing of the evidence that has two sides, where the sentence names none."""
    paired = {t.removesuffix("_left") for t in names.values() if t.endswith("_left")}
    if side.names or len(paired) != 1:
        return side
    return replace(side, names=(f"{paired.pop()}_{side.side}",))


def _rest(body: str, taken: bytearray) -> Iterable[str]:
    for match in _TOKEN.finditer(body):
        word = match.group().lower().replace("’", "'").strip(".'-")
        if any(taken[match.start() : match.end()]) or len(word) < 2:
            continue
        if not all(
            _is_plain(part) for part in (word.split("-") if "-" in word and word not in plain_words() else [word])
        ):
            yield word


def _is_plain(word: str) -> bool:
    return word in plain_words() or word.removesuffix("'s") in plain_words()
