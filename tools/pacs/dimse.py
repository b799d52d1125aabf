"""DIMSE: C-FIND, C-GET or C-MOVE, and C-STORE by pynetdicom."""

from __future__ import annotations

import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.errors import UnavailableError
from tools.imaging.reasons import parse_errors
from tools.pacs.client import Stored, StudyQuery, within
from tools.pacs.dicomweb import study_row
from tools.pacs.server import PacsServer
from tools.results import StudyRow

if TYPE_CHECKING:
    from pydicom import Dataset
    from pynetdicom import AE
    from pynetdicom.association import Association

_PENDING = (0xFF00, 0xFF01)
_DONE = 0x0000
_WARNINGS = (0xB000, 0xB006, 0xB007)  # stored all the same (PS3.4, table B.2-1)
_OUT_OF_RESOURCES = 0xA700
_MOST_CONTEXTS = 128  # of one association (PS3.8)
_PLAIN = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")  # explicit and implicit VR, little endian
_COMPRESSED = (
    "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.5",
)  # fmt: skip
"""JPEG baseline, JPEG lossless, JPEG-LS lossless, JPEG 2000 lossless, RLE: what archives keep images in."""


class Dimse:
    """A PACS that speaks DIMSE."""

    def __init__(self, name: str, server: PacsServer) -> None:
        self.name = name
        self.server = server
        self._said = f"PACS {name!r} ({server.address})"

    def echo(self) -> str:
        """Send a C-ECHO."""
        from pynetdicom.sop_class import Verification

        def ask() -> str:
            with self._associated([_context(str(Verification))]) as association:
                self._checked(association.send_c_echo(), "C-ECHO")
            return "C-ECHO"

        late = f"{self._said} did not answer within {self.server.timeout_s:g} s: it is slow or hangs"
        return within(self.server.timeout_s, ask, late)

    def find(self, query: StudyQuery, limit: int) -> list[StudyRow]:
        """Return matching studies by C-FIND."""
        late = f"{self._said} did not answer within {self.server.timeout_s:g} s: it is slow or hangs"
        return within(self.server.timeout_s, lambda: self._find(query, limit), late)

    def _find(self, query: StudyQuery, limit: int) -> list[StudyRow]:
        from pydicom import Dataset
        from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as Model

        asked = Dataset()
        asked.QueryRetrieveLevel = "STUDY"
        asked.PatientID, asked.StudyDate, asked.ModalitiesInStudy = query.patient_id, query.date, query.modality
        asked.StudyInstanceUID = asked.StudyDescription = ""
        asked.NumberOfStudyRelatedSeries = asked.NumberOfStudyRelatedInstances = None
        rows: list[StudyRow] = []
        with self._associated([_context(str(Model))]) as association:
            for status, found in association.send_c_find(asked, Model):
                if self._checked(status, "C-FIND") == _DONE:
                    break
                if found is not None and len(rows) < limit:
                    rows.append(self._row(found))
        return rows

    def _row(self, found: Dataset) -> StudyRow:
        try:
            return study_row(found)
        except parse_errors() as error:
            raise UnavailableError(
                f"{self._said} answers with something that is no study ({type(error).__name__}): look into its log"
            ) from error

    def fetch(self, study_uid: str, series_uid: str | None, folder: Path) -> Iterator[Path]:
        """Yield the files as they arrive, by C-GET or C-MOVE as the settings say."""
        from pydicom import Dataset

        asked = Dataset()
        asked.QueryRetrieveLevel = "SERIES" if series_uid else "STUDY"
        asked.StudyInstanceUID = study_uid
        if series_uid:
            asked.SeriesInstanceUID = series_uid
        arrived = _Arrivals(folder)
        retrieve = self._move if self.server.retrieve == "c-move" else self._get
        yield from arrived.while_running(lambda: retrieve(asked, arrived))

    def _get(self, asked: Dataset, arrived: _Arrivals) -> None:
        from pynetdicom import build_role, evt
        from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as Model

        contexts = [_context(str(Model)), *_storage()]
        roles = [build_role(uid, scp_role=True) for uid in dict.fromkeys(str(c.abstract_syntax) for c in contexts[1:])]
        with self._associated(contexts, roles, [(evt.EVT_C_STORE, arrived.store)]) as association:
            self._retrieved(association.send_c_get(asked, Model), "C-GET")

    def _move(self, asked: Dataset, arrived: _Arrivals) -> None:
        from pynetdicom import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
        from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove as Model

        listener = self._entity()
        for context in AllStoragePresentationContexts:
            listener.add_supported_context(str(context.abstract_syntax), list(ALL_TRANSFER_SYNTAXES))
        where = (self.server.receive_host, self.server.receive_port)
        try:
            receiver = listener.start_server(where, block=False, evt_handlers=[(evt.EVT_C_STORE, arrived.store)])
        except OSError as error:
            raise UnavailableError(
                f"cannot listen on {where[0]}:{where[1]} for C-MOVE ({error.strerror}): set receive_port, or "
                "retrieve = 'c-get'"
            ) from error
        try:
            with self._associated([_context(str(Model))]) as association:
                self._retrieved(association.send_c_move(asked, self.server.own_ae_title, Model), "C-MOVE")
        finally:
            receiver.shutdown()

    def _retrieved(self, replies: Iterator[Any], what: str) -> None:
        for status, _ in replies:
            code = self._checked(status, what)
            if code == _DONE or code not in _PENDING:
                failed = int(status.get("NumberOfFailedSuboperations") or 0)
                if failed:
                    raise UnavailableError(
                        f"{self._said} could not send {failed} objects of the study (perhaps in a compression that was "
                        "not agreed on): use DICOMweb, or look into its log"
                    )

    def send(self, files: Sequence[Path]) -> Stored:
        """Store files by C-STORE over one association."""
        import pydicom

        headers = [(path, pydicom.dcmread(path, stop_before_pixels=True)) for path in files]
        kinds = dict.fromkeys((str(h.SOPClassUID), str(h.file_meta.TransferSyntaxUID)) for _, h in headers)
        stored, warnings = [], []
        with self._associated([_context(*kind) for kind in kinds]) as association:
            for path, header in headers:
                try:
                    status = association.send_c_store(path)
                except ValueError as error:  # no context was accepted for this class
                    raise UnavailableError(
                        f"{self._said} does not take {header.SOPClassUID.name}: its administrator can allow it"
                    ) from error
                code = self._checked(status, "C-STORE")
                if code in _WARNINGS:
                    warnings.append(f"{self._said} stored an object with the warning 0x{code:04X}.")
                stored.append(str(header.SOPInstanceUID))
        return Stored(tuple(stored), tuple(dict.fromkeys(warnings)))

    # --- inside

    def _entity(self) -> AE:
        import pynetdicom
        from pydicom import config
        from pynetdicom import _config

        config.settings.reading_validation_mode = config.IGNORE  # odd values are kept, and never logged
        _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False  # they name patients
        entity = pynetdicom.AE(ae_title=self.server.own_ae_title)
        seconds = self.server.timeout_s
        entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = seconds
        entity.network_timeout = max(60.0, seconds)
        return entity

    @contextmanager
    def _associated(
        self, contexts: Sequence[Any], roles: Sequence[Any] = (), handlers: Sequence[Any] = ()
    ) -> Iterator[Association]:
        server = self.server
        self._require_listening()
        association = self._entity().associate(
            str(server.host),
            int(server.port or 0),
            contexts=list(contexts),
            ae_title=server.ae_title,
            ext_neg=list(roles),
            evt_handlers=list(handlers),
            tls_args=(self._tls(), str(server.host)) if server.tls else None,
        )
        if not association.is_established:
            if association.dul.socket and association.dul.socket.socket:
                association.dul.socket.socket.close()  # left open by an association that never came to be
            if association.is_rejected:
                raise UnavailableError(
                    f"{self._said} refuses us: check ae_title ({server.ae_title}), and that it knows our own "
                    f"({server.own_ae_title})"
                )
            raise UnavailableError(
                f"{self._said} broke off, did not answer, or speaks no DICOM: check port, tls and ca_file"
            )
        try:
            yield association
        finally:
            if association.is_established:
                association.release()

    def _require_listening(self) -> None:
        """Tell a server that is down from one that breaks off; an association does not say which it was."""
        try:
            socket.create_connection((str(self.server.host), int(self.server.port or 0)), self.server.timeout_s).close()
        except OSError as error:
            raise UnavailableError(f"{self._said} cannot be reached: check that it runs, host and port") from error

    def _tls(self) -> ssl.SSLContext:
        ca, own = self.server.ca_file, self.server.client_cert
        try:
            context = ssl.create_default_context(cafile=str(ca.expanduser()) if ca else None)
            if own:
                context.load_cert_chain(own.expanduser())
        except (OSError, ssl.SSLError) as error:
            raise UnavailableError(
                f"ca_file or client_cert of PACS {self.name!r} cannot be used ({type(error).__name__}): check the "
                "settings"
            ) from error
        return context

    def _checked(self, status: Dataset, what: str) -> int:
        """Return a status that is no failure."""
        if not status or "Status" not in status:
            raise UnavailableError(
                f"{self._said} did not answer {what} within {self.server.timeout_s:g} s, or broke off"
            )
        code = int(status.Status)
        if code in (_DONE, *_PENDING, *_WARNINGS) or (what != "C-STORE" and code == 0xB000):
            return code
        if code == 0xA801:
            raise UnavailableError(
                f"{self._said} does not know where {self.server.own_ae_title} listens: enter it there, or set "
                "retrieve = 'c-get'"
            )
        perhaps = "" if what in ("C-STORE", "C-FIND") else "it may not have this study; "
        raise UnavailableError(f"{self._said} answers {what} with the failure 0x{code:04X}: {perhaps}look into its log")


