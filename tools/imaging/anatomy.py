"""Everyday words to target names: "both kidneys" is kidney_left and kidney_right."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from tools.errors import BadInputError
from tools.number_words import ORDINALS

MAX_WORDS = 7  # "lower lobe of the left lung" has six
MIN_SERIES = 8  # more members than anybody names one by one: "the vertebrae", "the ribs"
MIN_TYPO_LETTERS = 5  # shorter words are too often another word with one letter changed

_LEFT = frozenset({"left", "l", "lt", "leftsided", "lefthand"})
_RIGHT = frozenset({"right", "r", "rt", "rightsided", "righthand"})
_FILLERS = frozenset({"the", "of", "a", "an", "my", "his", "her", "their", "this", "patient", "sided", "hand", "side"})
_BOTH = frozenset({"both", "bilateral", "each", "all", "whole", "entire", "two"})
_LUNGS_APART = ("lung_left", "lung_right")
_JOINERS = frozenset({"and", "or", "plus", "versus", "vs", "against"})
_SPINE = {"cervical": ("C", 7), "thoracic": ("T", 12), "dorsal": ("T", 12), "lumbar": ("L", 5)}


class TargetMention(NamedTuple):
    """A place in a request that names something to outline."""

    text: str
    start: int
    end: int
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Vocabulary:
    """The words of anatomy.toml, ready for look-up."""

    targets: frozenset[str]
    phrases: dict[str, tuple[str, ...]]
    adjectives: dict[str, tuple[str, ...]]
    groups: dict[str, tuple[str, ...]]
    before: frozenset[str]
    ignored: frozenset[str]
    not_typos: frozenset[str]
    namesakes: dict[str, tuple[str, ...]]
    """By structure: another that the same word means elsewhere, then words that leave no choice."""
    regions: dict[str, frozenset[str]]
    """Structures by region, without _left and _right."""
    shows: dict[str, frozenset[str]]
    """BodyPartExamined by region."""


@cache
def vocabulary() -> Vocabulary:
    """Return the words of anatomy.toml."""
    data = tomllib.loads(Path(__file__).with_name("anatomy.toml").read_text(encoding="utf-8"))
    targets = frozenset(data["total"]) | frozenset(data["more"])
    groups = {name: tuple(parts) for name, parts in data["groups"].items()}
    groups["bones"] = tuple(t for t in data["total"] if _is_bone(t))
    phrases: dict[str, tuple[str, ...]] = {t.replace("_", " ").lower(): (t,) for t in sorted(targets)}
    for base, words in data["pairs"].items():
        phrases |= dict.fromkeys(words, (f"{base}_left", f"{base}_right"))
    for names, words in data["words"].items():
        phrases |= dict.fromkeys(words, tuple(names.split(",")))
    phrases |= _series_phrases()
    return Vocabulary(
        targets=targets,
        phrases=phrases,
        adjectives={word: tuple(names.split(",")) for word, names in data["adjectives"].items()},
        groups=groups,
        before=frozenset(data["lists"]["before"]),
        ignored=frozenset(data["lists"]["ignored"]),
        not_typos=frozenset(data["lists"]["not_typos"]),
        namesakes={stem: tuple(said) for stem, said in data["namesakes"].items()},
        regions={region: frozenset(names) for region, names in data["regions"].items()},
        shows={region: frozenset(parts) for region, parts in data["shows"].items()},
    )


def members_of(target: str) -> tuple[str, ...]:
    """Return the targets that make up another: lungs are lung_left and lung_right. Empty for a plain class."""
    return vocabulary().groups.get(target, ())


def may_show(body_part: str, target: str) -> bool:
    """Say whether an image of a body part can show a target; unknown parts and widespread targets pass.

    Args:
        body_part: DICOM BodyPartExamined, upper case; empty when unknown.
        target: a target's name.
    """
    known = vocabulary()
    visible = {region for region, parts in known.shows.items() if body_part in parts}
    stem = _stem(target)
    lies_in = {region for region, names in known.regions.items() if stem in names}
    return not visible or not lies_in or bool(visible & lies_in)


def in_region(body_part: str, targets: Iterable[str], said: str) -> list[str]:
    """Return what a person means by structures in an image of a body part.

    Ventricles of a head are the brain's; of a whole series (vertebrae, ribs) only those that may be seen are meant.
    What was named by itself and cannot be there stays, to be refused.

    Args:
        body_part: DICOM BodyPartExamined, upper case; empty when unknown.
        targets: names of targets.
        said: the person's words.
    """
    known = vocabulary()
    meant: list[str] = []
    for target in targets:
        other, *explicit = known.namesakes.get(_stem(target), ("",))
        is_other = other and not may_show(body_part, target) and may_show(body_part, other)
        meant.append(other if is_other and not any(word in said.lower() for word in explicit) else target)
    series = Counter(t.partition("_")[0] for t in meant if t[-1].isdigit())
    seen = {t.partition("_")[0] for t in meant if may_show(body_part, t)}
    return [
        target
        for target in dict.fromkeys(meant)
        if may_show(body_part, target)
        or target.partition("_")[0] not in seen
        or series[target.partition("_")[0]] < MIN_SERIES
    ]


def _stem(target: str) -> str:
    """Return a target's name without side and number."""
    return re.sub(r"_(left|right)(?=_|$)|_?\d+$", "", target)


