"""What a reading answered: sentences with evidence, the plan, the artifacts, the files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from agent.errors import ReadingError
from agent.pausing import Pause
from agent.plan import Plan
from agent.record import RunRecord
from tools.results import Claim, Draft
from tools.workspace import Artifact, Workspace

Ending = Literal["answered", "clarify", "declined", "waiting", "failed"]


class StepFailure(BaseModel):
    """A step that gave no result, and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    tool: str
    kind: str
    message: str


class Answer(BaseModel):
    """The answer to one request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reading: str
    folder: str
    request: str
    outcome: Ending
    plan: Plan | None = None
    claims: tuple[Claim, ...] = ()
    held_back: tuple[str, ...] = ()
    failures: tuple[StepFailure, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    draft: Draft | None = None
    files: tuple[str, ...] = ()
    """Absolute paths of every file that the steps of this request wrote for a person."""
    seconds: float = 0.0
    pause: Pause | None = None
    """The plan that waits for a person, with its cost and what it lacks."""

    @property
    def text(self) -> str:
        """The sentences, one a line, each with its evidence ids in brackets."""
        return "\n".join(_line(c) for c in self.claims)


def answer_of(reading: str, workspace: Workspace, record: RunRecord) -> Answer:
    """Build the last answer of a reading from its record and workspace.

    Raises:
        ReadingError: the reading has not answered yet.
    """
    entries = [e for e in record.lines() if e["event"] == "answer"]
    if not entries:
        raise ReadingError(f"reading {reading} has not answered yet; go on with it by '--resume {reading}'")
    return answer_from(entries[-1], reading, workspace)


def answer_from(entry: Mapping[str, Any], reading: str, workspace: Workspace) -> Answer:
    """Build the answer that a line of the record holds.

    Args:
        entry: a line of the event "answer".
        reading: the reading's id.
        workspace: of the reading.
    """
    artifacts = tuple(workspace.artifact(i) for i in entry["steps"] if workspace.has_artifact(i))
    drafts = [a for a in artifacts if a.kind == "report"]
    return Answer(
        reading=reading,
        folder=str(workspace.root),
        request=entry["request"],
        outcome=entry["outcome"],
        plan=Plan.model_validate(entry["plan"]) if entry["plan"] else None,
        claims=tuple(Claim.model_validate(c) for c in entry["claims"]),
        held_back=tuple(entry["held_back"]),
        failures=tuple(StepFailure.model_validate(f) for f in entry["failures"]),
        artifacts=artifacts,
        draft=Draft.model_validate(drafts[-1].data) if drafts else None,
        files=tuple(str(Path(workspace.root) / "artifacts" / a.id / f) for a in artifacts for f in a.files),
        seconds=entry["seconds"],
        pause=Pause.model_validate(entry["pause"]) if entry.get("pause") else None,
    )


def is_waiting(record: RunRecord) -> bool:
    """Return whether a reading's last answer was a pause that nobody has decided on."""
    ends = [e for e in record.lines() if e["event"] in ("answer", "decision")]
    return bool(ends) and ends[-1]["event"] == "answer" and ends[-1]["outcome"] == "waiting"


def _line(claim: Claim) -> str:
    ids = "".join(f" [{i}]" for i in claim.evidence)
    return f"{claim.text}{ids}"
