"""What the report's editor asks the server: the text, to keep it, to check it. Plain requests, each answered by itself.

Not Gradio's events: its stream of answers may be closing while the next change is sent, and that change, with all that
follow it, is then never answered. Here a change is kept when the browser has been told so, and asked again until then.
"""

import errno
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field

from agent.errors import ReadingError, RunError
from agent.report_edits import MAX_CHARACTERS, ChangedElsewhereError, ReportEdit
from tools.drafting.editing import TEMPLATES
from tools.errors import ToolError
from ui.owners import Owners
from ui.reporting import Reporting

PREFIX = "/report"
TOO_LONG = f"the report may have {MAX_CHARACTERS:,} characters at most: shorten it"
Result = TypeVar("Result")


class Written(BaseModel):
    """A report as a browser tab has it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str = Field(max_length=100)
    text: str
    revision: int = 0
    by: str = Field("", max_length=100)
    template: str = "As drafted"

    @property
    def edit(self) -> ReportEdit:
        """Return it as what is kept."""
        return ReportEdit(base=self.base, text=self.text, revision=self.revision, by=self.by)


def report_routes(reporting: Reporting, owners: Owners) -> APIRouter:
    """Return the routes under `/report/READING`; plain functions, so that the server runs each in a thread."""
    router = APIRouter(prefix=PREFIX)

    @router.get("/{reading}")
    def current(request: Request, reading: str) -> dict[str, Any]:
        return _told(lambda: _shown(reporting.current(owners.own(request, reading))))

    @router.put("/{reading}")
    def keep(request: Request, reading: str, written: Written) -> dict[str, Any]:
        if len(written.text) > MAX_CHARACTERS:
            raise HTTPException(413, TOO_LONG)
        return _told(lambda: {"revision": reporting.keep(owners.own(request, reading), written.edit).revision})

    @router.post("/{reading}/checked")
    def checked(request: Request, reading: str, written: Written) -> dict[str, Any]:
        if len(written.text) > MAX_CHARACTERS:
            raise HTTPException(413, TOO_LONG)
        return _told(lambda: {"html": reporting.checked_html(owners.own(request, reading), written.edit)})

    @router.post("/{reading}/template")
    def template(request: Request, reading: str, written: Written) -> dict[str, Any]:
        if written.template not in TEMPLATES:
            raise HTTPException(422, f"template must be one of {', '.join(TEMPLATES)}, got {written.template!r:.40}")
        return _told(
            lambda: {"text": reporting.by_template(owners.own(request, reading), written.edit, written.template)}
        )

    @router.get("/{reading}/draft")
    def draft(request: Request, reading: str, base: Annotated[str, Field(max_length=100)]) -> dict[str, Any]:
        return _told(lambda: {"text": reporting.drafted(owners.own(request, reading), ReportEdit(base=base, text=""))})

    return router


def _shown(edit: ReportEdit | None) -> dict[str, Any]:
    if edit is None:
        raise ReadingError("there is no draft yet: ask for findings and impression")
    return {"base": edit.base, "text": edit.text, "revision": edit.revision}


def _told(work: Callable[[], Result]) -> Result:
    """Do the work; what a person can act on becomes an answer that says it in one line."""
    try:
        return work()
    except ChangedElsewhereError as error:
        raise HTTPException(409, str(error)) from error
    except (RunError, ToolError) as error:
        raise HTTPException(422, " ".join(str(error).split())) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise HTTPException(507, "the disk is full: free some space; what you write here is kept then") from error
