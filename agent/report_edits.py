"""A person's edit of a draft report: kept in the reading at every change, exported as it is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from agent.dispatch import software
from agent.errors import ReadingError
from agent.run import locked
from agent.single import run_single
from agent.step_ids import reserve_step
from tools.drafting.editing import Checked, as_text, checked, edited_draft
from tools.grounding.checking import Checker
from tools.grounding.judge import Judgement
from tools.grounding.passages import Passage
from tools.results import Draft
from tools.workspace import Artifact, Provenance, Workspace, write_atomically

if TYPE_CHECKING:
    from agent.assistant import Assistant

FILE = "report-edit.json"
EDITED = "edit"
"""The tool that an edited draft names as its maker: a person, not a verb."""
MAX_CHARACTERS = 100_000  # far above any report


class ReportEdit(BaseModel):
    """A draft as a person has it now."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str
    """Id of the draft that was edited."""
    text: str
    revision: int = 0
    """Counts the changes, so that two tabs do not overwrite each other unseen."""
    by: str = ""
    """The browser tab that wrote it: its own change is no surprise to it, also where it was never told of it."""


class ChangedElsewhereError(ReadingError):
    """An edit rests on a text that another tab has changed since."""


def current_edit(workspace: Workspace) -> ReportEdit | None:
    """Return the report of a reading as it is edited: of the last draft; None where there is no draft."""
    drafts = [a.id for a in workspace.artifacts() if a.kind == "report" and a.provenance.tool != EDITED]
    if not drafts:
        return None
    path = workspace.root / FILE
    if path.is_file():
        kept = ReportEdit.model_validate_json(path.read_text(encoding="utf-8"))
        if kept.base == drafts[-1]:
            return kept
    return ReportEdit(base=drafts[-1], text=as_text(workspace.result(drafts[-1], Draft)))


def keep_edit(workspace: Workspace, edit: ReportEdit) -> ReportEdit:
    """Keep an edit and return it with its new revision.

    The same edit twice is one edit: a browser that did not hear the answer sends it again.

    Raises:
        ChangedElsewhereError: it rests on an older revision, since another tab changed the report.
        ReadingError: it is too long.
    """
    if len(edit.text) > MAX_CHARACTERS:
        raise ReadingError(f"the report has {len(edit.text):,} characters; at most {MAX_CHARACTERS:,} are kept")
    now = current_edit(workspace)
    if now is None or now.base != edit.base:
        raise ChangedElsewhereError("The draft is another one now.")
    if now.text == edit.text:
        return now
    is_own = bool(edit.by) and now.by == edit.by
    if now.revision != edit.revision and not is_own:
        raise ChangedElsewhereError("The report was changed in another tab. Take over what is there, or keep yours.")
    kept = edit.model_copy(update={"revision": now.revision + 1})
    write_atomically(workspace.root / FILE, kept.model_dump_json(indent=1))
    return kept


class ReportChecker:
    """Checks the sentences of an edited report; what was compared once is not compared again.

    Args:
        assistant: keeps the reading.
        reading: its id.
    """

    def __init__(self, assistant: Assistant, reading: str) -> None:
        self._workspace = assistant.workspace(reading)
        self._ids = [a.id for a in self._workspace.artifacts()]
        checker = Checker.of(self._workspace, assistant.open_knowledge, "")

        @lru_cache(maxsize=2000)
        def judge(passage: Passage) -> Judgement:
            return checker.judge(passage, has_ids=False)

        self._judge: Callable[[Passage], Judgement] = judge

    @property
    def is_current(self) -> bool:
        """Whether no result was added since."""
        return self._ids == [a.id for a in self._workspace.artifacts()]

    def check(self, edit: ReportEdit) -> list[Checked]:
        """Return what the evidence says of each sentence."""
        return checked(edit.text, self._workspace.result(edit.base, Draft), self._judge)


def export_report(assistant: Assistant, reading: str, form: str) -> Artifact:
    """Write the report as it is edited into a file of a format; the edit becomes a result of the reading of its own.

    Args:
        assistant: keeps the reading.
        reading: its id.
        form: a format of `export`: pdf, docx, dicom-sr, fhir.

    Raises:
        ReadingError: there is no draft, or the reading is running.
        ToolError: the format cannot hold it; says why.
    """
    workspace = assistant.workspace(reading)
    with locked(workspace.root):
        edit = current_edit(workspace)
        if edit is None:
            raise ReadingError("There is no draft to export. Ask for findings and impression first.")
        report = _kept_as_result(assistant, reading, edit)
        return run_single(assistant, reading, "export", {"artifacts": [f"@{report}"], "format": form})


def _kept_as_result(assistant: Assistant, reading: str, edit: ReportEdit) -> str:
    """Return the id of the draft to export: the tools' own where nothing was changed, else the edited one."""
    workspace = assistant.workspace(reading)
    draft = workspace.result(edit.base, Draft)
    if edit.text.split() == as_text(draft).split():
        return edit.base
    digest = hashlib.sha256(f"{edit.base}\n{edit.text}".encode()).hexdigest()
    same = [
        a.id for a in workspace.artifacts()
        if a.provenance.tool == EDITED and a.provenance.params.get("text_sha256") == digest
    ]  # fmt: skip
    if same:
        return same[-1]
    edited = edited_draft(draft, ReportChecker(assistant, reading).check(edit))
    made = Provenance(
        tool=EDITED, tool_version="1", params={"text_sha256": digest}, inputs=(edit.base,), software=software()
    )
    artifact = Artifact(
        id=reserve_step(workspace, assistant.record(reading)),
        kind="report",
        summary=edited.summary,
        data=edited.model_dump(mode="json"),
        marks=workspace.artifact(edit.base).marks,
        provenance=made,
    )
    workspace.add_artifact(artifact)
    assistant.record(reading).append("report edited", artifact=artifact.model_dump(mode="json"))
    return artifact.id
