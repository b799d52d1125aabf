"""Credentials go to the server that they are for, over TLS that is checked."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from pydantic import SecretStr
from pydicom import Dataset

from tools.errors import UnavailableError
from tools.pacs.client import StudyQuery, open_pacs
from tools.pacs.server import PacsServer

ONE_STUDY = b'[{"0020000D": {"vr": "UI", "Value": ["1.2.3"]}, "00080020": {"vr": "DA", "Value": ["20240301"]}}]'
QUERY = StudyQuery(patient_id="4711")


def certificate(folder: Path) -> Path:
    """Write a self-signed certificate for 127.0.0.1 with its key; one PEM file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pacs.test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "server.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    (folder / "ca.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return path


class Asked(BaseHTTPRequestHandler):
    """Answers with one study and keeps the credentials that came."""

    credentials: list[str | None] = []  # noqa: RUF012  one list for the test

    def do_GET(self) -> None:
        self.credentials.append(self.headers.get("Authorization"))
        self.send_response(200)
        self.send_header("Content-Type", "application/dicom+json")
        self.send_header("Content-Length", str(len(ONE_STUDY)))
        self.end_headers()
        self.wfile.write(ONE_STUDY)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def https(tmp_path: Path) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Asked)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Asked.credentials.clear()
    yield f"https://127.0.0.1:{server.server_port}/dicom-web"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"token": SecretStr("t0ken")}, "Bearer t0ken"),
        ({"username": "u", "password": SecretStr("p")}, "Basic dTpw"),
        ({}, None),
    ],
)
def test_credentials_travel_over_trusted_tls(https: str, tmp_path: Path, given, sent: str | None) -> None:
    server = PacsServer(url=https, ca_file=tmp_path / "ca.pem", timeout_s=5, **given)
    (row,) = open_pacs({"main": server}).find(QUERY, 10)
    assert (row.study_uid, row.date) == ("1.2.3", "2024-03-01")
    assert Asked.credentials == [sent]


def test_an_untrusted_certificate_is_refused_before_credentials_leave(https: str) -> None:
    server = PacsServer(url=https, token=SecretStr("t0ken"), timeout_s=5)
    with pytest.raises(UnavailableError, match="the TLS connection failed; if its certificate is your own"):
        open_pacs({"main": server}).find(QUERY, 10)
    assert Asked.credentials == []


def test_a_missing_certificate_file_is_said(tmp_path: Path) -> None:
    web = PacsServer(url="https://127.0.0.1:1/dicom-web", ca_file=tmp_path / "none.pem")
    with pytest.raises(UnavailableError, match="ca_file of PACS 'main' does not exist"):
        open_pacs({"main": web}).find(QUERY, 10)


def test_dimse_over_tls(tmp_path: Path) -> None:
    from pynetdicom import AE, evt
    from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as Model

    def find(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        found = Dataset()
        found.StudyInstanceUID, found.PatientID = "1.2.3", event.identifier.PatientID
        yield 0xFF00, found

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path))
    entity = AE(ae_title="TLS")
    entity.add_supported_context(Model)
    running = entity.start_server(
        ("127.0.0.1", 0), block=False, ssl_context=context, evt_handlers=[(evt.EVT_C_FIND, find)]
    )
    server = PacsServer(
        host="127.0.0.1",
        port=running.server_address[1],
        ae_title="TLS",
        tls=True,
        ca_file=tmp_path / "ca.pem",
        timeout_s=5,
    )
    try:
        (row,) = open_pacs({"main": server}).find(QUERY, 10)
        assert (row.study_uid, row.patient_id) == ("1.2.3", "4711")
        stranger = server.model_copy(update={"ca_file": None, "timeout_s": 2})
        with pytest.raises(UnavailableError, match="check port, tls and ca_file"):
            open_pacs({"main": stranger}).find(QUERY, 10)
    finally:
        running.shutdown()
