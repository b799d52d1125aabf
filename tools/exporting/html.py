"""A document as one HTML file: no script, nothing fetched, pictures inside it, every number a link to its evidence."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

from tools.exporting.page import Page, Section

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
sup a { text-decoration: none; padding: 0 .1em; } li:target, p:target { background: #fff3c4; }
table { border-collapse: collapse; } td, th { border: 1px solid #999; padding: .2rem .5rem; text-align: left; }
figure { margin: 1rem 0; } img { max-width: 100%; } .notice, figcaption { font-style: italic; }
@media print { sup a { color: inherit; } }
"""


def write_html(page: Page, path: Path) -> None:
    """Write a document as HTML; text from elsewhere is shown as text."""
    body = [f"<h1>{escape(page.title)}</h1>"]
    if page.marks:
        body.append(f"<p><strong>{escape(', '.join(page.marks).upper())}</strong></p>")
    body += [f'<p class="notice">{escape(page.notice)}</p>', f"<p>{escape(page.byline)}</p>"]
    first: dict[int, str] = {}
    for number, section in enumerate(page.sections):
        body += [f"<h2>{escape(section.title)}</h2>", *_body(section, f"s{number}", first)]
    if page.evidence:
        body.append("<h2>Evidence</h2><ol>")
        for number, line in enumerate(page.evidence, 1):
            back = f' <a href="#{first[number]}" title="back to the sentence">↩</a>' if number in first else ""
            body.append(f'<li id="evidence-{number}">{escape(line)}{back}</li>')
        body.append("</ol>")
    body += [_figure(picture, caption) for picture, caption in page.pictures]
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{escape(page.title)}</title><style>{_STYLE}</style>"
    )
    text = "\n".join(["<!doctype html>", f'<html lang="en"><head>{head}</head><body>', *body, "</body></html>"])
    path.write_text(text + "\n", encoding="utf-8")


def _body(section: Section, prefix: str, first: dict[int, str]) -> list[str]:
    parts = []
    if section.table:
        head, *rows = section.table
        cells = ["".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows]
        titles = "".join(f"<th>{escape(cell)}</th>" for cell in head)
        parts.append(f"<table><tr>{titles}</tr>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>")
    for place, sentence in enumerate(section.sentences):
        anchor = f"{prefix}-{place}"
        for number in sentence.notes:
            first.setdefault(number, anchor)
        links = ", ".join(f'<a href="#evidence-{n}" title="evidence {n}">{n}</a>' for n in sentence.notes)
        parts.append(f'<p id="{anchor}">{escape(sentence.text)}{f" <sup>{links}</sup>" if links else ""}</p>')
    return parts


def _figure(picture: Path, caption: str) -> str:
    data = base64.b64encode(picture.read_bytes()).decode("ascii")
    said = escape(caption)
    return f'<figure><img alt="{said}" src="data:image/png;base64,{data}"><figcaption>{said}</figcaption></figure>'
