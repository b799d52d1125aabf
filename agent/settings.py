"""Every setting, in one place: the only file that reads the environment.

Explicit beats environment (`READINGROOM_…`) beats `readingroom.toml` in the working folder beats what the page's
settings were given (`settings.toml` in the person's own configuration folder) beats default.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from tools.pacs.server import PacsServer

EgressPolicy = Literal["local", "remote-deidentified", "remote-allowed"]
PlanRoute = Literal["together", "examples", "llm"]
ApprovalPolicy = Literal["auto", "ask-before-running", "ask-before-export"]

PREFIX = "READINGROOM_"
FOLDER_FILE = Path("readingroom.toml")
_ALIASES = {"llm_api_key": ("OPENAI_API_KEY",)}


def page_file() -> Path:
    """Return the file that the page's settings are kept in."""
    folder = os.environ.get(f"{PREFIX}CONFIG_DIR") or platformdirs.user_config_dir("readingroom")
    return Path(folder) / "settings.toml"


class Settings(BaseSettings):
    """The settings of an assistant."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, toml_file=FOLDER_FILE, extra="forbid", frozen=True, populate_by_name=True
    )

    readings_dir: Path = Path("readings")
    """Where readings are kept, one folder each."""
    cache_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_cache_dir("readingroom")))
    """Where samples and weights are kept."""
    data_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("readingroom")))
    """Where the report store is kept."""

    weights_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("readingroom")) / "weights")
    """Where the weights lie that you bring; a card says under which name."""

    llm_base_url: str | None = None
    """An OpenAI-compatible endpoint, for instance of vLLM, Ollama or llama.cpp; None: see `llm_api_key`."""
    llm_model: str | None = None
    """The model to ask at that endpoint."""
    llm_sees_images: bool = False
    """Whether that model reads pictures and may get them, as far as its egress policy lets them out."""
    llm_api_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("READINGROOM_LLM_API_KEY", "OPENAI_API_KEY")
    )
    """Key of the endpoint. With a key and no base URL, OpenAI is asked; with neither, the embedded model."""
    plan_by: PlanRoute = "together"
    """Who plans when no endpoint is set: the tools' example requests, with the embedded model where they are not clear
    ("together"); "examples" or "llm" alone."""
    llm_timeout_s: float = Field(default=120.0, gt=0)
    egress: EgressPolicy | None = None
    """What may leave to the LLM endpoint; None: "local" on loopback, "remote-deidentified" elsewhere."""
    remote_models: Annotated[tuple[str, ...], NoDecode] = ()
    """Addresses (`https://host:8100`) of other machines that remote models may send pixels to, between commas
    in the environment; this machine needs none."""
    egress_by_endpoint: dict[str, EgressPolicy] = Field(default_factory=dict)
    """The same for one endpoint, by its address or host: {"llm.hospital.example": "remote-allowed"}."""
    chroma_url: str | None = None
    """A Chroma server (`http://127.0.0.1:8000`); None: Chroma runs inside this process, in `data_dir`."""

    checkpoints: SecretStr = SecretStr("sqlite")
    """Where paused and killed runs are kept: "sqlite" (in the reading), "memory", or "postgresql://user:key@host/db"."""

    pacs: dict[str, PacsServer] = Field(default_factory=dict)
    """The PACS to query, by a name of your choice; see docs/pacs.md."""
    priors_from_readings: bool = True
    """Whether a comparison may look for the same patient's earlier study in other readings of `readings_dir`."""
    deidentify_key: SecretStr | None = Field(default=None, min_length=16)
    """Secret that pseudonyms and date shifts are derived from, so that they agree between readings; None: each reading
    has its own."""

    device: str = "auto"
    """ "auto" (CUDA when there is one), "cpu", "cuda", "cuda:1"."""
    device_memory_mb: int | None = Field(default=None, gt=0)
    """Budget of device memory; None: what the device has free."""
    seed: int = 0
    approval: ApprovalPolicy = "auto"
    """Whether a plan waits for a person: never, always, or when it exports or sends something."""
    tool_approval: dict[str, Literal["auto", "ask"]] = Field(default_factory=dict)
    """Per tool, in place of what it declares: {"export": "ask", "train": "auto"}."""
    max_steps: int = Field(default=24, gt=0)
    """Steps a plan may have."""
    max_llm_tokens: int = Field(default=100_000, gt=0)
    """Tokens, in and out, that language models may cost a request, over all calls."""
    max_replans: int = Field(default=2, ge=0)
    """How often a failed step may change the plan."""
    max_seconds: float = Field(default=3600.0, gt=0)
    """Seconds a request may take: a plan estimated to take longer is not begun, one that does is stopped."""
    password_file: Path | None = None
    """Who may use the page (`readingroom users add NAME`); None: whoever reaches it."""
    auth_header: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]+$")
    """Header in which a reverse proxy says who is signed in, such as X-Forwarded-User; needs `trusted_proxies`."""
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    """Addresses or networks of that proxy, between commas in the environment; from elsewhere the page is refused."""
    public_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Host names under which a page that listens on loopback is reached through a proxy."""
    root_path: str = ""
    """Folder of a site in which the page lies, such as "/readingroom"; empty: the site is its own."""
    max_upload_mb: int = Field(default=2048, gt=0)
    """What may be uploaded to the page at once, and what one reading may hold of it."""
    max_upload_files: int = Field(default=5000, gt=0)
    """Files that may be uploaded to the page at once, and that one reading may hold."""
    admins: Annotated[tuple[str, ...], NoDecode] = ()
    """Users who may change settings on the page, where people sign in."""
    log_payloads: bool = False
    """Write prompts and answers into the log, patient data included. Off unless asked for."""

    @field_validator("checkpoints")
    @classmethod
    def _is_checkpointer(cls, value: SecretStr) -> SecretStr:
        if not re.match(r"^(sqlite|memory|postgres(ql)?://.+)$", value.get_secret_value()):
            raise ValueError("must be 'sqlite', 'memory' or 'postgresql://user:key@host/database'")
        return value

    @field_validator("remote_models", "trusted_proxies", "public_hosts", "admins", mode="before")
    @classmethod
    def _between_commas(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("remote_models")
    @classmethod
    def _are_http(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [each for each in value if urlsplit(each).scheme not in {"http", "https"}]:
            raise ValueError(f"must be http or https addresses, got {wrong[0]!r}")
        return value

    @field_validator("root_path")
    @classmethod
    def _is_folder(cls, value: str) -> str:
        if not re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*", value):
            raise ValueError("must begin with a slash and not end with one, such as '/readingroom'")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            ipaddress.ip_network(each, strict=False)
        return value

    @model_validator(mode="after")
    def _one_way_in(self) -> Settings:
        if self.auth_header and self.password_file:
            raise ValueError("auth_header and password_file exclude each other: the proxy or the page asks who it is")
        if bool(self.auth_header) != bool(self.trusted_proxies):
            raise ValueError("auth_header and trusted_proxies need each other: a header is believed from a proxy only")
        return self

    @field_validator("llm_base_url", "chroma_url")
    @classmethod
    def _is_http(cls, value: str | None) -> str | None:
        if value is not None and urlsplit(value).scheme not in {"http", "https"}:
            raise ValueError(f"must be an http or https address, got {value!r}")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: explicit, environment, file."""
        page = TomlConfigSettingsSource(settings_cls, toml_file=page_file())
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls), page

    @property
    def audit_path(self) -> Path:
        """Where it is written down what left this machine."""
        return self.data_dir / "audit.jsonl"

    @property
    def uses_embedded_llm(self) -> bool:
        """Whether neither an endpoint nor a key is set."""
        return self.llm_base_url is None and self.llm_api_key is None


def origins() -> dict[str, str]:
    """Return where each setting that is not the default comes from: a variable's name, or a file's."""
    found = {}
    files = [(name, read_toml(path)) for name, path in ((FOLDER_FILE.name, FOLDER_FILE), ("", page_file()))]
    for field in Settings.model_fields:
        variables = (f"{PREFIX}{field.upper()}", *_ALIASES.get(field, ()))
        named = [v for v in variables if v in os.environ] + [name for name, kept in files if field in kept]
        if named:
            found[field] = named[0]
    return found


def read_toml(path: Path) -> Mapping[str, Any]:
    """Return what a file of settings holds; nothing where there is none."""
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
