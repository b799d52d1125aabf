"""Which structures a sentence names, and on which side: "the right" after "the left lung" is the right lung."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tools.grounding.lexicon import pattern_of, plain_words
from tools.imaging.anatomy import find_targets, members_of, vocabulary

_SIDES = re.compile(r"\b(left|right)(?:[\s-]sided)?\b", re.IGNORECASE)
_SIDE_BEFORE = re.compile(r"\b(left|right)\s+$", re.IGNORECASE)
_COUNTERPART = re.compile(r"(?:(?<=, )|(?<=and )|(?<=while )|(?<=; ))its (?:counterpart|opposite)\b", re.IGNORECASE)
TOKEN = re.compile(r"[^\W\d_][\w'’.-]*", re.UNICODE)
_ACROSS = re.compile(
    r"\bfrom (?:left to right|right to left)\b|\bleft[- ](?:to[- ])?right (?:direction|extent|axis|width)\b"
    r"|\bside to side\b",
    re.IGNORECASE,
)
"""A direction, no side."""
_TOTAL = re.compile(r"\b(?:total(?:s|l?ing)?|sum(?:s|ming)?|together|combined|in all|altogether)\b", re.IGNORECASE)


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


def other_side(name: str) -> str:
    """Return the same structure of the other side, or nothing."""
    for side, other in (("_left", "_right"), ("_right", "_left")):
        if side in name:
            return name.replace(side, other)
    return ""


def take(taken: bytearray, spans: Iterable[tuple[int, int]]) -> None:
    """Mark characters as accounted for."""
    for start, end in spans:
        taken[start:end] = b"\x01" * (end - start)


def structures_in(body: str, names: Mapping[str, str], taken: bytearray) -> list[Named]:
    """Return the structures that a text names, in its order.

    Args:
        body: the text.
        names: wording → target of the evidence, lower case.
        taken: 1 for each character that is accounted for; those of the structures are marked.
    """
    found: list[Named] = []
    if names:
        pattern = pattern_of(tuple(names))
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
    take(taken, [m.span() for m in _ACROSS.finditer(body)])
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
    take(taken, [(n.start, n.end) for n in found])
    return sorted(found, key=lambda n: n.start)


def _adjectives(body: str) -> Iterable[Named]:
    """Yield organs named by an adjective alone, with its side: "aortic calibre", "right renal volume"."""
    known = vocabulary().adjectives
    for match in TOKEN.finditer(body):
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
    for match in TOKEN.finditer(body):
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


def _of_evidence(side: Named, names: Mapping[str, str]) -> Named:
    """Read "the left" as the only thing of the evidence that has two sides, where the sentence names none."""
    paired = {t.removesuffix("_left") for t in names.values() if t.endswith("_left")}
    if side.names or len(paired) != 1:
        return side
    return replace(side, names=(f"{paired.pop()}_{side.side}",))
