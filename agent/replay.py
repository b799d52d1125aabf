"""Runs a reading's steps again, with the same arguments and seed, and shows where the results differ."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from agent.dispatch import Dispatcher, software
from agent.errors import ReadingError
from agent.plan import Step
from agent.report_edits import EDITED
from tools.workspace import Artifact, Workspace

if TYPE_CHECKING:
    from agent.assistant import Assistant

RELATIVE_TOLERANCE = 1e-9  # floats summed in another order may differ in their last digits


class Difference(BaseModel):
    """One value or file that came out differently."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: str
    where: str
    before: str
    after: str


class ReplayReport(BaseModel):
    """What a second run of the same steps gave."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reading: str
    replayed_as: str
    steps: int
    software_before: str
    software_after: str
    differences: tuple[Difference, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.differences


def replay(assistant: Assistant, reading: str) -> ReplayReport:
    """Run every finished step of a reading again, in a new reading, and compare; steps that need approval are left out.

    Raises:
        ReadingError: no such reading, or none of its steps finished.
    """
    original = assistant.workspace(reading)
    artifacts = [a for a in original.artifacts() if not _asks_first(assistant, a)]
    if not artifacts:
        raise ReadingError(f"reading {reading} has no finished step to replay")
    steps = _steps(assistant, reading, {a.id for a in artifacts})
    copy_id = assistant.begin()
    copy = assistant.workspace(copy_id)
    for attachment in original.attachments():
        source = original.attachment_path(attachment.id)
        copy.add_attachment(source, attachment.facts, attachment.series)
    _bring_edits(copy, artifacts)
    run = assistant.context(copy_id)
    run.record.append("replay", of=reading)
    results = Dispatcher(run).run_steps(steps)
    differences = [d for a in artifacts for d in _compare(a, original, copy, results.get(a.id, {}))]
    return ReplayReport(
        reading=reading,
        replayed_as=copy_id,
        steps=len(steps),
        software_before=artifacts[0].provenance.software,
        software_after=software(),
        differences=tuple(differences),
    )


def _asks_first(assistant: Assistant, artifact: Artifact) -> bool:
    """Say whether a step needed a person's approval (sending to a PACS): nobody gave it for a second time."""
    tool = artifact.provenance.tool
    return tool in assistant.registry and assistant.registry.get(tool).needs_approval


def _bring_edits(copy: Workspace, artifacts: list[Artifact]) -> None:
    """Take over the reports that a person edited: their words are no result that could be computed again."""
    for artifact in artifacts:
        if artifact.provenance.tool == EDITED:
            copy.add_artifact(artifact)


def _steps(assistant: Assistant, reading: str, finished: set[str]) -> list[Step]:
    """Take the planned calls, references included, of the steps that finished."""
    planned: dict[str, Step] = {}
    for entry in assistant.record(reading).lines():
        if entry["event"] == "plan" and entry["outcome"]["outcome"] == "plan":
            planned |= {s["id"]: Step.model_validate(s) for s in entry["outcome"]["steps"]}
        if entry["event"] == "decision" and entry.get("plan"):
            planned |= {s["id"]: Step.model_validate(s) for s in entry["plan"]["steps"]}
    return [step for step_id, step in planned.items() if step_id in finished]


def _compare(before: Artifact, original: Workspace, copy: Workspace, result: Mapping[str, Any]) -> Iterator[Difference]:
    if not copy.has_artifact(before.id):
        message = str(result.get("message", "it was not run"))
        yield Difference(step=before.id, where="step", before="finished", after=message)
        return
    after = copy.artifact(before.id)
    if before.provenance.tool_version != after.provenance.tool_version:
        versions = before.provenance.tool_version, after.provenance.tool_version
        yield Difference(step=before.id, where="tool version", before=versions[0], after=versions[1])
    for where, old, new in _different(before.data, after.data):
        yield Difference(step=before.id, where=where, before=_short(old), after=_short(new))
    for name in before.files:
        old_path, new_path = (w.step_folder(before.id) / name for w in (original, copy))
        if not new_path.exists() or _content(old_path) != _content(new_path):
            yield Difference(step=before.id, where=name, before="file", after="another content")


def _different(before: object, after: object, where: str = "") -> Iterator[tuple[str, object, object]]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted(set(before) | set(after), key=str):
            yield from _different(before.get(key), after.get(key), f"{where}.{key}" if where else str(key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _different(old, new, f"{where}[{number}]")
    elif isinstance(before, float) and isinstance(after, float):
        if abs(before - after) > RELATIVE_TOLERANCE * max(abs(before), abs(after), 1.0):
            yield where, before, after
    elif before != after:
        yield where, before, after


def _content(path: Path) -> str:
    """Hash what a file holds; a gzip header carries a time, so what is inside counts."""
    digest = hashlib.sha256()
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _short(value: object) -> str:
    return str(value)[:200]
