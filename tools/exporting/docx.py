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
            _add_bookmark(document.add_paragraph(f"{number}. {_plain(line)}"), number)
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
        for place, number in enumerate(sentence.notes):
            paragraph.add_run(", " if place else " ").font.superscript = True
            _add_link(paragraph, number)


def _add_link(paragraph: Any, number: int) -> None:
    """Add a raised number that leads to its line of evidence; python-docx has no call for links within a document."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn
    from docx.text.run import Run

    link, element = OxmlElement("w:hyperlink"), OxmlElement("w:r")
    link.set(qn("w:anchor"), f"evidence_{number}")
    link.append(element)
    _element_of(paragraph).append(link)
    run = Run(element, paragraph)
    run.text, run.font.superscript, run.font.underline = str(number), True, True


def _add_bookmark(paragraph: Any, number: int) -> None:
    """Make a line of evidence a place that links lead to."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    start, end = OxmlElement("w:bookmarkStart"), OxmlElement("w:bookmarkEnd")
    for mark in (start, end):
        mark.set(qn("w:id"), str(number))
    start.set(qn("w:name"), f"evidence_{number}")
    _element_of(paragraph).insert(0, start)
    _element_of(paragraph).append(end)


def _element_of(paragraph: Any) -> Any:
    return paragraph._p  # noqa: SLF001  python-docx has no public name for it


def _plain(text: str) -> str:
    """Return text without the control characters that XML cannot hold."""
    return _NOT_XML.sub("\ufffd", text)
