"""Coded names of structures, quantities and units for DICOM and FHIR, as data in codes.toml."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from highdicom.sr import CodedConcept

SCHEME = "99READINGROOM"
"""Coding scheme of what no public scheme names."""


class Coding(NamedTuple):
    """A code with its scheme and meaning."""

    value: str
    scheme: str
    """DICOM coding scheme designator: SCT, DCM, UCUM, or our own."""
    meaning: str


class Structure(NamedTuple):
    """How a target is coded."""

    category: Coding
    type: Coding
    side: Coding | None
    exact: bool
    """False where the code is broader than the target; the label says what was meant."""


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("codes.toml").read_text(encoding="utf-8"))


def structure(target: str) -> Structure:
    """Return the codes of a target: `lung_left` is lung with the side left."""
    data = _data()
    side = next((s for s in ("left", "right") if s in target.split("_")), "")
    base = re.sub(r"_(left|right)(?=_|$)", "", target)
    category = _coding(data["category"]["anatomy"])
    sided = _coding(data["side"][side]) if side else None
    if base in data["structure"]:
        return Structure(category, _coding(data["structure"][base]), sided, exact=True)
    for prefix, code in data["prefix"].items():
        if base.startswith(prefix):
            return Structure(category, _coding(code), sided, exact=False)
    tissue = _coding(data["category"]["tissue"])
    return Structure(tissue, tissue, sided, exact=False)


def quantity(name: str) -> Coding:
    """Return the code of a measured quantity; our own where no public code is in the table."""
    known = _data()["quantity"].get(name)
    if known:
        return _coding(known)
    plain = re.sub(r"[^A-Za-z0-9]", "_", name)[:16].upper()
    return Coding(plain, SCHEME, name.replace("_", " ")[:64])


def unit(name: str) -> Coding:
    """Return the UCUM code of a unit of ours."""
    known = _data()["unit"].get(name)
    if known:
        return Coding(known, "UCUM", name or "no units")
    return Coding(name or "1", "UCUM", name or "no units")


def concept(coding: Coding) -> CodedConcept:
    """Return a code in highdicom's form."""
    from highdicom.sr import CodedConcept as Concept

    return Concept(coding.value, coding.scheme, coding.meaning[:64])


def _coding(given: list[str]) -> Coding:
    value, meaning, *scheme = given
    return Coding(value, scheme[0] if scheme else "SCT", meaning)


def concept_uri(scheme: str) -> str:
    """Return the URI that FHIR knows a DICOM coding scheme by."""
    return str(_data()["uri"].get(scheme, f"urn:readingroom:codes:{scheme}"))