def total_classes() -> tuple[str, ...]:
    """Return the class names of TotalSegmentator v2, task `total`, in the order of their labels 1 to 117."""
    data = tomllib.loads(Path(__file__).with_name("anatomy.toml").read_text(encoding="utf-8"))
    return tuple(data["total"])


def resolve(word: str) -> tuple[str, ...]:
    """Return the targets that a word means, left before right.

    Args:
        word: a target's name, or everyday words: "lungs", "left kidney", "RUL", "windpipe".

    Raises:
        BadInputError: nothing of that name; says what is nearest.
    """
    if word in vocabulary().targets:
        return (word,)
    tokens = [token for token, _, _ in _tokens(word)]
    found = _look_up(tokens) or (vocabulary().adjectives.get(tokens[0]) if len(tokens) == 1 else None)
    if found:
        return found
    near = difflib.get_close_matches(" ".join(tokens), vocabulary().phrases, n=3, cutoff=0.6)
    names = list(dict.fromkeys(target for phrase in near for target in vocabulary().phrases[phrase]))[:4]
    hint = (
        f"nearest: {', '.join(names)}" if names else "name an organ or structure, such as lungs, liver or kidney_left"
    )
    raise BadInputError(f"targets: nothing is known by the name {word!r}; {hint}")


def find_targets(text: str) -> list[TargetMention]:
    """Find what a request wants outlined or measured: the longest words that mean something, in order.

    One wrong, missing or swapped letter is forgiven in words of five letters or more.
    """
    tokens = _tokens(text)
    mentions: list[TargetMention] = []
    at = 0
    while at < len(tokens):
        taken, targets = _longest(tokens, at)
        if targets:
            start, end = tokens[at][1], tokens[at + taken - 1][2]
            mentions.append(TargetMention(text[start:end], start, end, targets))
        at += max(1, taken)
    return mentions


def _longest(tokens: list[tuple[str, int, int]], at: int) -> tuple[int, tuple[str, ...] | None]:
    """Return how many tokens from `at` belong together, and what they mean (None: nothing, or to be ignored)."""
    words = [token for token, _, _ in tokens[at : at + MAX_WORDS]]
    if words[0] in _FILLERS | _JOINERS:
        return 1, None
    known = vocabulary()
    for count in range(len(words), 0, -1):
        part = words[:count]
        if " ".join(part) in known.ignored:
            return count, None
        if not _ends_well(words, count):
            continue
        found = _look_up(part) or _look_up([_corrected(word) for word in part])
        if found:
            return count, found
    if words[0] in known.adjectives and len(words) > 1 and words[1] in known.before:
        return 1, known.adjectives[words[0]]
    if len(words) > 2 and words[0] in _LEFT | _RIGHT and words[1] in known.adjectives and words[2] in known.before:
        return 2, _on_side(known.adjectives[words[1]], words[:1])
    return 1, None


def _ends_well(words: list[str], count: int) -> bool:
    """Say whether a phrase may end here: "kidney left" may, the same in "kidney left of it" or "and right lung" not."""
    last, rest = words[count - 1], words[count:]
    if last in _FILLERS | _JOINERS or (count == 1 and last in _LEFT | _RIGHT):
        return False
    if last in _LEFT | _RIGHT and rest[:1] and rest[0] in _JOINERS and set(rest[1:2]) <= _LEFT | _RIGHT:
        return not set(rest[2:3]) & _known_words()  # "the lungs, left and right kidney": the sides are the kidney's
    has_both = any(w in _LEFT for w in words[:count]) and any(w in _RIGHT for w in words[:count])
    is_over = not rest or rest[0] in _JOINERS | vocabulary().before or (has_both and rest[0] not in _known_words())
    return last not in _LEFT | _RIGHT or is_over


def _look_up(tokens: list[str]) -> tuple[str, ...] | None:
    """Return what a phrase means as a whole, or None."""
    sides = [t for t in tokens if t in _LEFT | _RIGHT]
    both = any(t in _BOTH for t in tokens)
    drop = _LEFT | _RIGHT | _FILLERS | _BOTH
    if len({t in _LEFT for t in sides}) == 2:
        drop = drop | _JOINERS
    core = [t for t in tokens if t not in drop]
    if not core or (not sides and any(t in _LEFT | _RIGHT for t in core)):
        return None
    found = _phrase(core) or _phrase([t for t in tokens if t not in _FILLERS])
    if found == ("lungs",) and "each" in tokens:
        return _LUNGS_APART
    if found is None or (both and not sides):
        return found
    return _on_side(found, sides)


