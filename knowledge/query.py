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
    """A finding that a report must state as present, and the modifiers asked for.

    `others` are findings that the same words of the query may also mean: one of them will do.
    """

    finding: str
    modifiers: tuple[str, ...]
    others: tuple[str, ...] = ()

    @property
    def choices(self) -> tuple[str, ...]:
        """Return the finding and the others."""
        return (self.finding, *self.others)


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
        absent=tuple(
            name for name in absent if name not in {choice for wanted in present for choice in wanted.choices}
        ),
        either=len(present) > 1 and bool(_EITHER.search(text.lower())),
        normal=is_normal,
        words=tuple(dict.fromkeys(words_of(text.lower(), analysis.negated))),
    )


def _wanted(mentions: list[Mention]) -> tuple[Wanted, ...]:
    """Join the mentions of one finding, and the findings that the same words may mean."""
    groups: list[list[Mention]] = []
    for mention in sorted(mentions, key=lambda found: (found.start - found.end, found.start)):
        home = next((group for group in groups if _belongs(mention, group)), None)
        if home is None:
            groups.append([mention])
        else:
            home.append(mention)
    groups.sort(key=lambda group: group[0].start)
    wanted = []
    for group in groups:
        implied = {
            broader
            for other in groups
            if other is not group
            for mention in other
            for broader in load_vocabulary().broader(mention.finding)
        }
        names = list(dict.fromkeys(mention.finding for mention in group))
        labels = sorted({label for mention in group for label in mention.modifiers})
        if names[0] not in implied:
            others = tuple(name for name in names[1:] if name not in implied)
            wanted.append(Wanted(names[0], tuple(labels), others))
    return tuple(wanted)


def _belongs(mention: Mention, group: list[Mention]) -> bool:
    return any(
        mention.finding == other.finding or (mention.start < other.end and other.start < mention.end) for other in group
    )
