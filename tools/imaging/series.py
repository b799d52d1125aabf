"""DICOM series: which there are in a folder, and one of them as a volume."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tools.errors import BadInputError, NotFoundError, SeriesChoiceError, UnsupportedError
from tools.imaging.dicom import frame_count, not_an_image, read_dataset
from tools.imaging.dicom_header import PlanePosition, body_part, modality, plane_position, text_of

if TYPE_CHECKING:
    from pydicom import Dataset


class DicomFile(NamedTuple):
    """A DICOM image file and its header."""

    path: Path
    dataset: Dataset
    """Without pixels."""


@dataclass(frozen=True)
class SeriesInfo:
    """One image series that can be chosen by its number or uid."""

    uid: str
    """SeriesInstanceUID; SOPInstanceUID for an image that stands alone (radiograph, multi-frame); "" outside DICOM."""
    number: int
    """Place in the list, from 1."""
    description: str
    """SeriesDescription as the scanner wrote it."""
    modality: str
    """DICOM Modality code."""
    body_part: str
    """Normalised BodyPartExamined; "" if absent."""
    images: int
    """Images (frames) in the series."""
    study_uid: str = ""
    """StudyInstanceUID; "" if absent and outside DICOM."""
    study_date: str = ""
    """StudyDate as 2026-01-02; "" if absent or no date."""
    study_description: str = ""
    """StudyDescription as the scanner wrote it."""

    @property
    def text(self) -> str:
        """One line for a person: "1: CT 133 images 'CHEST 2.5'"."""
        count = f"{self.images} image{'' if self.images == 1 else 's'}"
        part = f" {self.body_part}" if self.body_part else ""
        return f"{self.number}: {self.modality or 'image'}{part} {count} {self.description!r}"


class Study(NamedTuple):
    """The series of one study, in the order of their numbers."""

    series: tuple[SeriesInfo, ...]

    @property
    def date(self) -> str:
        """As 2026-01-02; "" where no series says it."""
        return next((s.study_date for s in self.series if s.study_date), "")

    @property
    def description(self) -> str:
        """What the scanner called the study; "" where no series says it."""
        return next((s.study_description for s in self.series if s.study_description), "")

    @property
    def text(self) -> str:
        """For a person, without its series: "study of 2026-01-02 'CT THORAX' (CT)"."""
        day = f"of {self.date}" if self.date else "without a date"
        said = f" {self.description!r}" if self.description else ""
        kinds = ", ".join(dict.fromkeys(s.modality for s in self.series if s.modality))
        return f"study {day}{said}{f' ({kinds})' if kinds else ''}"


class Series(NamedTuple):
    """The files of one series, in no order yet."""

    info: SeriesInfo
    files: tuple[DicomFile, ...]


def studies_of(series: Iterable[SeriesInfo]) -> tuple[Study, ...]:
    """Group series by study: the newest first, those without a date last."""
    groups: dict[str, list[SeriesInfo]] = {}
    for info in series:
        groups.setdefault(info.study_uid, []).append(info)
    studies = [Study(tuple(group)) for group in groups.values()]
    return tuple(sorted(studies, key=lambda study: study.date, reverse=True))


def listing_of(series: Sequence[SeriesInfo]) -> str:
    """Return series as one line for a person; grouped by study where there are several studies."""
    studies = studies_of(series)
    if len(studies) < 2:
        return "; ".join(info.text for info in series)
    return "; ".join(f"{study.text}: {'; '.join(info.text for info in study.series)}" for study in studies)


def find_series(paths: Iterable[Path], where: str) -> tuple[Series, ...]:
    """Group DICOM files into image series.

    Localizers are listed apart from the slices of their series. Images without a position in the patient and
    multi-frame images stand alone.

    Args:
        paths: DICOM files.
        where: folder or archive name, for messages.

    Raises:
        UnsupportedError: there are DICOM files but no image among them.
        BadInputError: a damaged file.
    """
    groups: dict[tuple[str, str], list[DicomFile]] = {}
    others: list[str] = []
    for path in paths:
        dataset = read_dataset(path, pixels=False)
        reason = not_an_image(dataset)
        if reason:
            others.append(reason)
        else:
            groups.setdefault(_group(dataset, path.name), []).append(DicomFile(path, dataset))
    if not groups:
        what = ", ".join(sorted(set(others)))
        if len(others) == 1:
            raise UnsupportedError(f"{where!r} is DICOM but {what}, not an image: attach the image it belongs to")
        raise UnsupportedError(f"{where!r} holds no DICOM image but {what}: attach the images")
    ordered = sorted(groups.items(), key=lambda item: _listing_order(item[1][0].dataset, item[0]))
    return tuple(
        Series(_info(uid, number, files), tuple(files)) for number, ((uid, _), files) in enumerate(ordered, start=1)
    )


def choose_series(found: Sequence[Series], wanted: str | None, where: str) -> Series:
    """Return the series a person chose, or the only one.

    Args:
        found: from `find_series`.
        wanted: list number or uid; None where nobody chose.
        where: folder or archive name, for messages.

    Raises:
        SeriesChoiceError: several series and no choice.
        NotFoundError: no series has this number or uid.
    """
    listing = listing_of([series.info for series in found])
    if wanted is None:
        if len(found) == 1:
            return found[0]
        raise SeriesChoiceError(
            f"{where!r} holds {len(found)} image series; choose one with series NUMBER: {listing}",
            [series.info.text for series in found],
            listing,
        )
    for series in found:
        if wanted in (str(series.info.number), series.info.uid):
            return series
    raise NotFoundError(f"series {wanted!r} is not in {where!r}, which holds {listing}")


def _group(dataset: Dataset, name: str) -> tuple[str, str]:
    """Return (uid that selects it, kind) of the series an image belongs to."""
    alone = text_of(dataset, "SOPInstanceUID")
    if frame_count(dataset, name) > 1 or "PerFrameFunctionalGroupsSequence" in dataset:
        return alone, "multi-frame"
    if _plane(dataset, name) is None:
        return alone, "picture"
    series = text_of(dataset, "SeriesInstanceUID")
    if not series:
        raise BadInputError(f"{name!r} has no SeriesInstanceUID, so its slices cannot be told from others")
    return series, "localizer" if "LOCALIZER" in text_of(dataset, "ImageType").upper() else "slices"


def _plane(dataset: Dataset, name: str) -> PlanePosition | None:
    try:
        return plane_position(dataset)
    except BadInputError as error:
        raise BadInputError(f"{name!r}: {error}") from error


def _listing_order(dataset: Dataset, key: tuple[str, str]) -> tuple[str, int, bool, int, str]:
    number, instance = text_of(dataset, "SeriesNumber"), text_of(dataset, "InstanceNumber")
    return (
        text_of(dataset, "StudyInstanceUID"),
        int(number) if number.lstrip("-").isdigit() else 0,
        key[1] == "localizer",
        int(instance) if instance.isdigit() else 0,
        key[0],
    )


def _info(uid: str, number: int, files: Sequence[DicomFile]) -> SeriesInfo:
    dataset = files[0].dataset
    return SeriesInfo(
        uid=uid,
        number=number,
        description=text_of(dataset, "SeriesDescription"),
        modality=modality(dataset),
        body_part=body_part(dataset),
        images=sum(frame_count(file.dataset, file.path.name) for file in files),
        study_uid=text_of(dataset, "StudyInstanceUID"),
        study_date=_date(text_of(dataset, "StudyDate")),
        study_description=text_of(dataset, "StudyDescription"),
    )


def _date(said: str) -> str:
    """Return a DICOM date (20260102, before 1993 also 2026.01.02) as 2026-01-02; "" where it is none."""
    digits = said.replace(".", "")
    try:
        return datetime.strptime(digits, "%Y%m%d").date().isoformat() if len(digits) == 8 else ""  # noqa: DTZ007
    except ValueError:
        return ""
