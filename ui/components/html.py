"""HTML from text: everything is escaped here, once. No other module of the page writes a value into markup."""

from __future__ import annotations

from datetime import date
from html import escape

from ui.render import clean


def text(value: object, *, keep_lines: bool = False) -> str:
    """Return a value as text that no browser takes for markup, template or control characters."""
    shown = escape(clean(str(value), keep_lines=keep_lines), quote=True)
    return shown.replace("{", "&#123;").replace("}", "&#125;").replace("$", "&#36;").replace("@", "&#64;")


def element(tag: str, *children: str, css: str = "", **attributes: str) -> str:
    """Return an element.

    Args:
        tag: its name.
        children: markup; pass values through `text` first.
        css: its class.
        attributes: values are escaped here; a trailing underscore is cut off, others become hyphens.
    """
    given = {"class": css} if css else {}
    given |= {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    shown = "".join(f' {name}="{text(value)}"' for name, value in given.items())
    return f"<{tag}{shown}>{''.join(children)}</{tag}>"


def day_text(iso: str) -> str:
    """Return a date of the form 2026-01-02 as "2 Jan 2026"; empty for nothing."""
    return f"{date.fromisoformat(iso):%-d %b %Y}" if iso else ""


def image(source: str, alt: str) -> str:
    """Return a picture."""
    return f'<img src="{text(source)}" alt="{text(alt)}" loading="eager">'
