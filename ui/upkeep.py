"""What the settings page does for models, past reports and PACS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tools.errors import UnavailableError
from ui.components.settings import memory_html, models_html, reports_html
from ui.diagnosis import stored_reports
from ui.fetching import bring_weights
from ui.longwork import OnAmount, Work

if TYPE_CHECKING:
    from agent.assistant import Assistant

MAX_BAD_SHOWN = 5


class Upkeep:
    """Looks after what an assistant works with.

    Args:
        assistant: whose models, reports and PACS.
    """

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant

    # --- what there is

    def model_names(self) -> list[str]:
        """Return the models' names, those that lack something first."""
        hub = self._assistant.hub
        return [c.name for c in sorted(hub.cards, key=lambda c: (hub.status(c).state == "ready", c.name))]

    def models_html(self) -> str:
        """Return every model with its state."""
        hub = self._assistant.hub
        return models_html((card, hub.status(card)) for card in hub.cards)

    def memory_html(self) -> str:
        """Return the device's memory as it is measured now."""
        hub = self._assistant.hub
        used, budget, source = hub.memory()
        return memory_html(hub.device, used, budget, hub.loaded(), source)

    def reports_html(self) -> str:
        """Return how many reports are stored; an empty store is not opened for it."""
        holds = self._assistant.settings.chroma_url or stored_reports(self._assistant.settings.data_dir / "reports")
        return reports_html(self._assistant.open_knowledge().stats() if holds else None)

    # --- what can be done

    def get(self, name: str, place: str = "") -> Work:
        """Bring a model's weights."""
        return Work(
            f"bringing {name}",
            lambda tell: "; ".join(bring_weights(self._assistant, name, place.strip() or None, tell)),
            in_bytes=True,
        )

    def check(self, name: str) -> Work:
        """Load a model and run it once on a made image."""

        def work(tell: OnAmount) -> str:
            from tools.models.trial import try_model

            trial = try_model(self._assistant.hub, self._assistant.hub.get(name))
            if not trial.works:
                raise UnavailableError(f"{name}: {trial.said}")
            return f"{name}: {trial.said} ({trial.seconds:.1f} s on {trial.device})"

        return Work(f"trying {name}", work)

    def store(self, files: Sequence[Path]) -> Work:
        """Put uploaded reports into the store, identifiers taken out."""
        return Work("storing reports", lambda tell: self._stored(files, tell))

    def echo(self, name: str) -> Work:
        """Ask a PACS whether it answers: by C-ECHO, or by a search that finds nothing."""

        def work(tell: OnAmount) -> str:
            from tools.pacs.client import open_pacs

            return f"{name} answers {open_pacs(self._assistant.settings.pacs, name).echo()}."

        return Work(f"asking {name}", work)

    def _stored(self, files: Sequence[Path], tell: OnAmount) -> str:
        from knowledge.errors import KnowledgeError
        from knowledge.readers.formats import read_reports

        store, added, updated, unchanged, bad = self._assistant.open_knowledge(), 0, 0, 0, []
        for file in files:
            try:
                records, total = read_reports(file)
                summary = store.ingest(records, on_progress=tell, total=total, masking=True)
            except KnowledgeError as error:
                bad.append(f"{file.name}: {error}")
                continue
            added, updated = added + summary.added, updated + summary.updated
            unchanged += summary.unchanged
            bad += [str(line) for line in summary.bad]
        more = f" and {len(bad) - MAX_BAD_SHOWN} more" if len(bad) > MAX_BAD_SHOWN else ""
        passed = f" Passed over: {'; '.join(bad[:MAX_BAD_SHOWN])}{more}." if bad else ""
        return f"{added} added, {updated} updated, {unchanged} unchanged.{passed}"
