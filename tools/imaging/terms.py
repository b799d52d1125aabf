"""The words that are taken over from a DICOM header: terms of the standard, never free text of a file's maker."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

OTHER_VIEW = "OTHER"
"""A view that is named, but by no known word: it is not the one that a model asks for."""


@cache
def _terms() -> Mapping[str, Any]:
    table: dict[str, Any] = tomllib.loads(Path(__file__).with_name("terms.toml").read_text(encoding="utf-8"))
    return table


def body_part_term(text: str) -> str:
    """Return BodyPartExamined as a term in upper case, variants joined (BRAIN is HEAD); "" where it is none.

    Of several words the first counts where all of them together are no term ("CHEST PA").
    """
    words: list[str] = re.findall(r"[A-Z0-9]+", text.upper())
    parts: list[str] = _terms()["body_parts"]
    other: dict[str, str] = _terms()["body_part_is"]
    for plain in ("".join(words), *words[:1]):
        if plain in other:
            return other[plain]
        if plain in parts:
            return plain
    return ""


def modality_term(text: str) -> str:
    """Return a Modality as a term in upper case; "" where it is none."""
    plain = text.strip().upper()
    modalities: list[str] = _terms()["modalities"]
    return plain if plain in modalities else ""


def view_term(text: str) -> str:
    """Return the known words of a ViewPosition in upper case, `OTHER_VIEW` where none is known; "" stays ""."""
    words = re.findall(r"[A-Z]+", text.upper())
    return " ".join(w for w in words if w in _terms()["views"]) or (OTHER_VIEW if words else "")
