"""Who an image is of, as far as its header says: hashes to compare, never a name to show."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tools.results import Image

if TYPE_CHECKING:
    from tools.workspace import Workspace

KEYWORDS = ("PatientID", "PatientName", "PatientBirthDate")
_PLACEHOLDER = re.compile(r"(?:anon\w*|de-?id\w*|unknown|none|null|test\w*|patient|subject|n/?a|[x0*.^ -]*)", re.I)


@dataclass(frozen=True)
class Patient:
    """Hashes of what a header says of its patient; empty where it is silent."""

    PatientID: str = ""
    PatientName: str = ""
    PatientBirthDate: str = ""
    is_placeholder: bool = False
    """Whether the id is a word that de-identification puts there."""

    def differs_from(self, other: Patient) -> str:
        """Return the keyword by which these are two patients, or "".

        The name alone speaks where an id is missing only: people change it, and it is spelt in many ways.
        """
        for key in ("PatientID", "PatientBirthDate"):
            if _both(self, other, key) and getattr(self, key) != getattr(other, key):
                return key
        if not _both(self, other, "PatientID") and _both(self, other, "PatientName"):
            return "PatientName" if self.PatientName != other.PatientName else ""
        return ""

    def may_be(self, other: Patient) -> bool:
        """Return whether both name one patient as far as they go: the id, or without one the name."""
        known = _both(self, other, "PatientID") or _both(self, other, "PatientName")
        return known and not self.differs_from(other)

    def is_surely(self, other: Patient) -> bool:
        """Return whether both are one patient beyond doubt: the same id, and the same name or birth date beside it.

        An id alone is not enough to look something up by: two hospitals give the same one to two people, and a
        placeholder such as ANONYMOUS stands for anybody.
        """
        if self.is_placeholder or other.is_placeholder:
            return False
        if not _both(self, other, "PatientID") or self.differs_from(other):
            return False
        born = _both(self, other, "PatientBirthDate")
        return born or (_both(self, other, "PatientName") and self.PatientName == other.PatientName)


def patient_of(header: Mapping[str, Any] | Any) -> Patient:
    """Return the patient of a DICOM header.

    Args:
        header: a pydicom dataset.
    """
    said = [str(header.get(key, "") or "").strip() for key in KEYWORDS]
    who, name, born = map(_hashed, said)
    return Patient(who, name, born, is_placeholder=_PLACEHOLDER.fullmatch(said[0]) is not None)


def patient_of_image(workspace: Workspace, image: str) -> Patient:
    """Return the patient of an image; of one that a step made, of what it was made from."""
    seen = {image}
    while image.startswith("s"):
        image = workspace.result(image, Image).source
        if image in seen or not image:
            return Patient()
        seen.add(image)
    headers, _ = workspace.dicom_headers(image)
    return patient_of(headers[0]) if headers else Patient()


def _hashed(value: str) -> str:
    plain = " ".join(value.replace("^", " ").upper().split())
    return hashlib.sha256(plain.encode()).hexdigest() if plain else ""


def _both(one: Patient, other: Patient, key: str) -> bool:
    return bool(getattr(one, key) and getattr(other, key))
