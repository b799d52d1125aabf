"""DICOMweb: QIDO-RS, WADO-RS and STOW-RS by dicomweb-client."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tools.errors import UnavailableError
from tools.imaging.reasons import parse_errors
from tools.pacs.client import Stored, StudyQuery, within
from tools.pacs.server import PacsServer
from tools.results import StudyRow

if TYPE_CHECKING:
    from dicomweb_client.api import DICOMwebClient
    from pydicom import Dataset
    from requests import Session

T = TypeVar("T")

_FIELDS = (
    "StudyInstanceUID", "StudyDate", "ModalitiesInStudy", "StudyDescription", "PatientID",
    "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances",
)  # fmt: skip
_ANY_SYNTAX = (("application/dicom", "*"),)
_SEND_BYTES = 64 * 1024 * 1024  # per request: servers limit a body, and it is held in memory


class DicomWeb:
    """A PACS that speaks DICOMweb."""

    def __init__(self, name: str, server: PacsServer) -> None:
        self.name = name
        self.server = server
        self._said = f"PACS {name!r} ({server.address})"

    def echo(self) -> str:
        """Search for one study of a day before DICOM was: whether there is one does not matter."""
        self._asked(lambda: self._client().search_for_studies(limit=1, search_filters={"StudyDate": "19000101"}))
        return "QIDO-RS"

    def find(self, query: StudyQuery, limit: int) -> list[StudyRow]:
        """Return matching studies."""
        filters = {
            "PatientID": query.patient_id,
            "StudyDate": query.date,
            "ModalitiesInStudy": query.modality,
        }
        found = self._asked(
            lambda: self._client().search_for_studies(
                limit=limit, fields=list(_FIELDS), search_filters={k: v for k, v in filters.items() if v}
            )
        )
        rows = [row for item in found if (row := self._row(item))]
        return rows[:limit]

    def fetch(self, study_uid: str, series_uid: str | None, folder: Path) -> Iterator[Path]:
        """Yield the files as they arrive, in the transfer syntax that the server keeps them in."""
        client = self._client()
        if series_uid:
            coming = self._asked(
                lambda: client.iter_series(study_uid, series_uid, media_types=_ANY_SYNTAX), limited=False
            )
        else:
            coming = self._asked(lambda: client.iter_study(study_uid, media_types=_ANY_SYNTAX), limited=False)
        number = 0
        while (dataset := self._asked(lambda: next(coming, None), limited=False)) is not None:
            path = folder / f"{number:06d}.dcm"
            self._asked(lambda data=dataset, to=path: data.save_as(to, enforce_file_format=True), limited=False)  # type: ignore[misc]
            yield path
            number += 1

    def send(self, files: Sequence[Path]) -> Stored:
        """Store files by STOW-RS, some at a time."""
        import pydicom

        client, stored = self._client(), []
        for batch in _batches(files):
            datasets = [pydicom.dcmread(path) for path in batch]
            wanted = {str(d.SOPInstanceUID) for d in datasets}
            reply = self._asked(lambda those=datasets: client.store_instances(those), limited=False)  # type: ignore[misc]
            taken = {str(item.ReferencedSOPInstanceUID) for item in reply.get("ReferencedSOPSequence", [])}
            if missing := wanted - taken:
                refused = [str(i.get("FailureReason", "unknown")) for i in reply.get("FailedSOPSequence", [])]
                why = f" (reason {', '.join(sorted(set(refused)))})" if refused else ""
                raise UnavailableError(
                    f"{self._said} did not confirm {len(missing)} of {len(wanted)} objects{why}: look into its log"
                )
            stored += sorted(taken)
        return Stored(tuple(stored))

    # --- inside

    def _client(self) -> DICOMwebClient:
        from dicomweb_client.api import DICOMwebClient as Client
        from pydicom import config

        config.settings.reading_validation_mode = config.IGNORE  # odd values are kept, and never logged
        for noisy in ("dicomweb_client", "urllib3"):  # they log addresses with patient ids in them
            logger = logging.getLogger(noisy)
            logger.setLevel(max(logger.getEffectiveLevel(), logging.INFO))
        client = Client(url=str(self.server.url).rstrip("/"), session=self._session(), timeout=self.server.timeout_s)
        client.set_http_retry_params(retry=False)
        return client

    def _session(self) -> Session:
        import requests

        session = requests.Session()
        if self.server.token:
            session.auth = _Bearer(self.server.token.get_secret_value())
        elif self.server.username and self.server.password:
            session.auth = (self.server.username, self.server.password.get_secret_value())
        else:
            session.auth = _no_authentication
        if self.server.ca_file:
            session.mount("https://", _trusting(str(self._existing(self.server.ca_file, "ca_file"))))
        if self.server.client_cert:
            session.cert = str(self._existing(self.server.client_cert, "client_cert"))
        return session

    def _existing(self, path: Path, setting: str) -> Path:
        if not path.expanduser().is_file():
            raise UnavailableError(f"{setting} of PACS {self.name!r} does not exist: check the settings")
        return path.expanduser()

    def _row(self, item: Any) -> StudyRow | None:
        from pydicom import Dataset

        try:
            dataset = Dataset.from_json(item)
            return study_row(dataset)
        except parse_errors() as error:
            raise UnavailableError(self._garbled(error)) from error

    def _asked(self, call: Callable[[], T], *, limited: bool = True) -> T:
        """Return what the server answers, its failures as one line.

        Args:
            call: the request.
            limited: whether it must be over in the server's time limit; else only silence is limited.
        """
        from requests import exceptions as web

        late = f"{self._said} did not answer within {self.server.timeout_s:g} s: it is slow or hangs"
        try:
            return within(self.server.timeout_s, call, late) if limited else call()
        except web.HTTPError as error:
            raise UnavailableError(self._refused(error.response.status_code)) from error
        except web.Timeout as error:
            raise UnavailableError(late) from error
        except web.SSLError as error:
            raise UnavailableError(
                f"{self._said}: the TLS connection failed; if its certificate is your own, name it as ca_file"
            ) from error
        except (web.InvalidJSONError, web.ChunkedEncodingError) as error:  # before their base classes
            raise UnavailableError(self._garbled(error)) from error
        except web.ConnectionError as error:
            raise UnavailableError(f"{self._said} cannot be reached: check that it runs and its address") from error
        except parse_errors() as error:  # a RequestException is an OSError
            raise UnavailableError(self._garbled(error)) from error

    def _refused(self, status: int) -> str:
        if status in (401, 403):
            return f"{self._said} refuses these credentials (HTTP {status}): check username, password or token"
        if status == 404:
            return f"{self._said} does not have that (HTTP 404): check the UID, and the address up to /dicom-web"
        if status in (409, 413):
            return f"{self._said} does not take these objects (HTTP {status}): look into its log"
        return f"{self._said} answers with an error (HTTP {status}): look into its log"

    def _garbled(self, error: BaseException) -> str:
        return f"{self._said} answers with something that is no DICOMweb ({type(error).__name__}): check its address"


class _Bearer:
    """Adds a bearer token to a request; its text is nowhere else, so that it is not printed."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _trusting(ca_file: str) -> Any:
    """Return an adapter that trusts these certificates, whatever REQUESTS_CA_BUNDLE says: it beats a session's own."""
    from requests.adapters import HTTPAdapter

    class Trusting(HTTPAdapter):  # type: ignore[misc]  # requests has no types here
        def send(self, request: Any, **options: Any) -> Any:
            return super().send(request, **(options | {"verify": ca_file}))

    return Trusting()


