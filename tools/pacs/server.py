"""A PACS as the settings name it: DICOMweb, DIMSE or both, with its credentials."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from tools.loopback import is_loopback_host

AE_PATTERN = r"^[\x20-\x5b\x5d-\x7e]{1,16}$"  # DICOM PS3.5, VR AE: printable, no backslash


class PacsServer(BaseModel):
    """One server. With `url` DICOMweb is spoken, with `host` and `port` DIMSE; with both, DICOMweb."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str | None = None
    """Root of the DICOMweb services, for instance "https://pacs.example/dicom-web"."""
    username: str | None = None
    """For basic authentication, with `password`."""
    password: SecretStr | None = None
    token: SecretStr | None = None
    """A bearer token, instead of user name and password."""
    allow_plain_http: bool = False
    """Send credentials over http to another machine. Off: only over https, or on loopback."""

    host: str | None = None
    """Name or address of a DIMSE server."""
    port: int | None = Field(default=None, gt=0, lt=65536)
    ae_title: str = Field(default="ANY-SCP", pattern=AE_PATTERN)
    """What the server is called."""
    own_ae_title: str = Field(default="READINGROOM", pattern=AE_PATTERN)
    """What we are called; the server may have to know it."""
    retrieve: Literal["c-get", "c-move"] = "c-get"
    receive_port: int = Field(default=11112, ge=0, lt=65536)
    """For C-MOVE: where we listen for what the server sends to `own_ae_title`."""
    receive_host: str = "127.0.0.1"
    """For C-MOVE: the address that we listen on."""
    tls: bool = False
    """DIMSE over TLS; DICOMweb uses it where the address begins with https."""

    ca_file: Path | None = None
    """Certificates to trust, where the server's is not signed by a public authority."""
    client_cert: Path | None = None
    """Our own certificate and key in one PEM file, for servers that ask for one."""
    timeout_s: float = Field(default=20.0, gt=0, le=3600)
    """How long one question may take; a transfer may take longer as long as data keep coming."""

    @model_validator(mode="after")
    def _is_complete(self) -> PacsServer:
        if not self.url and not (self.host and self.port):
            raise ValueError("a PACS needs 'url' (DICOMweb) or 'host' and 'port' (DIMSE)")
        if self.url:
            self._check_url(self.url)
        if (self.username is None) != (self.password is None):
            raise ValueError("'username' and 'password' go together")
        if self.token and self.username:
            raise ValueError("give 'token' or 'username', not both")
        return self

    def _check_url(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("'url' must be an http or https address")
        if parts.username or parts.password:
            raise ValueError("no user name or password in 'url': use 'username' and 'password'")
        secret = self.token or self.password
        if secret and parts.scheme == "http" and not is_loopback_host(parts.hostname) and not self.allow_plain_http:
            raise ValueError(
                "credentials would travel unprotected: use an https address, or set allow_plain_http = true"
            )

    @property
    def address(self) -> str:
        """Where it is, for a message: host and port, nothing else."""
        if self.url:
            return urlsplit(self.url).netloc
        return f"{self.host}:{self.port}"

    @property
    def protocol(self) -> Literal["DICOMweb", "DIMSE"]:
        """What is spoken with it."""
        return "DICOMweb" if self.url else "DIMSE"
