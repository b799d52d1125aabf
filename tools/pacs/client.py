"""What the verbs ask of a PACS, whichever protocol it speaks."""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Protocol, TypeVar

from tools.errors import BadInputError, UnavailableError
from tools.pacs.server import PacsServer
from tools.results import StudyRow

T = TypeVar("T")

MAX_STUDIES = 100  # more than anybody reads; the answer says where there are more
_HOW = "name one in readingroom.toml as [pacs.NAME] with its url (docs/pacs.md)"
_NOT_AN_ID = re.compile(r"[*?\\\x00-\x1f]")


@dataclass(frozen=True)
class StudyQuery:
    """Which studies to look for; an empty field matches anything."""

    patient_id: str = ""
    date: str = ""
    """StudyDate as DICOM has it: 20240301, or a range 20240301-20240331, open on either side."""
    modality: str = ""


@dataclass(frozen=True)
class Stored:
    """How sending ended."""

    instances: tuple[str, ...]
    """SOPInstanceUIDs that the server confirmed."""
    warnings: tuple[str, ...] = ()


class Pacs(Protocol):
    """A server that studies are found on, fetched from and sent to."""

    @property
    def name(self) -> str:
        """How the settings call it."""
        ...

    @property
    def server(self) -> PacsServer:
        """Its settings."""
        ...

    def echo(self) -> str:
        """Ask whether it answers us, without asking for anybody, and return how it was asked.

        Raises:
            UnavailableError: as `find`.
        """
        ...

    def find(self, query: StudyQuery, limit: int) -> list[StudyRow]:
        """Return matching studies, at most `limit`.

        Raises:
            UnavailableError: down, slow, refuses us, or does not speak the protocol.
        """
        ...

    def fetch(self, study_uid: str, series_uid: str | None, folder: Path) -> Iterator[Path]:
        """Yield the files of a study, or of one of its series, as they arrive.

        Raises:
            UnavailableError: as `find`.
        """
        ...

    def send(self, files: Sequence[Path]) -> Stored:
        """Store DICOM files.

        Raises:
            UnavailableError: as `find`, or the server did not take every file.
        """
        ...


def open_pacs(servers: Mapping[str, PacsServer], name: str | None = None) -> Pacs:
    """Return the server of a name, or the only one; nothing is sent yet.

    Raises:
        UnavailableError: none is set up.
        BadInputError: no such name, or several and no name.
    """
    if not servers:
        raise UnavailableError(f"no PACS is set up: {_HOW}")
    listed = ", ".join(sorted(servers))
    if name is None:
        if len(servers) > 1:
            raise BadInputError(f"server: several PACS are set up, name one of {listed}")
        name = next(iter(servers))
    if name not in servers:
        raise BadInputError(f"server: no PACS is called {name!r}; there is {listed}")
    server = servers[name]
    if server.protocol == "DICOMweb":
        from tools.pacs.dicomweb import DicomWeb

        return DicomWeb(name, server)
    from tools.pacs.dimse import Dimse

    return Dimse(name, server)


def no_pacs(name: str | None) -> Pacs:
    """Stand for the servers where none are lent.

    Raises:
        UnavailableError: always.
    """
    raise UnavailableError(f"no PACS is set up: {_HOW}")


def query_of(patient: str | None, when: str | None, modality: str | None) -> StudyQuery:
    """Return a query from what a person names.

    Raises:
        BadInputError: nothing is named, a wildcard, no date, or no modality code; says what is expected.
    """
    if not (patient or when or modality):
        raise BadInputError("name a patient, a date or a modality: a list of everything is nobody's to have")
    if patient and (_NOT_AN_ID.search(patient) or len(patient) > 64):
        raise BadInputError("patient must be one PatientID of at most 64 characters, without wildcards")
    code = (modality or "").strip().upper()
    if code and not re.fullmatch(r"[A-Z]{2,16}", code):
        raise BadInputError(f"modality must be a DICOM code such as CT or MR, got {modality!r}")
    return StudyQuery((patient or "").strip(), dicom_dates(when) if when else "", code)


def dicom_dates(when: str) -> str:
    """Return a date or range as DICOM matches it.

    Args:
        when: 2024-03-01, 2024-03 or 2024, or two of them with '/' between; one side of it may be left empty.

    Raises:
        BadInputError: none of these, or a range that ends before it begins.
    """
    first, slash, last = when.strip().partition("/")
    if not slash:
        begin, end = _span(first, when)
        return f"{begin:%Y%m%d}" if begin == end else f"{begin:%Y%m%d}-{end:%Y%m%d}"
    low = _span(first, when)[0] if first else None
    high = _span(last, when)[1] if last else None
    if low is None and high is None:
        raise BadInputError(f"date must name a day on at least one side of '/', got {when!r}")
    if low and high and low > high:
        raise BadInputError(f"date must begin before it ends, got {when!r}")
    return f"{low:%Y%m%d}-{high:%Y%m%d}" if low and high else f"{low:%Y%m%d}-" if low else f"-{high:%Y%m%d}"


def _span(text: str, when: str) -> tuple[date, date]:
    """Return the first and last day of a day, month or year."""
    found = re.fullmatch(r"(\d{4})(?:-?(\d{2})(?:-?(\d{2}))?)?", text.strip())
    try:
        if not found:
            raise ValueError
        year, month, day = (int(part) if part else 0 for part in found.groups())
        if day:
            return (one := date(year, month, day)), one
        if month:
            following = date(year + month // 12, month % 12 + 1, 1)
            return date(year, month, 1), following - timedelta(days=1)
        return date(year, 1, 1), date(year, 12, 31)
    except ValueError:
        raise BadInputError(
            f"date must be YYYY-MM-DD, YYYY-MM or YYYY, or two with '/' between, got {when!r}"
        ) from None


def within(seconds: float, call: Callable[[], T], late: str) -> T:
    """Return what a call gives, or give up after a time, however slowly its bytes trickle in.

    Args:
        seconds: the most it may take.
        call: does its work in a thread of its own, which is left behind when it is late.
        late: the message then.

    Raises:
        UnavailableError: it took longer.
    """
    ended: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            ended.put((call(), None))
        except BaseException as error:  # noqa: BLE001  raised again in the caller's thread
            ended.put((None, error))

    threading.Thread(target=work, name="pacs", daemon=True).start()
    ticks = max(int(seconds / 0.1), 1)
    for _ in range(ticks):  # in small waits, so that a cancelled step stops here
        try:
            value, error = ended.get(timeout=seconds / ticks)
        except queue.Empty:
            continue
        if error:
            raise error
        return value  # type: ignore[return-value]  # None only where T allows it
    raise UnavailableError(late)
