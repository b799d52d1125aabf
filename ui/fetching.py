"""Brings samples, weights and reports onto this machine, with progress on stderr."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.assistant import Assistant
    from knowledge.assets import Assets
    from knowledge.ingest import IngestSummary
    from ui.console import Terminal

REPORTS = "openi-reports"
REPORTS_MEMBER = "reports.tgz"


def fetch(terminal: Terminal, assets: Assets, names: Iterable[str], from_folder: Path | None = None) -> list[str]:
    """Fetch what is not cached yet; return the names of what was fetched.

    Raises:
        KnowledgeError: one could not be fetched; those before it stay.
    """
    fetched = []
    for name in names:
        asset = assets.get(name)
        if assets.present(name):
            continue
        with terminal.amounts(f"fetching {asset.title}", in_bytes=True) as show:
            assets.fetch(name, on_progress=show, from_folder=from_folder)
        fetched.append(name)
    return fetched


def store_openi_once(terminal: Terminal, assistant: Assistant) -> None:
    """Fetch the Open-i reports and their embedding, and put them into the store where it is empty.

    Raises:
        ConfigError: the store holds other reports only; Open-i's are not mixed in without being asked.
        KnowledgeError: something could not be fetched or stored.
    """
    from agent.errors import ConfigError
    from ui.diagnosis import stored_reports

    fetch(terminal, assistant.assets, (REPORTS, "minilm"))
    if stored_reports(assistant.settings.data_dir / "reports") == 0:
        ingest_openi(terminal, assistant)
    elif "openi" not in assistant.open_knowledge().stats().sources:
        raise ConfigError(
            f"the store in {assistant.settings.data_dir} holds no Open-i reports to evaluate with; "
            "set READINGROOM_DATA_DIR to an empty folder for the evaluation"
        )


def ingest_openi(terminal: Terminal, assistant: Assistant, archive: Path | None = None) -> IngestSummary:
    """Put the Open-i reports into the store; those already there are passed over.

    Args:
        terminal: where progress goes.
        assistant: whose store it is.
        archive: the reports; None takes the cached sample.

    Raises:
        KnowledgeError: the archive, the embedding's weights or the store can't be used.
    """
    from knowledge.readers.openi import read_openi

    path = archive or assistant.assets.path(REPORTS, REPORTS_MEMBER)
    store = assistant.open_knowledge()
    records = list(read_openi(path))
    with terminal.amounts("storing reports") as show:
        return store.ingest(records, on_progress=show, total=len(records))


def free_bytes(folder: Path) -> int:
    """Return the free space where a folder is or would be made."""
    existing = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    return shutil.disk_usage(existing).free
