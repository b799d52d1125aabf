"""What a PACS sent, sorted into series and taken into the reading as attachments."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools.errors import BadInputError, UnavailableError
from tools.facts import AttachmentFacts
from tools.workspace import Workspace

if TYPE_CHECKING:
    from tools.imaging.series import Series
    from tools.pacs.priors import Wanted

MAX_SERIES = 40  # an ultrasound study holds that many single images; more would only bury the rest
_taking = threading.Lock()  # two steps that fetch side by side must not take the same id


@dataclass(frozen=True)
class Taken:
    """The attachments that a study became."""

    main: AttachmentFacts
    """The series with the most images."""
    facts: tuple[AttachmentFacts, ...]
    notes: tuple[str, ...]


def take_in(workspace: Workspace, folder: Path, study_uid: str, wanted: Wanted | None = None) -> Taken:
    """Make an attachment of each image series of a folder; one that is there already keeps its id.

    Args:
        workspace: of the reading.
        folder: the files as they came.
        study_uid: the study that was asked for.
        wanted: what a prior must match; None: no prior is asked for. Its series stands first, marked as the prior.

    Raises:
        UnsupportedError: no image among the objects.
        UnavailableError: objects of another study came, or damaged ones.
    """
    from tools.imaging.dicom import find_dicom_files
    from tools.imaging.dicom_header import text_of
    from tools.imaging.series import find_series

    try:
        found = find_series(find_dicom_files(folder), "the study")
    except BadInputError as error:
        raise UnavailableError(f"the PACS sent a damaged object: {error}") from error
    studies = {text_of(file.dataset, "StudyInstanceUID") for series in found for file in series.files}
    if studies - {study_uid}:
        raise UnavailableError(f"the PACS sent objects of another study than {study_uid}: nothing was taken")
    ordered = sorted(
        found,
        key=lambda series: (
            wanted is not None and not wanted.matches(facts_of(series, "img0")),
            _is_localizer(series),
            -series.info.images,
            series.info.number,
        ),
    )
    notes = []
    if len(ordered) > MAX_SERIES:
        notes.append(f"The study holds {len(ordered)} image series; the {MAX_SERIES} largest were taken.")
    with _taking:
        known = {a.series or "": a.facts for a in workspace.attachments()}
        facts = tuple(
            _attached(workspace, folder, series, known, is_prior=wanted is not None) for series in ordered[:MAX_SERIES]
        )
    images = sum(len(series.files) for series in found)
    if others := len(list(folder.iterdir())) - images:
        notes.append(f"{others} objects of the study are no images (reports, segmentations, …) and were left out.")
    if len(facts) > 1:
        listed = "; ".join(f"{f.id} {s.info.text.partition(': ')[2]}" for f, s in zip(facts, ordered, strict=False))
        notes.append(f"Series: {listed}. Name one by its id to work on it.")
    return Taken(facts[0], facts, tuple(notes))


def _is_localizer(series: Series) -> bool:
    from tools.imaging.dicom_header import text_of

    return "LOCALIZER" in text_of(series.files[0].dataset, "ImageType").upper()


def _attached(
    workspace: Workspace, folder: Path, series: Series, known: dict[str, AttachmentFacts], *, is_prior: bool
) -> AttachmentFacts:
    info = series.info
    if info.uid in known:
        return known[info.uid]
    facts = facts_of(series, workspace.next_id("image")).model_copy(update={"prior": is_prior})
    files = [file.path for file in series.files]
    if len(files) == 1:
        workspace.add_attachment(files[0], facts, info.uid)
    else:
        workspace.add_attachment(folder, facts, info.uid, files)
    return facts


def facts_of(series: Series, image_id: str) -> AttachmentFacts:
    """Return what a series is, by its headers."""
    from tools.imaging.dicom_header import pixel_spacing, view

    info, first = series.info, series.files[0].dataset
    return AttachmentFacts(
        id=image_id,
        modality=info.modality,
        modality_source="header" if info.modality else "",
        body_part=info.body_part,
        dims=3 if info.images > 1 else 2,
        view=view(first),
        has_spacing=pixel_spacing(first).source is not None or info.images > 1,
    )
