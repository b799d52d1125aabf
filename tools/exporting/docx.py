"""A document as a Word file, with the research-use notice in every page's foot."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tools.exporting.page import Page, Section

_FOOT = "Research use only. Not a medical device."
_NOT_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def write_docx(page: Page, path: Path) -> None:
    """Write a document as DOCX: headings, sentences with numbered evidence, tables, pictures."""
    from docx import Document
    from docx.shared import Cm

    document = Document()
    document.core_properties.author = "Reading Room"
    document.core_properties.title = page.title
    marks = f" {', '.join(page.marks).upper()}." if page.marks else ""
    document.sections[0].footer.paragraphs[0].text = f"{_FOOT}{marks}"
    document.add_heading(_plain(page.title), level=0)
    if page.marks:
        document.add_paragraph().add_run(_plain(", ".join(page.marks).upper())).bold = True
    document.add_paragraph().add_run(_plain(page.notice)).italic = True
    document.add_paragraph(_plain(page.byline))
    for section in page.sections:
        document.add_heading(_plain(section.title), level=1)
        _add_body(document, section)
    if page.evidence:
        document.add_heading("Evidence", level=1)
        for number, line in enumerate(page.evidence, 1):
            document.add_paragraph(f"{number}. {_plain(line)}")
    for picture, caption in page.pictures:
        document.add_picture(str(picture), width=Cm(15))
        document.add_paragraph().add_run(_plain(caption)).italic = True
    document.save(str(path))


def _add_body(document: Any, section: Section) -> None:
    if section.table:
        table = document.add_table(rows=0, cols=len(section.table[0]))
        table.style = "Table Grid"
        for row in section.table:
            for cell, text in zip(table.add_row().cells, row, strict=True):
                cell.text = _plain(text)
    for sentence in section.sentences:
        paragraph = document.add_paragraph(_plain(sentence.text))
        if sentence.notes:
            paragraph.add_run(f" {', '.join(map(str, sentence.notes))}").font.superscript = True


def _plain(text: str) -> str:
    """Return text without the control characters that XML cannot hold."""
    return _NOT_XML.sub("\ufffd", text)
