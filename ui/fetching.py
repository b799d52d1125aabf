"""Brings samples, weights and reports onto this machine, with progress on stderr."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
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


def bring_weights(
    assistant: Assistant, name: str, source: str | None, on_progress: Callable[[int, int | None], None]
) -> list[str]:
    """Bring a model's weights to where they are looked for and return what there is to say of it.

    Args:
        assistant: whose models.
        name: the model's.
        source: a folder, file, zip, address or hf:OWNER/NAME; None: where its card says.
        on_progress: told of downloaded bytes.

    Raises:
        BadInputError: the model needs none, or the source is not what it needs.
        UnavailableError: it is still not ready; says what to do.
    """
    from tools.errors import BadInputError, UnavailableError
    from tools.models.bring import bring

    card, said = assistant.hub.get(name), []
    if card.weights is None:
        if source is not None:
            raise BadInputError(f"{name} needs no weights: leave the place out")
        return [f"{name} needs no weights"]
    lacks = assistant.hub.status(card).state == "needs weights"
    source = source or (f"hf:{card.weights.hub}" if card.weights.hub and lacks else None)
    if source is not None:
        brought = bring(card, assistant.settings.weights_dir, source, on_progress)
        how = "as its card says" if brought.checked else "its card names none to compare with"
        said = [f"{name}: {brought.path}", *(f"  sha256 {h}  {f}" for f, h in brought.sha256.items()), how]
    elif card.weights.asset and not assistant.assets.present(card.weights.asset):
        assistant.assets.fetch(card.weights.asset, on_progress=on_progress)
    status = assistant.hub.status(card)
    if status.state != "ready":
        raise UnavailableError(f"{name} {status.state}: {status.remedy}")
    return [*said, f"{name} is ready"]
