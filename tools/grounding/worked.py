"""What working out a comparison or a count comes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tools.grounding.agree import Problem

Span = tuple[int, int]


@dataclass(frozen=True)
class Worked:
    """The characters that true comparisons account for, and what is wrong with the others."""

    spans: tuple[Span, ...] = ()
    problems: tuple[Problem, ...] = ()
    tells_scores: bool = False
    """Whether a model's score was set against its operating point, which says that a model speaks."""


def contradicted(reason: str) -> Worked:
    """Return what comes of a comparison that the evidence contradicts."""
    return Worked(problems=(Problem("contradicted", reason),))


def without(text: str, spans: Sequence[Span]) -> str:
    """Return a text with blanks in the place of some of its characters."""
    for start, end in spans:
        text = text[:start] + " " * (end - start) + text[end:]
    return text