def _phrase(core: list[str]) -> tuple[str, ...] | None:
    phrases = vocabulary().phrases
    last = core[-1]
    endings = [last]
    if last.endswith("s"):
        endings += [last[:-1], last[:-2]] if last.endswith("es") else [last[:-1]]
    for ending in endings:
        found = phrases.get(" ".join([*core[:-1], ending]))
        if found:
            return found
    return None


def _on_side(targets: tuple[str, ...], sides: list[str]) -> tuple[str, ...] | None:
    """Keep the targets of the sides named; None where the structure has no such side."""
    if not sides:
        return targets
    wanted = {"left" if side in _LEFT else "right" for side in sides}
    if targets == ("lungs",):
        targets = _LUNGS_APART
    kept = tuple(t for t in targets if wanted & set(t.split("_")))
    return kept or None


@lru_cache(maxsize=4096)
def _corrected(word: str) -> str:
    """Return the known word that differs in one letter, or the word itself."""
    known = vocabulary()
    if len(word) < MIN_TYPO_LETTERS or word in known.not_typos or word in _known_words():
        return word
    near = [k for k in _known_words() if k[0] == word[0] and abs(len(k) - len(word)) <= 1 and _one_apart(k, word)]
    return near[0] if len(near) == 1 else word


@cache
def _known_words() -> frozenset[str]:
    words = {word for phrase in vocabulary().phrases for word in phrase.split()}
    words |= {f"{word}s" for word in words}
    return frozenset(word for word in words if len(word) >= MIN_TYPO_LETTERS - 1) | {"left", "right"}


def _one_apart(known: str, word: str) -> bool:
    """Say whether one letter is wrong, missing, extra, or swapped with its neighbour."""
    if len(known) < MIN_TYPO_LETTERS:
        return False
    at = next((i for i, (a, b) in enumerate(zip(known, word, strict=False)) if a != b), min(len(known), len(word)))
    if known[at + 1 :] == word[at + 1 :] or known[at + 1 :] == word[at:] or known[at:] == word[at + 1 :]:
        return True
    return known[at : at + 2] == word[at : at + 2][::-1] and known[at + 2 :] == word[at + 2 :]


def _tokens(text: str) -> list[tuple[str, int, int]]:
    return [(m[1].lower(), m.start(), m.end()) for m in re.finditer(r"([^\W_]+)(?:['’]s\b)?", text)]


def _is_bone(target: str) -> bool:
    first = target.split("_", maxsplit=1)[0]
    return first in {
        "sacrum", "vertebrae", "humerus", "scapula", "clavicula", "femur", "hip", "skull", "rib", "sternum",
    }  # fmt: skip


def _series_phrases() -> dict[str, tuple[str, ...]]:
    """Return the words for ribs and vertebrae, which count."""
    ribs = {side: tuple(f"rib_{side}_{n}" for n in range(1, 13)) for side in ("left", "right")}
    phrases = {"rib": ribs["left"] + ribs["right"], "rib cage": ribs["left"] + ribs["right"]}
    for n, ordinal in enumerate(ORDINALS, start=1):
        pair = (f"rib_left_{n}", f"rib_right_{n}")
        suffix = {1: "st", 2: "nd", 3: "rd"}.get(n, "th")
        phrases |= dict.fromkeys((f"{ordinal} rib", f"{n}{suffix} rib", f"rib {n}"), pair)
    spine: list[str] = []
    for region, (letter, count) in _SPINE.items():
        names = tuple(f"vertebrae_{letter}{n}" for n in range(1, count + 1))
        spine += [] if region == "dorsal" else names
        phrases |= dict.fromkeys((f"{region} spine", f"{region} vertebra", f"{region} vertebrae"), names)
        for n, name in enumerate(names, start=1):
            short = f"{letter.lower()}{n}"
            phrases |= dict.fromkeys(
                (f"{ORDINALS[n - 1]} {region} vertebra", f"{short} vertebra", f"vertebra {short}"), (name,)
            )
            phrases |= dict.fromkeys((f"{short} vertebral body",), (name,))
            if (letter, n) not in {("T", 1), ("T", 2)}:  # as MR weightings, T1 and T2 mean no bone
                phrases[short] = (name,)
    whole = tuple(spine)
    phrases |= dict.fromkeys(("spine", "vertebra", "vertebrae", "vertebral column", "spinal column", "backbone"), whole)
    return phrases
