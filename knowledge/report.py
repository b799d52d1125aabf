"""A report: its text, the sections in it, and what is known about the study."""

import hashlib
from datetime import date
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

ReportId = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\s\[\]@#]+$")]
"""Printed in answers as [CXR1234], so it holds no blank, bracket, @ or #."""


class Section(BaseModel):
    """A named stretch of a report's text.

    `name` is one of "findings", "impression", "indication", "comparison", "technique", "history", "recommendation", or
    "body" for text under no heading. `start` and `end` are character offsets into `Report.text`, end exclusive.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    start: int = Field(ge=0)
    end: int = Field(ge=0)


class Report(BaseModel):
    """One report. Every offset elsewhere (sections, sentences, findings) counts characters of `text`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: ReportId
    text: str
    sections: tuple[Section, ...]
    source: str
    """Collection or system that it came from, such as "openi"."""
    title: str = ""
    modality: str | None = None
    """DICOM code: "DX", "CT", "MR", "US", … None: unknown."""
    body_part: str | None = None
    study_date: date | None = None
    patient: str | None = None
    """A key that tells patients apart; never a name. Masking turns an identifier into such a key."""
    licence: str = ""
    images: tuple[str, ...] = ()
    """Ids of the images reported on."""

    @model_validator(mode="after")
    def _sections_lie_in_the_text(self) -> "Report":
        for section in self.sections:
            if not section.start <= section.end <= len(self.text):
                raise ValueError(
                    f"section {section.name!r} must lie in the text of {len(self.text)} characters, "
                    f"got {section.start} to {section.end}"
                )
        return self

    @property
    def content_hash(self) -> str:
        """Return 32 hex digits that change with anything in the report."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:32]

    def section_text(self, name: str) -> str:
        """Return the text of the sections of that name, joined by a blank line; empty where there is none."""
        return "\n\n".join(self.text[part.start : part.end] for part in self.sections if part.name == name)


def report_from_sections(sections: list[tuple[str, str]], **fields: object) -> Report:
    """Build a report whose text is its sections under their headings.

    Args:
        sections: (name, text) in order; empty texts are left out.
        fields: the other fields of `Report`.
    """
    text, parts = "", []
    for name, body in sections:
        stripped = body.strip()
        if not stripped:
            continue
        text += f"{name.upper()}: "
        parts.append(Section(name=name, start=len(text), end=len(text) + len(stripped)))
        text += f"{stripped}\n"
    return Report.model_validate({"text": text, "sections": tuple(parts), **fields})
