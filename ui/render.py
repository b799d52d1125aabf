"""Words for what a run made: pure functions, the same for the terminal and the page.

Whatever comes from a file, a report, a tag or a language model is text here. `clean` takes its control characters
away, so that nothing can drive a terminal; the page escapes it besides.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.claims import readable, shown_with_uncertainty
from tools.results import Claim, Draft, Hits, Measurement, Measurements

if TYPE_CHECKING:
    from agent.answer import Answer
    from tools.facts import AttachmentFacts
    from tools.workspace import Artifact

RESEARCH_USE = "Research use only. Not a medical device: a person reads, checks and signs."
_JOINERS = "\u200c\u200d"
"""Marks that join or part letters: Persian and other scripts are not written right without them."""


@dataclass(frozen=True)
class Cited:
    """A sentence of a stored report that the answer leans on."""

    report_id: str
    section: str
    sentence: str
    why: str
    source: str


@dataclass(frozen=True)
class FileLine:
    """One file that a step wrote for a person."""

    step: str
    tool: str
    path: Path
    what: str


@dataclass(frozen=True)
class Paragraph:
    """One part of a draft report."""

    title: str
    claims: tuple[Claim, ...]


def clean(text: str, *, keep_lines: bool = False) -> str:
    """Return text without control characters, marks that turn the direction of writing, and others nobody sees.

    Args:
        text: anything.
        keep_lines: keep line breaks; else they become blanks.
    """
    out = []
    for character in text:
        if character in "\n\r\t":
            out.append("\n" if keep_lines and character == "\n" else " ")
        elif unicodedata.category(character) in ("Cc", "Cf") and character not in _JOINERS:
            out.append("�")
        else:
            out.append(character)
    return "".join(out)


def seconds_text(seconds: float) -> str:
    """Return a duration for a person: "0.3 s", "12 s", "2 min 05 s"."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def bytes_text(count: float) -> str:
    """Return an amount of bytes for a person: "512 B", "34.8 MB"."""
    if count < 1000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 1000:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} TB"


def argument_text(args: Mapping[str, Any]) -> str:
    """Return a step's arguments in one line: `image=@img1 targets=lungs, body`."""
    return "  ".join(f"{name}={_value(value)}" for name, value in args.items() if value not in (None, [], "", {}))


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_value(v) for v in value)
    if isinstance(value, str):
        return clean(value)
    return str(value)


def facts_text(facts: AttachmentFacts) -> str:
    """Return what is known of an attachment in one line: `img1 · CT (voxel values) · 3-D`."""
    parts = [facts.id]
    if facts.kind == "image":
        source = f" ({facts.modality_source})" if facts.modality_source not in ("", "header") else ""
        parts.append(f"{clean(facts.modality)}{source}" if facts.modality else "modality unknown")
        parts.append(f"{facts.dims}-D")
        if facts.has_spacing is False:
            parts.append("no spacing: no millimetres")
    else:
        parts.append(facts.kind)
    if facts.body_part:
        parts.append(clean(facts.body_part).capitalize())
    if facts.label:
        parts.append(clean(facts.label))
    if facts.prior:
        parts.append("prior study")
    return " · ".join(parts)


_DECIDERS = {"examples": "the nearest example requests", "rules": "rules", "follow-up": "the results so far"}


def decider_text(decided_by: str) -> str:
    """Return who made a plan, in words: a language model's name, or what else decided."""
    return clean(_DECIDERS.get(decided_by, decided_by.removeprefix("llm ")))


def evidence_text(evidence: Iterable[str]) -> str:
    """Return evidence ids as they are printed behind a sentence: `[s2] [CXR1234]`."""
    return " ".join(f"[{clean(e)}]" for e in evidence)


def quantity_text(row: Measurement) -> str:
    """Return a quantity in words: `mean_intensity` → "mean intensity"."""
    return row.quantity.replace("_", " ")


def value_text(row: Measurement) -> str:
    """Return a value with its unit, or with a note that there is none."""
    return shown_with_uncertainty(row) if row.unit else f"{shown_with_uncertainty(row)} (no unit)"


def target_text(target: str) -> str:
    """Return a class name in words, without control characters."""
    return clean(readable(target))


def measurements_of(artifacts: Iterable[Artifact]) -> list[tuple[str, Measurement]]:
    """Return (step id, measurement) for every row that was measured."""
    return [
        (artifact.id, row)
        for artifact in artifacts
        if artifact.kind == "measurements"
        for row in Measurements.model_validate(artifact.data).rows
    ]


def cited_of(artifacts: Iterable[Artifact]) -> list[Cited]:
    """Return the report sentences that were found, each report once, best first."""
    found: dict[str, Cited] = {}
    for artifact in artifacts:
        if artifact.kind != "hits":
            continue
        for hit in Hits.model_validate(artifact.data).hits:
            found.setdefault(
                hit.report_id, Cited(hit.report_id, hit.section, clean(hit.sentence), clean(hit.why), hit.source)
            )
    return list(found.values())


def paragraphs_of(draft: Draft) -> list[Paragraph]:
    """Return the parts of a draft that have text, in reading order."""
    parts = (
        Paragraph("Technique", draft.technique),
        Paragraph("Findings", draft.findings),
        Paragraph("Impression", draft.impression),
        Paragraph("Similar reports of other patients", draft.similar),
        Paragraph("Limitations", draft.limitations),
    )
    return [p for p in parts if p.claims]


def files_of(answer: Answer) -> list[FileLine]:
    """Return every file that the steps wrote for a person, in the order of the steps."""
    return list(_files(answer))


def _files(answer: Answer) -> Iterator[FileLine]:
    for artifact in answer.artifacts:
        for name in artifact.files:
            path = Path(answer.folder) / "artifacts" / artifact.id / name
            yield FileLine(artifact.id, artifact.provenance.tool, path, file_kind(name))


def figures_of(answer: Answer) -> list[FileLine]:
    """Return the pictures that show the results."""
    figures = {(a.id, name) for a in answer.artifacts for name in a.data.get("figures", ())}
    return [f for f in files_of(answer) if (f.step, f.path.name) in figures]


_FILE_KINDS = {
    ".nii.gz": "NIfTI mask or image",
    ".nii": "NIfTI mask or image",
    ".png": "picture",
    ".md": "Markdown",
    ".csv": "table",
    ".json": "JSON",
    ".jsonl": "run record",
    ".dcm": "DICOM",
}


def file_kind(name: str) -> str:
    """Return in a word or two what a file is, from the end of its name."""
    for suffix, kind in _FILE_KINDS.items():
        if name.lower().endswith(suffix):
            return kind
    return "file"


def held_back_of(answer: Answer) -> tuple[str, ...]:
    """Return every sentence that was not shown as true, each with its reason: the answer's, its draft's, an LLM's."""
    drafted = (*answer.draft.held_back, *answer.draft.thrown_away) if answer.draft else ()
    return tuple(dict.fromkeys((*answer.held_back, *drafted)))
