"""A document as PDF, with the research-use notice on every page."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from tools.exporting.page import Page, Section

_FOOT = "Research use only. Not a medical device."
_FONT = "Helvetica"
_KNOWN = {"−": "-", "≥": ">=", "≤": "<=", "→": "->", "ρ": "rho", "σ": "sigma", "×": "x", "–": "-", "…": "..."}
# the standard PDF fonts hold Latin-1 and a few more; anything else would print as a black square


def write_pdf(page: Page, path: Path) -> tuple[str, ...]:
    """Write a document as PDF.

    Returns:
        Notes: characters that the font cannot show were replaced by a question mark.
    """
    from reportlab.lib.pagesizes import A4
    from reportlab.platypus import SimpleDocTemplate

    lost: set[str] = set()
    document = SimpleDocTemplate(
        str(path), pagesize=A4, title=page.title, author="Reading Room", subject=page.notice, invariant=1
    )
    marks = f" {', '.join(page.marks).upper()}." if page.marks else ""

    def foot(canvas: Any, template: Any) -> None:
        canvas.setFont(_FONT, 8)
        canvas.drawString(template.leftMargin, 28, f"{_FOOT}{marks}")
        canvas.drawRightString(A4[0] - template.rightMargin, 28, f"Page {canvas.getPageNumber()}")

    document.build(_story(page, lost), onFirstPage=foot, onLaterPages=foot)
    if not lost:
        return ()
    return (f"The PDF's font cannot show {len(lost)} character(s) ({' '.join(sorted(lost)[:10])}): they read '?'.",)


def _story(page: Page, lost: set[str]) -> list[Any]:
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import Paragraph, Spacer

    styles = getSampleStyleSheet()
    story: list[Any] = [Paragraph(_text(page.title, lost), styles["Title"])]
    if page.marks:
        story.append(Paragraph(f"<b>{_text(', '.join(page.marks).upper(), lost)}</b>", styles["Normal"]))
    story += [Paragraph(f"<i>{_text(page.notice, lost)}</i>", styles["Normal"])]
    story += [Paragraph(_text(page.byline, lost), styles["Normal"]), Spacer(1, 8)]
    for section in page.sections:
        story.append(Paragraph(_text(section.title, lost), styles["Heading2"]))
        story += _body(section, styles, lost)
    if page.evidence:
        story.append(Paragraph("Evidence", styles["Heading2"]))
        for number, line in enumerate(page.evidence, 1):
            text = f'<a name="evidence-{number}"/>{number}. {_text(line, lost)}'
            story.append(Paragraph(text, styles["Normal"]))
    for picture, caption in page.pictures:
        story += [Spacer(1, 10), _picture(picture), Paragraph(_text(caption, lost), styles["Italic"])]
    return story


def _body(section: Section, styles: Any, lost: set[str]) -> list[Any]:
    from reportlab.lib import colors
    from reportlab.platypus import Paragraph, Table

    if section.table:
        cells = [[Paragraph(_text(cell, lost), styles["BodyText"]) for cell in row] for row in section.table]
        table = Table(cells, repeatRows=1)
        grid = ("GRID", (0, 0), (-1, -1), 0.4, colors.grey)
        table.setStyle([grid, ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke)])
        return [table]
    found = []
    for sentence in section.sentences:
        links = ", ".join(f'<a href="#evidence-{n}" color="blue">{n}</a>' for n in sentence.notes)
        notes = f" <super>{links}</super>" if links else ""
        found.append(Paragraph(_text(sentence.text, lost) + notes, styles["Normal"]))
    return found


def _picture(path: Path) -> Any:
    from reportlab.lib.units import cm
    from reportlab.platypus import Image

    picture = Image(str(path))
    scale = min(16 * cm / picture.imageWidth, 20 * cm / picture.imageHeight, 1.0)
    picture.drawWidth, picture.drawHeight = picture.imageWidth * scale, picture.imageHeight * scale
    return picture


def _text(text: str, lost: set[str]) -> str:
    """Return text that the font can show, with everything that reads like markup made plain."""
    kept = []
    for character in text:
        plain = _KNOWN.get(character, character)
        try:
            plain.encode("cp1252")
        except UnicodeEncodeError:
            lost.add(character)
            plain = "?"
        kept.append(plain)
    return escape("".join(kept))
