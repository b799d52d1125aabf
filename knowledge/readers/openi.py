"""Open-i (Indiana University) chest reports: a tgz or zip of XML, a folder of XML, or one XML file.

The MeSH headings of these files are the answer key of our evaluation. `read_openi` never looks at them, so nothing that
is indexed can hold them; `read_openi_headings` is for the evaluation alone.
"""

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element

from knowledge.errors import BadRecordError
from knowledge.readers.archive import NamedBytes, iterate_files
from knowledge.readers.safe_xml import parse_xml
from knowledge.report import Report, report_from_sections

_SECTIONS = {
    "COMPARISON": "comparison",
    "INDICATION": "indication",
    "FINDINGS": "findings",
    "IMPRESSION": "impression",
}


def read_openi(path: Path) -> Iterator[Report | BadRecordError]:
    """Yield each report, or the reason why a file is none, in the order of their numbers.

    Args:
        path: NLMCXR_reports.tgz or the like, a zip, a folder, or one XML file.

    Raises:
        BadInputError: the path can't be opened as any of these.
    """
    for item in iterate_files(path, suffixes=(".xml",)):
        yield item if isinstance(item, BadRecordError) else _parsed_or_error(item)


def _parsed_or_error(item: NamedBytes) -> Report | BadRecordError:
    try:
        return parse_openi(item)
    except BadRecordError as error:
        return error


def parse_openi(item: NamedBytes) -> Report:
    """Return the report of one XML file.

    Raises:
        BadRecordError: it is no well-formed Open-i report.
    """
    root = parse_xml(item)
    uid = root.find("uId")
    identifier = uid.get("id") if uid is not None else None
    if root.tag != "eCitation" or not identifier:
        raise BadRecordError(f"{item.name} must be an Open-i <eCitation> with a <uId id=…>, got <{root.tag}>")
    sections = [
        (_SECTIONS[label], node.text or "")
        for node in root.iter("AbstractText")
        if (label := node.get("Label", "")) in _SECTIONS
    ]
    report = report_from_sections(
        sections,
        id=identifier,
        source="openi",
        title=(root.findtext("title") or "").strip(),
        modality="DX",
        body_part="chest",
        study_date=None,  # <articleDate> is when the collection was published, not when the film was taken
        licence=(root.findtext("licenseURL") or "").strip(),
        images=tuple(image.get("id", "") for image in root.iter("parentImage")),
    )
    if not report.sections:
        raise BadRecordError(f"{item.name} ({identifier}) holds no text under {', '.join(_SECTIONS)}")
    return report


def read_openi_headings(path: Path) -> dict[str, frozenset[str]]:
    """Return each report's MeSH major headings (lower case, before the first slash): the evaluation's answer key.

    Nothing but `knowledge/evaluation.py` and tests may call this.
    """
    headings: dict[str, frozenset[str]] = {}
    for item in iterate_files(path, suffixes=(".xml",)):
        if isinstance(item, BadRecordError):
            continue
        try:
            root = parse_xml(item)
        except BadRecordError:
            continue
        uid = root.find("uId")
        if uid is not None and uid.get("id"):
            headings[uid.get("id", "")] = frozenset(_major_headings(root))
    return headings


def _major_headings(root: Element) -> Iterator[str]:
    for node in root.iter("major"):
        yield (node.text or "").split("/")[0].strip().lower()
