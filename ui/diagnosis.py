"""What is there on this machine, what is not, and what to do about it."""

from __future__ import annotations

import importlib.util
import platform
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from ui.fetching import free_bytes
from ui.render import bytes_text

if TYPE_CHECKING:
    from agent.assistant import Assistant

State = Literal["ok", "optional", "missing"]
DEFAULT_WEIGHTS = {"smollm2": "plans requests", "minilm": "finds similar sentences"}
MIN_FREE_BYTES = 2e9  # a reading of a chest CT takes under 100 MB; wheels and weights about 1 GB
CONNECT_S = 0.3
OPTIONAL_SERVERS = {"Ollama": 11434, "Orthanc (DICOMweb)": 8042}


@dataclass(frozen=True)
class Check:
    """One line of the diagnosis. `missing` stops the default path; `optional` does not."""

    area: str
    state: State
    detail: str
    remedy: str = ""


def diagnose(assistant: Assistant, *, full: bool = False) -> Iterator[Check]:
    """Yield one check after the other; none raises.

    Args:
        assistant: whose settings and caches are looked at.
        full: also import torch and ask the device, which takes seconds.
    """
    parts: list[Callable[[], Iterator[Check]]] = [
        lambda: _software(assistant, full=full),
        lambda: _language_model(assistant),
        lambda: _assets(assistant),
        lambda: _reports(assistant),
        lambda: _tools(assistant),
        lambda: _models(assistant),
        lambda: _servers(assistant),
        lambda: _folders(assistant),
    ]
    for part in parts:
        try:
            yield from part()
        except Exception as error:  # noqa: BLE001  a broken part is a finding, never the end of the diagnosis
            reason = " ".join(str(error).split()) or type(error).__name__
            yield Check("doctor", "missing", f"could not look: {type(error).__name__}: {reason}", "report this line")


def _software(assistant: Assistant, *, full: bool) -> Iterator[Check]:
    yield Check("python", "ok", f"Python {platform.python_version()} on {platform.system()} {platform.machine()}")
    try:
        torch_version = version("torch")
    except PackageNotFoundError:
        yield Check("torch", "missing", "PyTorch is not installed", "pip install 'torch>=2.11,<2.14'")
        return
    if full:
        import torch

        gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no CUDA device"
        yield Check("torch", "ok", f"PyTorch {torch_version}, {gpu}")
    else:
        yield Check("torch", "ok", f"PyTorch {torch_version} (look at the device too: doctor --full)")
    yield Check("device", "ok", f"models run on {assistant.device}")


def _language_model(assistant: Assistant) -> Iterator[Check]:
    settings = assistant.settings
    if settings.uses_embedded_llm:
        name = assistant.assets.get("smollm2").title
        if importlib.util.find_spec("xllamacpp") is None:
            yield Check("llm", "missing", "embedded model: xllamacpp is not installed", "pip install xllamacpp")
        elif not assistant.assets.present("smollm2"):
            yield Check("llm", "missing", f"embedded: {name}, not fetched", "readingroom samples get smollm2")
        else:
            better = "set READINGROOM_LLM_BASE_URL and READINGROOM_LLM_MODEL for a stronger one"
            yield Check("llm", "ok", f"embedded: {name}", better)
        return
    url = settings.llm_base_url or "the default endpoint of the openai package"
    model = settings.llm_model or "its default model"
    if settings.llm_base_url is None or answers(settings.llm_base_url):
        yield Check("llm", "ok", f"{model} at {url}")
    else:
        remedy = "start that server, or correct READINGROOM_LLM_BASE_URL"
        yield Check("llm", "missing", f"nothing answers at {url}", remedy)


def _assets(assistant: Assistant) -> Iterator[Check]:
    for asset in assistant.assets.list():
        if asset.name == "smollm2":
            continue
        needed = asset.name in DEFAULT_WEIGHTS
        if assistant.assets.present(asset.name):
            yield Check("embedding" if needed else "samples", "ok", asset.title)
        else:
            size = bytes_text(asset.download_bytes)
            state: State = "missing" if needed else "optional"
            area = "embedding" if needed else "samples"
            yield Check(area, state, f"{asset.title}: not fetched ({size})", f"readingroom samples get {asset.name}")


def _reports(assistant: Assistant) -> Iterator[Check]:
    count = stored_reports(assistant.settings.data_dir / "reports")
    if count:
        yield Check("reports", "ok", f"{count:,} reports in the store ({assistant.settings.data_dir / 'reports'})")
    else:
        yield Check("reports", "missing", "the report store is empty", "readingroom knowledge ingest")


def stored_reports(folder: Path) -> int:
    """Return how many reports lie in a store, without opening its vectors; 0 where there is none."""
    path = folder / "reports.sqlite"
    if not path.is_file():
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        row = database.execute("SELECT count(*) FROM reports").fetchone()
    return int(row[0])


def _tools(assistant: Assistant) -> Iterator[Check]:
    registry = assistant.registry
    state: State = "ok" if len(registry) else "missing"
    names = sorted(t.name for t in registry)
    yield Check("tools", state, f"{len(names)} tools: {', '.join(names)}")
    for broken in registry.broken:
        ours: State = "missing" if broken.distribution == "readingroom" else "optional"
        detail = f"{broken.name} of {broken.distribution} could not be loaded: {broken.reason}"
        yield Check("tools", ours, detail, f"update or remove {broken.distribution}")


def _models(assistant: Assistant) -> Iterator[Check]:
    from tools.models.installed import broken_runtimes

    hub = assistant.hub
    for card in hub.cards:
        status = hub.status(card)
        ready = status.state == "ready"
        yield Check("models", "ok" if ready else "optional", f"{card.name}: {status.state}", status.remedy)
    for broken in hub.broken:
        remedy = f"update or remove {broken.distribution}"
        yield Check("models", "optional", f"card {broken.name}: {broken.reason}", remedy)
    for broken in broken_runtimes():
        yield Check("models", "optional", broken.reason)


def _servers(assistant: Assistant) -> Iterator[Check]:
    chroma = assistant.settings.chroma_url
    if chroma is None:
        yield Check("servers", "optional", "Chroma server: none set; reports are kept by this process")
    elif answers(chroma):
        yield Check("servers", "ok", f"Chroma server at {chroma}")
    else:
        remedy = "start it (chroma run), or unset READINGROOM_CHROMA_URL"
        yield Check("servers", "missing", f"Chroma server: nothing answers at {chroma}", remedy)
    for name, port in OPTIONAL_SERVERS.items():
        found = answers(f"http://127.0.0.1:{port}")
        where = f"on port {port} of this machine"
        yield Check(
            "servers", "ok" if found else "optional", f"{name}: {'answers' if found else 'not running'} {where}"
        )


def answers(url: str) -> bool:
    """Return whether something accepts a connection at an http address."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=CONNECT_S):
            return True
    except OSError:
        return False


def _folders(assistant: Assistant) -> Iterator[Check]:
    settings = assistant.settings
    named = {"cache": settings.cache_dir, "report store": settings.data_dir, "readings": settings.readings_dir}
    for name, folder in named.items():
        free = free_bytes(folder)
        enough = free >= MIN_FREE_BYTES
        remedy = "" if enough else f"free some space: at least {bytes_text(MIN_FREE_BYTES)}"
        detail = f"{name}: {folder.absolute()}, {bytes_text(free)} free"
        yield Check("disk", "ok" if enough else "missing", detail, remedy)
