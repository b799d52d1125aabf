"""What a plain-language query asks for: findings present and absent, modifiers, a normal study, the other words."""

import re
from dataclasses import dataclass

from knowledge.findings import Mention, analyse
from knowledge.lexical import words_of
from knowledge.vocabulary import load_vocabulary

_EITHER = re.compile(r"\bor\b|\beither\b")
_NORMAL_ALONE = re.compile(r"\b(?:normal|negative|unremarkable|healthy)\b")


@dataclass(frozen=True)
class Wanted:
    """A finding that a report must state as present, and the modifiers asked for."""

    finding: str
    modifiers: tuple[str, ...]


@dataclass(frozen=True)
class Query:
    """A query, understood.

    `present` must all be stated (one of them if `either`), none of `absent` may be. `normal`: a study without abnormal
    findings. `words` are those to look up as they are, negated ones with "-".
    """

    text: str
    present: tuple[Wanted, ...]
    absent: tuple[str, ...]
    either: bool
    normal: bool
    words: tuple[str, ...]

    @property
    def has_findings(self) -> bool:
        """Return whether the vocabulary knows what is asked for."""
        return bool(self.present or self.absent or self.normal)


def understand(text: str) -> Query:
    """Return what a query asks for.

    Args:
        text: plain language, such as "effusion without cardiomegaly" or "curved spine".
    """
    analysis = analyse(text)
    stated = [mention for mention in analysis.mentions if mention.finding not in {"normal_study", "acute_disease"}]
    present = _wanted([mention for mention in stated if mention.assertion != "absent"])
    absent = tuple(dict.fromkeys(mention.finding for mention in stated if mention.assertion == "absent"))
    names = {mention.finding for mention in analysis.mentions}
    is_normal = not present and (
        "normal_study" in names or "acute_disease" in names or (not stated and bool(_NORMAL_ALONE.search(text.lower())))
    )
    return Query(
        text=text,
        present=present,
        absent=tuple(name for name in absent if name not in {wanted.finding for wanted in present}),
        either=len(present) > 1 and bool(_EITHER.search(text.lower())),
        normal=is_normal,
        words=tuple(dict.fromkeys(words_of(text.lower(), analysis.negated))),
    )


def _wanted(mentions: list[Mention]) -> tuple[Wanted, ...]:
    """Join the mentions of one finding; a finding implied by another one asked for adds nothing."""
    modifiers: dict[str, set[str]] = {}
    for mention in mentions:
        modifiers.setdefault(mention.finding, set()).update(mention.modifiers)
    implied = {broader for name in modifiers for broader in load_vocabulary().broader(name)}
    return tuple(Wanted(name, tuple(sorted(labels))) for name, labels in modifiers.items() if name not in implied)