class _Arrivals:
    """What a server sends while it is asked in another thread, as files in the order of their coming."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._events: queue.SimpleQueue[Path | BaseException | None] = queue.SimpleQueue()
        self._count = 0
        self._given_up = threading.Event()

    def store(self, event: Any) -> int:
        """Write one object as it came, without decoding it; the handler of C-STORE."""
        if self._given_up.is_set():
            return _OUT_OF_RESOURCES
        path = self._folder / f"{self._count:06d}.dcm"
        self._count += 1
        try:
            path.write_bytes(event.encoded_dataset())
        except OSError as error:
            self._events.put(error)
            return _OUT_OF_RESOURCES
        self._events.put(path)
        return _DONE

    def while_running(self, ask: Callable[[], None]) -> Iterator[Path]:
        """Ask, and yield each file meanwhile; a reader that stops makes the server stop."""

        def work() -> None:
            try:
                ask()
                self._events.put(None)
            except BaseException as error:  # noqa: BLE001  raised again in the caller's thread
                self._events.put(error)

        threading.Thread(target=work, name="pacs-retrieve", daemon=True).start()
        try:
            while True:
                try:
                    event = self._events.get(timeout=0.1)
                except queue.Empty:  # a short wait, so that a cancelled step stops here
                    continue
                if event is None:
                    return
                if isinstance(event, BaseException):
                    raise event
                yield event
        finally:
            self._given_up.set()


def _storage() -> list[Any]:
    """Return contexts for the storage classes that studies hold, the commonest of them also compressed."""
    from pydicom import uid
    from pynetdicom import AllStoragePresentationContexts

    common = [
        uid.CTImageStorage, uid.MRImageStorage, uid.ComputedRadiographyImageStorage,
        uid.DigitalXRayImageStorageForPresentation, uid.UltrasoundImageStorage, uid.UltrasoundMultiFrameImageStorage,
        uid.SecondaryCaptureImageStorage, uid.DigitalMammographyXRayImageStorageForPresentation,
        uid.EnhancedCTImageStorage, uid.EnhancedMRImageStorage, uid.XRayAngiographicImageStorage,
        uid.PositronEmissionTomographyImageStorage, uid.SegmentationStorage, uid.Comprehensive3DSRStorage,
        uid.ComprehensiveSRStorage, uid.EnhancedSRStorage, uid.BasicTextSRStorage,
    ]  # fmt: skip
    compressed = [_context(str(kind), syntax) for kind in common[:8] for syntax in _COMPRESSED]
    every = [str(c.abstract_syntax) for c in AllStoragePresentationContexts]
    room = _MOST_CONTEXTS - 1 - len(compressed)  # one is for the question itself
    chosen = list(dict.fromkeys([*map(str, common), *every]))[:room]
    return [*(_context(kind, *_PLAIN) for kind in chosen), *compressed]


def _context(kind: str, *syntaxes: str) -> Any:
    """Return a presentation context; without syntaxes, in those that every DICOM program knows."""
    from pynetdicom import build_context

    return build_context(kind, list(syntaxes or _PLAIN))
