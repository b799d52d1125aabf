"""What the settings page does for models, past reports and PACS, as HTML of how it went."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tools.errors import ToolError
from ui.components.settings import memory_html, models_html, pacs_html, reports_html, table_html, told_html
from ui.diagnosis import stored_reports
from ui.fetching import bring_weights
from ui.longwork import OnAmount, shown

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

    def pacs_html(self) -> str:
        """Return the PACS that are set up."""
        return pacs_html(self._assistant.settings.pacs)

    # --- what can be done

    async def get(self, name: str | None, place: str | None) -> AsyncGenerator[str]:
        """Bring a model's weights."""
        if not name:
            yield told_html("Choose a model first.", is_good=False)
            return

        def work(tell: OnAmount) -> str:
            return "; ".join(bring_weights(self._assistant, name, (place or "").strip() or None, tell))

        async for update in shown(f"bringing {name}", work, in_bytes=True):
            yield update

    async def check(self, name: str | None) -> AsyncGenerator[str]:
        """Load a model and run it once on a made image."""
        if not name:
            yield told_html("Choose a model first.", is_good=False)
            return

        def work(tell: OnAmount) -> str:
            from tools.errors import UnavailableError
            from tools.models.trial import try_model

            trial = try_model(self._assistant.hub, self._assistant.hub.get(name))
            if not trial.works:
                raise UnavailableError(f"{name}: {trial.said}")
            return f"{name}: {trial.said} ({trial.seconds:.1f} s on {trial.device})"

        async for update in shown(f"trying {name}", work):
            yield update

    async def ingest(self, files: Sequence[str] | None) -> AsyncGenerator[str]:
        """Put uploaded reports into the store, identifiers taken out."""
        if not files:
            yield told_html("Choose files with reports first.", is_good=False)
            return
        async for update in shown("storing reports", lambda tell: self._stored([Path(f) for f in files], tell)):
            yield update

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

    async def echo(self) -> AsyncGenerator[str]:
        """Ask every PACS whether it answers."""
        servers = self._assistant.settings.pacs
        if not servers:
            yield told_html("No PACS is set up.", is_good=False)
            return
        rows: list[tuple[str, str]] = []

        def work(tell: OnAmount) -> str:
            from tools.pacs.client import open_pacs

            for number, name in enumerate(sorted(servers)):
                tell(number, len(servers))
                try:
                    rows.append((name, f"answers {open_pacs(servers, name).echo()}"))
                except ToolError as error:
                    rows.append((name, str(error)))
            return f"{sum(said.startswith('answers') for _, said in rows)} of {len(rows)} answer."

        async for update in shown("asking", work):
            yield update
        yield told_html(
            f"{sum(s.startswith('answers') for _, s in rows)} of {len(rows)} answer.", is_good=True
        ) + table_html(("PACS", "says"), rows, "Answers")
