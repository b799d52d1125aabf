"""Finds the prior of a study: among what is attached, in earlier readings on this machine, or an attached report.

A study counts as a prior only where its header proves it: the same patient (PatientID, and name or birth date beside
it), the same modality, the same part of the body, and an earlier date. A person's own word, `--prior`, stands for that.
A PACS is not asked here: fetching is a step of its own (`fetch_study`), with its own approval.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tools.comparison.films import FILMS
from tools.errors import BadInputError, NotFoundError, ToolError, UnavailableError
from tools.facts import AttachmentFacts
from tools.registration.matching import same_region
from tools.registration.patient import KEYWORDS, Patient, patient_of
from tools.workspace import Attachment, Workspace

if TYPE_CHECKING:
    from pydicom import Dataset

    from tools.contract import ToolContext

MAX_READINGS = 500  # of the newest; older ones are as well searched in the archive
_TAGS = (*KEYWORDS, "StudyInstanceUID", "StudyDate", "StudyTime", "SeriesDescription", "ViewPosition")


class Study(NamedTuple):
    """What a header says of a study, for finding the one before it."""

    patient: Patient
    uid: str
    when: tuple[str, str]
    """StudyDate and StudyTime; empty where the header does not say."""
    series: str

    @property
    def date(self) -> str:
        """The date as 2026-01-31."""
        day = self.when[0]
        return f"{day[:4]}-{day[4:6]}-{day[6:8]}"


@dataclass(frozen=True)
class Prior:
    """A study or report to compare with, and why it was chosen."""

    id: str
    why: str


def find_prior(ctx: ToolContext, current: str) -> Prior:
    """Return the newest earlier study of the same patient; one of another reading becomes an attachment of this one.

    Args:
        ctx: the step's.
        current: the study of today, an attached image.

    Raises:
        NotFoundError: none is here; says where was looked and what to do.
    """
    workspace = ctx.workspace
    facts = workspace.facts()
    image = _attached(workspace, current)
    now = study_of(workspace.attachment_path(image))
    others = [f for f in facts.values() if f.kind == "image" and f.id != image]
    marked = [f for f in others if f.prior and is_alike(f, facts[image])]
    if len(marked) == 1:
        return Prior(marked[0].id, f"{marked[0].id} was taken as the prior: it was attached as such.")
    if found := _in_this_reading(workspace, now, facts[image], others):
        return found
    ctx.progress(0.02, "looking through earlier readings")
    if found := _in_earlier_readings(ctx, now, facts[image]):
        return found
    reports = [f.id for f in facts.values() if f.kind == "report"]
    if len(reports) == 1:
        return Prior(reports[0], f"{reports[0]} was taken as the prior: no earlier images are here.")
    raise NotFoundError(_nothing(ctx, now, image, len(reports)))


def study_of(path: Path) -> Study:
    """Return what the header of an attached file or folder says; an empty study where it is no DICOM."""
    header = _header(path)
    if header is None:
        return Study(Patient(), "", ("", ""), "")
    said = {tag: str(header.get(tag, "") or "") for tag in _TAGS}
    when = said["StudyDate"] if len(said["StudyDate"]) == 8 and said["StudyDate"].isdigit() else ""
    return Study(
        patient_of(header), said["StudyInstanceUID"], (when, said["StudyTime"]), said["SeriesDescription"].lower()
    )


def is_earlier(other: Study, now: Study) -> bool:
    """Return whether a study was made before another, on an earlier day, or on the same one at an earlier time."""
    if not (other.when[0] and now.when[0]) or other.uid == now.uid:
        return False
    if other.when[0] != now.when[0]:
        return other.when[0] < now.when[0]
    return bool(other.when[1] and now.when[1]) and other.when[1] < now.when[1]


def _header(path: Path) -> Dataset | None:
    import pydicom
    from pydicom.errors import InvalidDicomError

    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file() and p.name[0] != ".")
    for file in files[:3]:
        try:
            return pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_TAGS))
        except (InvalidDicomError, OSError, ValueError):
            continue
    return None


def _attached(workspace: Workspace, image: str) -> str:
    from tools.results import Image

    while image.startswith("s"):
        image = workspace.result(image, Image).source
    return image


def _in_this_reading(
    workspace: Workspace, now: Study, wanted: AttachmentFacts, others: list[AttachmentFacts]
) -> Prior | None:
    fitting = [f for f in others if is_alike(f, wanted)]
    found = [(study_of(workspace.attachment_path(f.id)), f.id) for f in fitting]
    earlier = [(study, i) for study, i in found if study.patient.may_be(now.patient) and is_earlier(study, now)]
    if not earlier:
        return None
    study, chosen = max(earlier, key=lambda pair: (pair[0].when, pair[0].series == now.series, pair[1]))
    return Prior(chosen, f"{chosen} was taken as the prior: attached here, the same patient, study of {study.date}.")


def _in_earlier_readings(ctx: ToolContext, now: Study, wanted: AttachmentFacts) -> Prior | None:
    found: list[tuple[Study, Path, Attachment]] = []
    for folder, attachment in _elsewhere(ctx):
        if not is_alike(attachment.facts, wanted):
            continue
        study = study_of(folder / "attachments" / attachment.id / attachment.file)
        if study.patient.is_surely(now.patient) and is_earlier(study, now):
            found.append((study, folder, attachment))
    if not found:
        return None
    study, folder, attachment = max(found, key=lambda f: (f[0].when, f[0].series == now.series, f[1].name))
    facts = attachment.facts.model_copy(update={"id": ctx.workspace.next_id("image"), "prior": True})
    path = folder / "attachments" / attachment.id / attachment.file
    taken = ctx.workspace.add_attachment(path, facts, attachment.series)
    why = (
        f"{taken.id} was taken as the prior: {attachment.id} of the earlier reading {folder.name}, copied into this "
        f"one; PatientID and {_proof(study.patient, now.patient)} agree, study of {study.date}."
    )
    return Prior(taken.id, why)


def _elsewhere(ctx: ToolContext) -> Iterator[tuple[Path, Attachment]]:
    """Yield what is attached to other readings, newest reading first; one that is broken is passed over."""
    for folder in list(ctx.earlier_readings())[:MAX_READINGS]:
        if folder.resolve() == ctx.workspace.root.resolve():
            continue
        try:
            attachments = Workspace(folder).attachments()
        except (OSError, ValueError, ToolError):
            continue
        yield from ((folder, a) for a in attachments if a.facts.kind == "image")


def _proof(one: Patient, other: Patient) -> str:
    return "birth date" if one.PatientBirthDate and one.PatientBirthDate == other.PatientBirthDate else "name"


def is_alike(one: AttachmentFacts, other: AttachmentFacts) -> bool:
    """Return whether two images are of one kind: modality, dimensions, view, and part of the body so far as known."""
    same = one.modality == other.modality or {one.modality, other.modality} <= FILMS
    views = [set(f.view.split()) for f in (one, other)]
    if all(views) and not views[0] & views[1]:
        return False
    return same and one.dims == other.dims and same_region(one, other)


def _nothing(ctx: ToolContext, now: Study, image: str, reports: int) -> str:
    """Say where was looked, and what to do."""
    if now.patient == Patient():
        why = f"{image} does not say whose it is, so that nothing can be looked up by its patient"
    elif not now.when[0]:
        why = f"{image} does not say its date, so that no study is known to be earlier"
    else:
        why = "no earlier study of the same patient, modality and body part is attached or in an earlier reading here"
    several = f"; {reports} reports are attached, name the one that is meant" if reports > 1 else ""
    try:
        name = ctx.open_pacs(None).name
    except BadInputError:
        pacs = "; or ask to fetch the prior from one of the PACS that are set up, by its name"
    except UnavailableError:
        pacs = ""
    else:
        pacs = f"; or ask to fetch the prior from the PACS and compare ({name} was not asked)"
    return f"prior: {why}{several}. Attach the earlier images with --prior, or an earlier report{pacs}"