def _no_authentication(request: Any) -> Any:
    """Leave a request as it is; without it, requests would look for a password in ~/.netrc."""
    return request


def study_row(dataset: Dataset) -> StudyRow:
    """Return a study as a query answers it, DICOMweb or DIMSE alike."""
    from tools.imaging.dicom_header import text_of

    uid = text_of(dataset, "StudyInstanceUID")
    if not re.fullmatch(r"[0-9.]{1,64}", uid):
        raise ValueError("a study without StudyInstanceUID")
    day = text_of(dataset, "StudyDate")
    return StudyRow(
        study_uid=uid,
        date=f"{day[:4]}-{day[4:6]}-{day[6:8]}" if len(day) == 8 and day.isdigit() else "",
        modalities=tuple(part for part in text_of(dataset, "ModalitiesInStudy").split("\\") if part),
        description=text_of(dataset, "StudyDescription")[:64],
        patient_id=text_of(dataset, "PatientID"),
        series=_count(text_of(dataset, "NumberOfStudyRelatedSeries")),
        instances=_count(text_of(dataset, "NumberOfStudyRelatedInstances")),
    )


def _count(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def _batches(files: Sequence[Path]) -> Iterator[list[Path]]:
    batch: list[Path] = []
    size = 0
    for path in files:
        if batch and size + path.stat().st_size > _SEND_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(path)
        size += path.stat().st_size
    if batch:
        yield batch
