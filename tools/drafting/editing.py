"""A draft as text that a person edits, and the edited text as a draft again: what is theirs is marked as theirs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tools.grounding.judge import Judgement
from tools.grounding.passages import Passage, passages_of
from tools.results import Claim, Draft

SECTIONS = {
    "technique": "TECHNIQUE",
    "findings": "FINDINGS",
    "impression": "IMPRESSION",
    "similar": "SIMILAR REPORTS OF OTHER PATIENTS",
    "limitations": "LIMITATIONS",
}
_FREE = ("INDICATION", "COMPARISON")
"""Headings that a draft has no place of its own for: their sentences are kept with the technique, under their name."""
TEMPLATES = {
    "As drafted": ("TECHNIQUE", "FINDINGS", "IMPRESSION", SECTIONS["similar"], "LIMITATIONS"),
    "Findings and impression": ("FINDINGS", "IMPRESSION", "LIMITATIONS"),
    "With indication and comparison": (*_FREE, "TECHNIQUE", "FINDINGS", "IMPRESSION", "LIMITATIONS"),
}  # fmt: skip
_HEADING = re.compile(
    r"^\s*(?P<name>" + "|".join(map(re.escape, (*SECTIONS.values(), *_FREE))) + r")\s*:?\s*$", re.IGNORECASE
)
Verdict = Literal["supported", "contradicted", "not covered"]


@dataclass(frozen=True)
class Line:
    """One sentence of the edited text."""

    heading: str
    text: str
    cited: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, frozenset[str]]:
        """What makes it the same sentence as one of the draft."""
        return " ".join(self.text.split()), frozenset(self.cited)


@dataclass(frozen=True)
class Checked:
    """A sentence with what the evidence says of it."""

    line: Line
    verdict: Verdict
    reason: str = ""
    evidence: tuple[str, ...] = ()
    drafted: Claim | None = None
    """The draft's own sentence; None: a person wrote it."""


def as_text(draft: Draft) -> str:
    """Return a draft as the text that a person edits: a heading a section, a sentence a line, its ids in brackets."""
    parts = []
    for name, heading in SECTIONS.items():
        claims: tuple[Claim, ...] = getattr(draft, name)
        if claims:
            parts.append("\n".join([heading, *(_written(c) for c in claims)]))
    return "\n\n".join(parts) + "\n"


def _written(claim: Claim) -> str:
    return " ".join(claim.text.split()) + "".join(f" [{i}]" for i in claim.evidence)


def by_template(text: str, template: str) -> str:
    """Return a text with the headings of a template, in its order; sentences under other headings are left out.

    Args:
        text: the text as it is.
        template: one of `TEMPLATES`.
    """
    written = _under_headings(text)
    parts = ["\n".join([heading, *written.get(heading, [])]) for heading in TEMPLATES[template]]
    return "\n\n".join(parts) + "\n"


def _under_headings(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    heading = SECTIONS["findings"]
    for row in text.splitlines():
        if match := _HEADING.match(row):
            heading = match["name"].upper()
            found.setdefault(heading, [])
        elif row.strip():
            found.setdefault(heading, []).append(row.strip())
    return found


def lines_of(text: str) -> list[Line]:
    """Return the sentences of an edited text; what stands before any heading is a finding."""
    return [
        Line(heading, passage.text, passage.cited)
        for heading, rows in _under_headings(text).items()
        for row in rows
        for passage in _sentences(row)
    ]


def _sentences(row: str) -> Sequence[Passage]:
    return passages_of(row) or [Passage(row)]  # a heading-like word is a sentence here: nothing gets lost


def checked(text: str, draft: Draft, judge: Callable[[Passage], Judgement]) -> list[Checked]:
    """Return what the evidence says of each sentence; those that the draft holds unchanged were checked then.

    Args:
        text: as it is edited.
        draft: what it was made from.
        judge: compares a sentence with the evidence.
    """
    written = {_written(c): c for c in draft.claims()}  # a sentence of the draft may hold several for a reader of text
    known = {Line("", c.text, c.evidence).key: c for c in draft.claims()}
    found: list[Checked] = []
    for heading, rows in _under_headings(text).items():
        for row in rows:
            if (own := written.get(" ".join(row.split()))) is not None:
                found.append(Checked(Line(heading, own.text, own.evidence), "supported", "", own.evidence, own))
                continue
            lines = [Line(heading, p.text, p.cited) for p in _sentences(row)]
            found += [_checked(line, known.get(line.key), judge) for line in lines]
    return found


def _checked(line: Line, drafted: Claim | None, judge: Callable[[Passage], Judgement]) -> Checked:
    if drafted is not None:
        return Checked(line, "supported", "", drafted.evidence, drafted)
    judged = judge(Passage(line.text, line.heading.lower(), line.cited))
    return Checked(line, judged.verdict, judged.reason, judged.evidence)


def edited_draft(draft: Draft, sentences: Sequence[Checked]) -> Draft:
    """Return the draft that an edited text is: a person's sentences say so in every copy, and what stands against them.

    Args:
        draft: what the text was made from.
        sentences: of the text, checked.
    """
    sections: dict[str, list[Claim]] = {name: [] for name in SECTIONS}
    names = {heading: name for name, heading in SECTIONS.items()}
    for sentence in sentences:
        sections[names.get(sentence.line.heading, "technique")].append(_claim(sentence))
    own = sum(s.drafted is None for s in sentences)
    count = f"{own} sentence{'' if own == 1 else 's'} by a person"
    return draft.model_copy(
        update={
            "summary": f"An edited draft with {count} was kept; research use, to be read by a person.",
            "files": (),
            "figures": (),
            **{name: tuple(claims) for name, claims in sections.items()},
        }
    )


def _claim(sentence: Checked) -> Claim:
    if sentence.drafted is not None:
        return sentence.drafted
    heading = sentence.line.heading
    text = f"{heading.capitalize()}: {sentence.line.text}" if heading in _FREE else sentence.line.text
    if sentence.verdict == "supported":
        return Claim(
            text=text, evidence=sentence.evidence, kind="by a person", note="by a person; agrees with the evidence"
        )
    against = "the evidence contradicts it" if sentence.verdict == "contradicted" else "no evidence covers it"
    return Claim(text=text, kind="by a person", note=f"by a person, not verified: {against}")


def changes(before: str, after: str) -> list[tuple[Literal["same", "added", "removed"], str]]:
    """Return what an edited text changes in the draft, line by line.

    Args:
        before: the draft as text.
        after: the text as it is.
    """
    kinds: dict[str, Literal["same", "added", "removed"]] = {" ": "same", "+": "added", "-": "removed"}
    rows = difflib.ndiff(_rows(before), _rows(after))
    return [(kinds[row[0]], row[2:]) for row in rows if row[0] in kinds]


def _rows(text: str) -> list[str]:
    return [row.strip() for row in text.splitlines() if row.strip()]
