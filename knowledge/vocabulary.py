"""The findings that reports speak of, from findings.toml."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from knowledge.patterns import PatternIndex, PatternMatch

_NORMAL = "-"  # a label that begins with it states the finding's absence
_OWN_NEGATION = "!"  # a label that begins with it belongs to wording that holds a negation itself
_NEGATING = re.compile(r"\b(?:no|not|without|nothing)\b")
_LAY = "~"  # a label that begins with it is plain wording, which gives way to a longer wording around it


@dataclass(frozen=True)
class Finding:
    """One thing that a report may state.

    `is_a` are the broader findings, direct ones only. `neutral`: no abnormality by itself.
    """

    id: str
    name: str
    is_a: tuple[str, ...]
    neutral: bool


@dataclass(frozen=True)
class Naming:
    """A finding named in a text.

    `normal`: by words that state its absence ("heart size is normal"). `own_negation`: by words that hold a negation
    themselves ("not fully expanded").
    """

    finding: str
    start: int
    end: int
    normal: bool
    own_negation: bool


class Vocabulary:
    """Findings and the words for them.

    Args:
        table: the content of findings.toml.
    """

    def __init__(self, table: dict[str, dict[str, object]]) -> None:
        self.findings = {
            name: Finding(name, str(entry["name"]), tuple(_texts(entry, "is_a")), bool(entry.get("neutral", False)))
            for name, entry in table.items()
        }
        unknown = {parent for finding in self.findings.values() for parent in finding.is_a} - set(self.findings)
        if unknown:
            raise ValueError(f"is_a must name findings of the table, got {sorted(unknown)}")
        self._narrower = {
            name: tuple(other for other in self.findings if name in self.broader(other)) for name in self.findings
        }
        self._index = PatternIndex(
            (f"{_OWN_NEGATION if _NEGATING.search(pattern) else ''}{prefix}{name}", pattern)
            for name, entry in table.items()
            for prefix, key in (("", "patterns"), (_LAY, "lay"), (_NORMAL, "normal"))
            for pattern in _texts(entry, key)
        )
        self._exclusions = {
            name: PatternIndex((name, pattern) for pattern in words)
            for name, entry in table.items()
            if (words := list(_texts(entry, "excluded_by")))
        }

    def broader(self, finding: str) -> tuple[str, ...]:
        """Return every finding that this one is a kind of, without itself."""
        seen: dict[str, None] = {}
        pending = list(self.findings[finding].is_a)
        while pending:
            parent = pending.pop()
            if parent not in seen:
                seen[parent] = None
                pending += self.findings[parent].is_a
        return tuple(seen)

    def narrower(self, finding: str) -> tuple[str, ...]:
        """Return every finding that is a kind of this one, without itself."""
        return self._narrower.get(finding, ())

    def name_findings(self, text: str) -> list[Naming]:
        """Return the findings named in a lower-case text, in order; the longest wording of each place counts."""
        matches = [match for match in self._index.find(text) if not self._is_excluded(match, text)]
        kept: list[PatternMatch] = []
        for match in sorted(matches, key=self._specific_first):
            if not any(self._covers(longer, match, text) for longer in kept):
                kept.append(match)
        kept.sort(key=lambda found: (found.start, found.end))
        return [
            Naming(
                finding=_finding_of(match),
                start=match.start,
                end=match.end,
                normal=_NORMAL in match.label,
                own_negation=_OWN_NEGATION in match.label,
            )
            for match in kept
        ]

    def _specific_first(self, match: PatternMatch) -> tuple[int, int, int, str]:
        return match.start - match.end, match.start, -len(self.broader(_finding_of(match))), match.label

    def _covers(self, longer: PatternMatch, match: PatternMatch, text: str) -> bool:
        if match.start >= longer.end or match.end <= longer.start:
            return False
        first, second = _finding_of(longer), _finding_of(match)
        if first == second:
            return True
        if _NEGATING.search(text, match.end, longer.end):  # "nodule that is not calcified" still is a nodule
            return False
        is_inside = longer.start <= match.start and match.end <= longer.end
        return is_inside and (second in self.broader(first) or _LAY in match.label)

    def _is_excluded(self, match: PatternMatch, text: str) -> bool:
        exclusions = self._exclusions.get(_finding_of(match))
        if exclusions is None:
            return False
        before = text[: match.start].rstrip(" -/").rpartition(" ")[2]
        after = text[match.end :].lstrip(" -/").partition(" ")[0]
        window = f"{before} {text[match.start : match.end]} {after}"
        return any(True for _ in exclusions.find(window))


def _finding_of(match: PatternMatch) -> str:
    return match.label.lstrip(_NORMAL + _LAY + _OWN_NEGATION)


@cache
def load_vocabulary() -> Vocabulary:
    """Return the shipped vocabulary."""
    return Vocabulary(tomllib.loads(Path(__file__).with_name("findings.toml").read_text(encoding="utf-8")))


def _texts(entry: dict[str, object], key: str) -> Iterable[str]:
    values = entry.get(key, ())
    if not isinstance(values, (list, tuple)):
        raise TypeError(f"{key} must be a list of texts, got {values!r}")
    return [str(value) for value in values]
