"""Takes a person's files into a reading: reads each once, says what it is, keeps a copy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agent.errors import AttachmentError
from agent.mask_labels import label_in_name, stated_label
from tools.errors import SeriesChoiceError, ToolError
from tools.facts import AttachmentFacts, AttachmentKind
from tools.workspace import Attachment, Workspace

if TYPE_CHECKING:
    from tools.imaging.volume import Volume

REPORT_SUFFIXES = frozenset({".txt", ".md"})
# https://bids-specification.readthedocs.io, "Magnetic Resonance Imaging": the suffix is the last part of the name
_BIDS_MR = re.compile(r"_(T1w|T2w|T1rho|T1map|T2map|PDw|FLAIR|inplaneT1|inplaneT2|bold|dwi|swi)\.nii(\.gz)?$")


@dataclass(frozen=True)
class Attach:
    """A file or folder to attach, and what the person says of it."""

    path: Path | str
    series: str | None = None
    """Which of several series (number in the list, or SeriesInstanceUID) or volumes."""
    modality: str | None = None
    """DICOM code, for files that do not say (NIfTI, PNG); never overrules a header."""
    kind: AttachmentKind = "image"
    prior: bool = False
    of: str = ""
    """For a mask: the image it belongs to, for instance "img1"."""
    label: str = ""
    """For a mask: what it outlines, for instance "lungs"; empty: as its file is named, if after a structure."""


def mask_given(given: Path) -> Attach:
    """Read `PATH=LABEL` of a command line as a mask with what it outlines; PATH alone does not say."""
    head, mark, label = given.name.rpartition("=")
    if mark and head and not given.exists():
        return Attach(given.with_name(head), kind="mask", label=label)
    return Attach(given, kind="mask")


def attach(workspace: Workspace, given: Attach | Path | str) -> Attachment:
    """Take one file or folder into a reading.

    Raises:
        AttachmentError: it does not exist or cannot be used; says why and what to do.
    """
    from tools.imaging.read import series_files

    item = given if isinstance(given, Attach) else Attach(given)
    path, series = _split_series(Path(item.path), item.series)
    if item.kind == "image" and path.suffix.lower() in REPORT_SUFFIXES and path.is_file():
        item = Attach(path, kind="report", prior=item.prior)
    try:
        facts = _facts(workspace, item, path, series)
        if path.is_dir():
            # The chosen series alone: whatever else lies in the folder stays where it is.
            return workspace.add_attachment(path, facts, files=series_files(path, series))
        return workspace.add_attachment(path, facts, series)
    except SeriesChoiceError as error:
        count = len(error.choices)
        message = f"{path.name} holds {count} image series; choose one as '{path.name}#NUMBER': {error.listing}"
        raise AttachmentError(message, choices=error.choices) from error
    except ToolError as error:
        raise AttachmentError(str(error)) from error


def _split_series(path: Path, series: str | None) -> tuple[Path, str | None]:
    """Read `folder#2` as the second series of a folder."""
    head, mark, tail = path.name.rpartition("#")
    if series is None and mark and head and not path.exists():
        return path.with_name(head), tail
    return path, series


def _facts(workspace: Workspace, item: Attach, path: Path, series: str | None) -> AttachmentFacts:
    new_id = workspace.next_id(item.kind)
    if item.kind == "report":
        if not path.is_file():
            raise AttachmentError(f"{path} does not exist; attach a text file")
        return AttachmentFacts(id=new_id, kind="report", prior=item.prior)

    from tools.imaging.content import look_at
    from tools.imaging.read import read_image

    volume = read_image(path, series=series)
    if item.kind == "mask":
        label = stated_label(item.label) if item.label.strip() else label_in_name(path.name)
        return AttachmentFacts(id=new_id, kind="mask", dims=volume.dims, of=item.of or "img1", label=label)
    modality, source = _modality(volume, path, item.modality)
    seen = look_at(volume, modality, from_header=source == "header")
    return AttachmentFacts(
        id=new_id,
        modality=modality,
        modality_source=source,
        body_part=volume.body_part,
        dims=volume.dims,
        view=volume.header.get("ViewPosition", ""),
        looks=seen.looks,
        looks_why=seen.why,
        doubts=seen.doubts,
        has_spacing=volume.spacing_source is not None,
        prior=item.prior,
    )


Source = Literal["header", "voxel values", "BIDS file name", "stated by the person", ""]


def _modality(volume: Volume, path: Path, stated: str | None) -> tuple[str, Source]:
    """Say which modality an image is, and who says so: header, voxel values, the file's name, the person."""
    from tools.imaging.nifti import looks_like_ct

    if volume.modality:
        if stated and stated.upper() != volume.modality:
            raise AttachmentError(f"{path.name} is {volume.modality} by its header, but was attached as {stated!r}")
        return volume.modality, "header"
    if looks_like_ct(volume):
        if stated and stated.upper() != "CT":
            raise AttachmentError(
                f"{path.name} was attached as {stated!r}, but its values are those of a CT in Hounsfield units (air "
                "near −1000, soft tissue near 40): leave the modality out, or attach another file"
            )
        return "CT", "voxel values"
    if _BIDS_MR.search(path.name):
        return "MR", "BIDS file name"
    if stated:
        return stated.upper(), "stated by the person"
    return "", ""
