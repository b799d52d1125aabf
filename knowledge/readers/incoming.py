"""What a reader hands to ingestion: a report, and the identifiers that its format says belong to the patient."""

import hashlib
import re
from dataclasses import dataclass
from datetime import date, datetime

from knowledge.report import Report, report_from_sections
from knowledge.sentences import split_sections


@dataclass(frozen=True)
class Incoming:
    """A report as it came, before masking.

    `identifiers` are texts that the format marks as the patient's or a physician's (names, numbers): masking looks for
    them in the report's text.
    """

    report: Report
    identifiers: tuple[str, ...] = ()


def make_id(source: str, key: str) -> str:
    """Return a stable report id that does not show the key it is made from (an accession number, a file name)."""
    prefix = re.sub(r"[^A-Za-z0-9]+", "-", source).strip("-")[:40] or "report"
    return f"{prefix}-{hashlib.sha256(f'{source}|{key}'.encode()).hexdigest()[:10]}"


def report_from_text(text: str, **fields: object) -> Report:
    """Build a report from a plain text whose sections are found by their headings."""
    cleaned = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    return Report.model_validate({"text": cleaned, "sections": split_sections(cleaned), **fields})


def report_from_parts(parts: list[tuple[str, str]], **fields: object) -> Report:
    """Build a report from (section, text) parts; a lone part without a section is split by its headings."""
    named = [(name, text) for name, text in parts if text.strip()]
    if all(name == "body" for name, _ in named):
        return report_from_text("\n".join(text for _, text in named), **fields)
    return report_from_sections(named, **fields)


def parse_date(text: str | None) -> date | None:
    """Return the date of 2026-11-23, 20261123, or either with a time behind it; None where it is none."""
    match = re.match(r"\s*(\d{4})-?(\d{2})-?(\d{2})", text or "")
    if not match:
        return None
    try:
        return datetime(int(match[1]), int(match[2]), int(match[3])).date()  # noqa: DTZ001  (a day has no zone)
    except ValueError:
        return None


def body_part_of(*texts: str | None) -> str | None:
    """Return the body part that a procedure's name speaks of."""
    joined = " ".join(text.lower() for text in texts if text)
    return next((part for part, words in _BODY_PARTS.items() if any(word in joined for word in words)), None)


def modality_of(*texts: str | None) -> str | None:
    """Return the DICOM modality code that a procedure's name speaks of."""
    joined = " ".join(text for text in texts if text)
    return next((code for code, pattern in _MODALITIES.items() if re.search(pattern, joined, re.IGNORECASE)), None)


_BODY_PARTS = {
    "chest": ("chest", "thorax", "lung", "cxr"),
    "abdomen": ("abdom", "liver", "kidney", "pelvis"),
    "brain": ("brain", "head", "cranial", "skull"),
    "spine": ("spine", "spinal", "lumbar", "cervical"),
    "breast": ("breast", "mammo"),
    "heart": ("heart", "cardiac", "echo"),
    "extremity": ("knee", "hip", "ankle", "wrist", "hand", "foot", "elbow", "shoulder", "femur", "tibia"),
}
_MODALITIES = {
    "CT": r"\bCT\b|\bCTA\b|computed tomograph",
    "MR": r"\bMRI?\b|\bMRA\b|magnetic resonance",
    "US": r"\bUS\b|ultraso",
    "MG": r"mammo",
    "PT": r"\bPET\b",
    "NM": r"scintigra|nuclear",
    "DX": r"x-?ray|radiograph|\bXR\b|\bCXR\b|\bDX\b|\bCR\b|\bfilm",
}
