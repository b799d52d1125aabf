"""HL7 v2 ORU^R01: the results of one or many messages in a file, with or without MLLP framing."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from knowledge.errors import BadRecordError
from knowledge.readers.archive import NamedBytes, iterate_files
from knowledge.readers.incoming import Incoming, body_part_of, make_id, modality_of, parse_date, report_from_parts
from knowledge.readers.plain_text import decode

_TEXT_TYPES = frozenset({"TX", "FT", "ST", "CE", "CWE", "NM", ""})
_IMPRESSION = re.compile(r"IMP|impression|conclusion|19005-8", re.IGNORECASE)
_FINDINGS = re.compile(r"GDT|finding|18782-3|59776-5", re.IGNORECASE)
_CHARSETS = {"UNICODE UTF-8": "utf-8", "8859/1": "latin-1", "8859/15": "iso8859-15", "ASCII": "ascii", "": "utf-8"}


@dataclass(frozen=True)
class _Message:
    """One message: its separators and its segments as lists of fields."""

    component: str
    repetition: str
    escape: str
    sub: str
    segments: list[list[str]]

    def first(self, name: str) -> list[str]:
        return next((segment for segment in self.segments if segment[0] == name), [name])

    def text(self, raw: str) -> str:
        """Return a field's text with escape sequences replaced."""
        escape = re.escape(self.escape or "\\")
        plain = {"F": "|", "S": self.component, "T": self.sub, "R": self.repetition, "E": self.escape}

        def replace(match: re.Match[str]) -> str:
            code = match.group(1)
            if code.startswith((".br", ".sp", ".ce")):
                return "\n"
            if code.startswith("X"):
                return _hexadecimal(code[1:])
            return plain.get(code, "")

        text = re.sub(rf"{escape}([^\\\s]{{1,40}}?){escape}", replace, raw)
        return text.replace(self.repetition, "\n") if self.repetition else text


def read_hl7(path: Path, source: str) -> Iterator[Incoming | BadRecordError]:
    """Yield the report of each order (OBR) of each ORU^R01 message in .hl7, .oru and .txt files."""
    for item in iterate_files(path, suffixes=(".hl7", ".oru", ".txt")):
        if isinstance(item, BadRecordError):
            yield item
            continue
        chunks = [chunk for chunk in re.split(rb"(?m)^(?=MSH)", _unframed(item.data)) if chunk.strip()]
        for number, chunk in enumerate(chunks, 1):
            yield from _read_message(NamedBytes(f"{item.name} message {number}", chunk), source)


def _unframed(data: bytes) -> bytes:
    cleaned = data.replace(b"\x0b", b"").replace(b"\x1c", b"")
    return cleaned.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _read_message(item: NamedBytes, source: str) -> Iterator[Incoming | BadRecordError]:
    try:
        message = _parse(item)
    except BadRecordError as error:
        yield error
        return
    orders = _orders(message)
    if not orders:
        yield BadRecordError(f"{item.name} has no OBR segment: it may be truncated")
    for number, order in enumerate(orders, 1):
        report = _report(message, order, source, f"{item.name} order {number}")
        yield report


def _parse(item: NamedBytes) -> _Message:
    if not item.data.startswith(b"MSH") or len(item.data) < 8:
        raise BadRecordError(f"{item.name} must begin with an MSH segment")
    header = item.data.partition(b"\n")[0].decode("latin-1")
    field = header[3]
    names = header.split(field)
    kind = names[8] if len(names) > 8 else ""
    if not kind.startswith("ORU"):
        raise BadRecordError(f"{item.name} must be an ORU^R01 message, got {kind or 'none'!r}")
    charset = names[17] if len(names) > 17 else ""
    text = decode(item, _CHARSETS.get(charset.split("~")[0], "utf-8"))
    segments = [line.split(field) for line in text.split("\n") if line.strip()]
    marks = (names[1] + "^~\\&"[len(names[1]) :])[:4]
    return _Message(marks[0], marks[1], marks[2], marks[3], segments)


def _orders(message: _Message) -> list[list[list[str]]]:
    orders: list[list[list[str]]] = []
    for segment in message.segments:
        if segment[0] == "OBR":
            orders.append([segment])
        elif segment[0] in {"OBX", "NTE"} and orders:
            orders[-1].append(segment)
    return orders


def _report(message: _Message, order: list[list[str]], source: str, where: str) -> Incoming | BadRecordError:
    parts = [(_section(segment), message.text(_field(segment, 5))) for segment in order if _is_text(segment)]
    if not any(text.strip() for _, text in parts):
        return BadRecordError(f"{where} holds no text in its OBX segments")
    request, person = order[0], message.first("PID")
    title = _component(message, _field(request, 4), 1) or _component(message, _field(request, 4), 0)
    key = _field(request, 3) or _field(request, 2) or f"{_field(message.first('MSH'), 9)}|{where}"
    patient = _component(message, _field(person, 3), 0)
    report = report_from_parts(
        _merged(parts),
        id=make_id(source, key),
        source=source,
        title=title,
        modality=_field(request, 24) or modality_of(title),
        body_part=body_part_of(title),
        study_date=parse_date(_field(request, 7)),
        patient=patient or None,
    )
    names = [_field(person, 5), _field(request, 16), _field(request, 32)]
    spoken = [" ".join(filter(None, name.split(message.component)[:3])) for name in names]
    return Incoming(report, tuple(filter(None, [*spoken, patient, _field(request, 3), _field(person, 19)])))


def _is_text(segment: list[str]) -> bool:
    return segment[0] == "OBX" and _field(segment, 2) in _TEXT_TYPES


def _section(segment: list[str]) -> str:
    label = _field(segment, 3)
    if _IMPRESSION.search(label):
        return "impression"
    return "findings" if _FINDINGS.search(label) else "body"


def _merged(parts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Join lines that follow each other in one section: senders put a line into each OBX."""
    merged: list[tuple[str, str]] = []
    for name, text in parts:
        if merged and merged[-1][0] == name:
            merged[-1] = (name, f"{merged[-1][1]}\n{text}")
        else:
            merged.append((name, text))
    return merged


def _field(segment: list[str], number: int) -> str:
    return segment[number].strip() if len(segment) > number else ""


def _component(message: _Message, field: str, place: int) -> str:
    first = field.split(message.repetition, maxsplit=1)[0] if message.repetition else field
    parts = first.split(message.component)
    return parts[place].strip() if len(parts) > place else ""


def _hexadecimal(digits: str) -> str:
    try:
        return bytes.fromhex(digits).decode("latin-1").replace("\r", "\n")
    except ValueError:
        return ""
