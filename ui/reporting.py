"""The report of a reading for the page: as it is kept, what the evidence says of it, and its exports."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from agent.report_edits import ReportChecker, ReportEdit, current_edit, export_report, keep_edit
from tools.drafting.editing import SECTIONS, as_text, by_template, changes
from tools.results import Draft
from ui.components.html import element, text
from ui.components.report import changes_html, checked_html

if TYPE_CHECKING:
    from agent.assistant import Assistant
    from tools.workspace import Artifact

KEPT = 8  # readings whose comparisons are kept in memory


class Reporting:
    """Edits reports.

    Args:
        assistant: keeps the readings.
    """

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant
        self._checkers: OrderedDict[str, ReportChecker] = OrderedDict()
        self._keeping = threading.Lock()

    def current(self, reading: str) -> ReportEdit | None:
        """Return the report as it is kept; None where there is no draft."""
        return current_edit(self._assistant.workspace(reading))

    def keep(self, reading: str, edit: ReportEdit) -> ReportEdit:
        """Keep a change.

        Raises:
            ChangedElsewhereError: another tab changed the report.
            ReadingError: it is too long.
        """
        with self._keeping:
            return keep_edit(self._assistant.workspace(reading), edit)

    def drafted(self, reading: str, edit: ReportEdit) -> str:
        """Return the draft that was edited, as text."""
        return as_text(self._assistant.workspace(reading).result(edit.base, Draft))

    def by_template(self, reading: str, edit: ReportEdit, template: str) -> str:
        """Return the text in the order of a template; sections that it lacks come back from the draft."""
        present = {row.strip().rstrip(":").upper() for row in edit.text.splitlines()}
        drafted = self.drafted(reading, edit).split("\n\n")
        gone = [part for part in drafted if part.partition("\n")[0] not in present]
        return by_template("\n\n".join([edit.text, *gone]), template)

    def checked_html(self, reading: str, edit: ReportEdit) -> str:
        """Return the verdict on each sentence, and what was changed in the draft."""
        sentences = self._checker(reading).check(edit)
        rows = changes(self.drafted(reading, edit), edit.text)
        headings = (*SECTIONS.values(), "")
        changed = changes_html([(kind, row) for kind, row in rows if row.rstrip(":").upper() not in headings])
        folded = element("details", element("summary", text("Changes against the draft")), changed)
        return checked_html(sentences) + folded

    def export(self, reading: str, form: str) -> Artifact:
        """Export the report as it is kept; see `agent.report_edits.export_report`."""
        return export_report(self._assistant, reading, form)

    def _checker(self, reading: str) -> ReportChecker:
        checker = self._checkers.pop(reading, None)
        if checker is None or not checker.is_current:
            checker = ReportChecker(self._assistant, reading)
        self._checkers[reading] = checker
        while len(self._checkers) > KEPT:
            self._checkers.popitem(last=False)
        return checker
