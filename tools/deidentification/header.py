"""DICOM headers after PS3.15 annex E: the Basic Profile, stricter for text, with dates moved or removed.

The table of attributes is that of dicom-anonymizer, which follows the standard. Above the table stands a rule of our
own: text survives only where each value is one of the terms in terms.toml, in every element, however deep, because the
profile keeps what it does not know. Numbers survive, codes of public schemes survive with the scheme's own meaning,
binary data survive only where they are pixels or their look-up tables.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tools.deidentification.pseudonyms import Pseudonyms, shifted

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset
    from pydicom.tag import BaseTag

TABLE = "dicomfields_2026c"
Dates = Literal["shift", "remove"]
Action = Literal["removed", "emptied", "replaced", "uid replaced", "date moved"]

_TEXT = frozenset({"AE", "AS", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
_NUMBERS = frozenset({"US", "SS", "UL", "SL", "UV", "SV", "FL", "FD", "AT", "US or SS"})
_BINARY = frozenset({"OB", "OW", "OF", "OD", "OL", "OV", "UN", "OB or OW", "US or OW", "US or SS or OW"})
_KEPT_BINARY = re.compile(
    r"PixelData|FloatPixelData|DoubleFloatPixelData|LUTData|(Red|Green|Blue|Alpha)PaletteColorLookupTableData"
)
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_KERNEL = re.compile(r"[A-Z][a-z]?\d{2}[a-z]?")  # Siemens: B30f, Br40d
_OWN = frozenset({"PatientName", "PatientID"})
_BIRTH = frozenset(
    {"PatientBirthDate", "PatientBirthDateInAlternativeCalendar", "PatientDeathDateInAlternativeCalendar"}
)


@dataclass
class Removed:
    """What was done, by attribute; never a value."""

    counts: Counter[tuple[str, str, Action]] = field(default_factory=Counter)
    """(tag, keyword, action) → how often."""

    def note(self, tag: BaseTag, action: Action) -> None:
        """Count one element."""
        from pydicom.datadict import keyword_for_tag

        keyword = "private" if tag.is_private else keyword_for_tag(tag) or "unknown"
        self.counts[(f"({tag.group:04X},{tag.element:04X})", keyword, action)] += 1

    def rows(self) -> list[dict[str, str | int]]:
        """Return the table for a report, in the order of the tags."""
        return [
            {"tag": tag, "attribute": keyword, "action": action, "count": count}
            for (tag, keyword, action), count in sorted(self.counts.items())
        ]


class HeaderCleaner:
    """Cleans the headers of one patient's files.

    Args:
        pseudonyms: what stands for uids and patients.
        dates: move them by the patient's own number of days, or remove them.
        removed: where it is counted.
    """

    def __init__(self, pseudonyms: Pseudonyms, dates: Dates, removed: Removed) -> None:
        self._pseudonyms = pseudonyms
        self._dates = dates
        self._removed = removed

    def clean(self, dataset: Dataset) -> None:
        """Clean a header in place; the file's meta group and preamble are the writer's to make anew."""
        identity = identity_of(dataset)
        self._days = self._pseudonyms.shift_days(identity)
        self._level(dataset, is_top=True)
        pseudonym = self._pseudonyms.patient(identity)
        dataset.PatientName, dataset.PatientID = f"{pseudonym}^", pseudonym

    def _level(self, dataset: Dataset, *, is_top: bool) -> None:
        for element in self._elements(dataset):
            keyword = element.keyword
            if is_top and keyword in _OWN:
                self._removed.note(element.tag, "replaced")
            elif element.tag.is_private or not keyword or element.tag.group >> 8 in (0x50, 0x60):
                self._remove(dataset, element)
            elif element.VR == "SQ":
                self._sequence(dataset, element)
            else:
                self._value(dataset, element)

    def _elements(self, dataset: Dataset) -> Iterator[DataElement]:
        """Yield elements, decoded; one that cannot be decoded is removed: nobody knows what it holds."""
        from tools.imaging.reasons import parse_errors

        for tag in list(dataset.keys()):
            try:
                element = dataset[tag]
            except parse_errors():
                del dataset[tag]
                self._removed.note(tag, "removed")
            else:
                yield element

    def _remove(self, dataset: Dataset, element: DataElement) -> None:
        self._removed.note(element.tag, "removed")
        del dataset[element.tag]

    def _sequence(self, dataset: Dataset, element: DataElement) -> None:
        if "X" in _table().get(int(element.tag), "") and "U" not in _table()[int(element.tag)]:
            self._remove(dataset, element)
            return
        items = list(element.value or [])
        kept = []
        for item in items:
            if "CodeMeaning" in item:
                if not _is_public_code(item):
                    continue
            else:
                self._level(item, is_top=False)
            kept.append(item)
        if items and not kept:
            self._remove(dataset, element)
        elif len(kept) < len(items):
            self._removed.note(element.tag, "removed")
            element.value = kept

    def _value(self, dataset: Dataset, element: DataElement) -> None:
        vr, action = str(element.VR), _table().get(int(element.tag), "")
        if vr == "UI":
            self._uids(element)
        elif vr in ("DA", "DT", "TM"):
            self._time(dataset, element, action)
        elif vr in _BINARY:
            if not _KEPT_BINARY.fullmatch(element.keyword):
                self._remove(dataset, element)
        elif action:
            self._by_table(dataset, element, action)
        elif vr in ("DS", "IS"):
            if not all(_NUMBER.fullmatch(str(v)) for v in _values(element)):
                self._remove(dataset, element)
        elif vr not in _NUMBERS:
            self._text(dataset, element)

    def _by_table(self, dataset: Dataset, element: DataElement, action: str) -> None:
        """Remove where the profile allows it at all; else leave the element empty."""
        if _is_empty(element):
            return
        if action == "X":
            self._remove(dataset, element)
            return
        element.value = None
        self._removed.note(element.tag, "emptied")

    def _uids(self, element: DataElement) -> None:
        from pydicom.uid import UID

        values = [str(v) for v in _values(element)]
        new = [v if not v or UID(v).name != v else self._pseudonyms.uid(v) for v in values]  # the standard's own stay
        if new != values:
            element.value = new if len(new) > 1 else new[0]
            self._removed.note(element.tag, "uid replaced")

    def _time(self, dataset: Dataset, element: DataElement, action: str) -> None:
        if _is_empty(element):
            return
        if self._dates == "remove" or element.keyword in _BIRTH:
            self._by_table(dataset, element, action or "X")
            return
        values = [str(v) for v in _values(element)]
        if element.VR == "TM":
            if not all(re.fullmatch(r"\d{2,6}(\.\d{1,6})?", v.strip()) for v in values):
                self._by_table(dataset, element, action or "X")
            return
        moved = [new for v in values if (new := shifted(v, self._days))]
        if len(moved) < len(values):
            self._by_table(dataset, element, action or "X")
            return
        element.value = moved if len(moved) > 1 else moved[0]
        self._removed.note(element.tag, "date moved")

    def _text(self, dataset: Dataset, element: DataElement) -> None:
        values = [str(v) for v in _values(element)]
        if all(_is_term(v, element.keyword) for v in values):
            return
        if element.keyword == "ImageType":  # its places mean something: an unknown word leaves its place to another
            element.value = [v if _is_term(v, element.keyword) else "OTHER" for v in values]
            self._removed.note(element.tag, "replaced")
        elif element.keyword == "Manufacturer":  # must be there, may be empty
            element.value = ""
            self._removed.note(element.tag, "emptied")
        else:
            self._remove(dataset, element)


def identity_of(dataset: Dataset) -> str:
    """Return what tells a patient from others: the id, else the name, else the study."""
    from tools.imaging.dicom_header import text_of

    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "SOPInstanceUID"):
        if text := text_of(dataset, keyword):
            return f"{keyword}\0{text}"
    return ""


@cache
def terms() -> dict[str, frozenset[str]]:
    """Return the words that may stay, by what they are about."""
    data = tomllib.loads(Path(__file__).with_name("terms.toml").read_text(encoding="utf-8"))
    return {name: frozenset(words) for name, words in data.items()}


def _is_term(value: str, keyword: str) -> bool:
    plain = value.strip()
    if not plain or any(plain in words for name, words in terms().items() if name != "markers"):
        return True
    if keyword == "StackID":
        return plain.isdigit() and len(plain) <= 3
    return keyword == "ConvolutionKernel" and bool(_KERNEL.fullmatch(plain))


@cache
def _table() -> dict[int, str]:
    """Return the action codes of PS3.15 table E.1-1 by tag: X, Z, D, U and their mixtures."""
    from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector

    groups = dicom_anonymization_database_selector(TABLE)
    codes = {
        "X_TAGS": "X", "Z_TAGS": "Z", "D_TAGS": "D", "U_TAGS": "U", "Z_D_TAGS": "Z/D", "X_Z_TAGS": "X/Z",
        "X_D_TAGS": "X/D", "X_Z_D_TAGS": "X/Z/D", "X_Z_U_STAR_TAGS": "X/Z/U",
    }  # fmt: skip
    return {tag[0] << 16 | tag[1]: code for name, code in codes.items() for tag in groups[name] if len(tag) == 2}


@cache
def _public_codes() -> dict[tuple[str, str], str]:
    from pydicom.sr.codedict import codes

    found = {}
    for scheme in ("SCT", "DCM", "UCUM", "LN", "RADLEX", "NCIt", "FMA"):
        for code in getattr(codes, scheme).concepts.values():
            found[(scheme, str(code.value))] = str(code.meaning)
    return found


def _is_public_code(item: Dataset) -> bool:
    """Say whether a code is of a public scheme, and let nothing but it stand in its item."""
    scheme, value = str(item.get("CodingSchemeDesignator", "")), str(item.get("CodeValue", ""))
    meaning = _public_codes().get((scheme, value))
    if meaning is None:
        return False
    for tag in list(item.keys()):
        del item[tag]
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning[:64]
    return True


def _values(element: DataElement) -> list[object]:
    from pydicom.multival import MultiValue

    value = element.value
    if value is None:
        return []
    return list(value) if isinstance(value, MultiValue | list) else [value]


def _is_empty(element: DataElement) -> bool:
    return all(str(v) == "" for v in _values(element))
