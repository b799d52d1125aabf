"""One folder a reading: attachments, artifacts and their files. Two readings never share a file.

READING/attachments/img1/attachment.json, and the file or folder as the person brought it
READING/artifacts/s1/artifact.json, and the files the step wrote
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from tools.errors import BadInputError, NotFoundError, ToolError, UnavailableError
from tools.facts import ArtifactKind, AttachmentFacts, AttachmentKind
from tools.results import Image, Mark, Masks, ModelUse, ToolResult

if TYPE_CHECKING:
    from pydicom import Dataset

    from tools.imaging.volume import BoolArray, Volume

MAX_CACHED_VOLUMES = 4  # a chest CT is 70 MB in int16; four cover an image, its prior and two derived images

ResultT = TypeVar("ResultT", bound=ToolResult)


class Provenance(BaseModel):
    """How an artifact came to be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tool: str
    tool_version: str
    params: dict[str, Any]
    inputs: tuple[str, ...]
    model: ModelUse | None = None
    seed: int = 0
    seconds: float = 0.0
    software: str = ""


class Artifact(BaseModel):
    """Anything a tool made, addressed by the id of the step that made it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern=r"^s\d+$")
    kind: ArtifactKind
    summary: str
    data: dict[str, Any]
    files: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    provenance: Provenance


class Attachment(BaseModel):
    """An image, mask or report that a person brought."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    facts: AttachmentFacts
    file: str
    """Name inside the attachment's folder."""
    series: str | None = None
    """Which series or volume of the file was chosen."""

    @property
    def id(self) -> str:
        """Its id: img1, mask1, rep1."""
        return self.facts.id


class Workspace:
    """The folder of one reading, and what lies in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._volumes: OrderedDict[str, Volume] = OrderedDict()
        self._lock = threading.Lock()
        with writing(root):
            (root / "attachments").mkdir(parents=True, exist_ok=True)
            (root / "artifacts").mkdir(exist_ok=True)

    # --- attachments

    def attachments(self) -> list[Attachment]:
        """Return what the person brought, in the order of its ids."""
        files = sorted((self.root / "attachments").glob("*/attachment.json"), key=lambda p: _natural(p.parent.name))
        return [Attachment.model_validate_json(f.read_text(encoding="utf-8")) for f in files]

    def facts(self) -> dict[str, AttachmentFacts]:
        """Return the facts of every attachment by id."""
        return {a.id: a.facts for a in self.attachments()}

    def image_facts(self, image_id: str) -> AttachmentFacts:
        """Return the facts of an image, attached or made by a step.

        Raises:
            NotFoundError: no such id.
            BadInputError: the id is of another kind.
        """
        if (kind := self.kind_of(image_id)) != "image":
            raise BadInputError(f"{image_id!r} is of kind {kind}, expected an image")
        if image_id.startswith("s"):
            return self.result(image_id, Image).facts
        return self._attachment(image_id).facts

    def every_facts(self) -> dict[str, AttachmentFacts]:
        """Return the facts of every attachment and of every image that a step made, by id."""
        made = [a for a in self.artifacts() if a.kind == "image"]
        return self.facts() | {a.id: Image.model_validate(a.data).facts for a in made}

    def next_id(self, kind: AttachmentKind) -> str:
        """Return the next free id for an attachment of a kind, such as img2."""
        prefix = {"image": "img", "mask": "mask", "report": "rep"}[kind]
        taken = [int(a.id.removeprefix(prefix)) for a in self.attachments() if a.facts.kind == kind]
        return f"{prefix}{max(taken, default=0) + 1}"

    def add_attachment(
        self, source: Path, facts: AttachmentFacts, series: str | None = None, files: Sequence[Path] = ()
    ) -> Attachment:
        """Copy a file or folder into the reading; the original is never touched.

        Args:
            source: the file or folder.
            facts: what it is, with its new id.
            series: which series or volume of the file was chosen.
            files: for a folder, the files in it to copy; none copies all.
        """
        folder = self.root / "attachments" / facts.id
        with writing(folder):
            folder.mkdir()
            try:
                target = folder / source.name
                if files:
                    _copy_files(source, files, target)
                elif source.is_dir():
                    shutil.copytree(source, target)
                else:
                    shutil.copyfile(source, target)
                attachment = Attachment(facts=facts, file=source.name, series=series)
                write_atomically(folder / "attachment.json", attachment.model_dump_json(indent=1))
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
        return attachment

    def remove_attachment(self, attachment_id: str) -> None:
        """Take an attachment out again, where nothing came of what it was brought for."""
        self._attachment(attachment_id)
        shutil.rmtree(self.root / "attachments" / attachment_id)

    def update_facts(self, facts: AttachmentFacts) -> None:
        """Replace what is known of an attachment, for instance after a person stated its modality."""
        attachment = self._attachment(facts.id).model_copy(update={"facts": facts})
        path = self.root / "attachments" / facts.id / "attachment.json"
        write_atomically(path, attachment.model_dump_json(indent=1))
        with self._lock:
            self._volumes.pop(facts.id, None)  # it was read with what was known before

    def attachment_path(self, attachment_id: str) -> Path:
        """Return the attached file or folder itself."""
        return self.root / "attachments" / attachment_id / self._attachment(attachment_id).file

    def _attachment(self, attachment_id: str) -> Attachment:
        path = self.root / "attachments" / attachment_id / "attachment.json"
        if not path.is_file():
            have = ", ".join(a.id for a in self.attachments()) or "none"
            raise NotFoundError(f"no attachment {attachment_id!r} in this reading; there are: {have}")
        return Attachment.model_validate_json(path.read_text(encoding="utf-8"))

    # --- artifacts

    def step_folder(self, step_id: str) -> Path:
        """Return (and make) the folder of a step's files."""
        folder = self.root / "artifacts" / step_id
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def add_artifact(self, artifact: Artifact) -> None:
        """Store an artifact; its files must lie in the step's folder already."""
        folder = self.step_folder(artifact.id)
        missing = [name for name in artifact.files if not (folder / name).exists()]
        if missing:
            raise NotFoundError(f"artifact {artifact.id} names files that were not written: {missing}")
        write_atomically(folder / "artifact.json", artifact.model_dump_json(indent=1))

    def artifacts(self) -> list[Artifact]:
        """Return every artifact in the order of its ids."""
        files = sorted((self.root / "artifacts").glob("*/artifact.json"), key=lambda p: _natural(p.parent.name))
        return [Artifact.model_validate_json(f.read_text(encoding="utf-8")) for f in files]

    def artifact(self, artifact_id: str) -> Artifact:
        """Return one artifact.

        Raises:
            NotFoundError: no step of this reading made it.
        """
        path = self.root / "artifacts" / artifact_id / "artifact.json"
        if not path.is_file():
            have = ", ".join(a.id for a in self.artifacts()) or "none"
            raise NotFoundError(f"no result {artifact_id!r} in this reading; there are: {have}")
        return Artifact.model_validate_json(path.read_text(encoding="utf-8"))

    def has_artifact(self, artifact_id: str) -> bool:
        """Return whether a step of this id has finished."""
        return (self.root / "artifacts" / artifact_id / "artifact.json").is_file()

    def result(self, artifact_id: str, result_type: type[ResultT]) -> ResultT:
        """Return an artifact's data as the typed result that the tool returned.

        Raises:
            BadInputError: the artifact is of another kind.
        """
        artifact = self.artifact(artifact_id)
        if artifact.kind != result_type.kind:
            raise BadInputError(f"{artifact_id!r} is of kind {artifact.kind}, expected {result_type.kind}")
        return result_type.model_validate(artifact.data)

    def kind_of(self, any_id: str) -> ArtifactKind:
        """Return the kind of an attachment or artifact."""
        if any_id.startswith("s"):
            return self.artifact(any_id).kind
        return self._attachment(any_id).facts.kind

    def marks_of(self, any_id: str) -> tuple[Mark, ...]:
        """Return the marks that every copy of an attachment or artifact keeps; of an attached image, its file's own."""
        if any_id.startswith("s"):
            return self.artifact(any_id).marks
        if self.kind_of(any_id) != "image":
            return ()
        try:
            return ("synthetic",) if "SyntheticNote" in self.volume(any_id).header else ()
        except ToolError:  # no pixels to be had: nothing is made of them either
            return ()

    # --- voxels

    def volume(self, image_id: str) -> Volume:
        """Return an image's voxels and geometry; read once, then kept in memory.

        Raises:
            NotFoundError: no such image.
            BadInputError: the id is of another kind, or the file cannot be read.
        """
        with self._lock:
            if image_id in self._volumes:
                self._volumes.move_to_end(image_id)
                return self._volumes[image_id]
        volume = self._read(image_id)
        with self._lock:
            self._volumes[image_id] = volume
            while len(self._volumes) > MAX_CACHED_VOLUMES:
                self._volumes.popitem(last=False)
        return volume

    def _read(self, image_id: str) -> Volume:
        from dataclasses import replace

        from tools.imaging.read import read_image

        if self.kind_of(image_id) != "image":
            raise BadInputError(f"{image_id!r} is of kind {self.kind_of(image_id)}, expected an image")
        if image_id.startswith("s"):
            made = self.result(image_id, Image)
            if not made.file:
                return self.volume(made.source)
            volume = read_image(self.root / "artifacts" / image_id / made.file)
            return replace(volume, modality=made.facts.modality, body_part=made.facts.body_part, units=made.units)
        attachment = self._attachment(image_id)
        volume = read_image(self.attachment_path(image_id), series=attachment.series)
        facts = attachment.facts
        units = "HU" if facts.modality == "CT" and facts.modality_source == "voxel values" else volume.units
        return replace(volume, modality=facts.modality, body_part=facts.body_part, units=units)

    def masks(self, mask_id: str) -> Iterator[tuple[str, BoolArray, Volume]]:
        """Yield (target, voxels inside, the mask as a volume) for each target of a mask.

        Raises:
            BadInputError: the id is of another kind.
        """
        import numpy as np

        from tools.imaging.read import read_image

        if self.kind_of(mask_id) != "mask":
            raise BadInputError(f"{mask_id!r} is of kind {self.kind_of(mask_id)}, expected a mask")
        if mask_id.startswith("s"):
            folder = self.root / "artifacts" / mask_id
            files = [(m.target, folder / m.file) for m in self.result(mask_id, Masks).masks]
        else:
            facts = self._attachment(mask_id).facts
            files = [(facts.label or mask_id, self.attachment_path(mask_id))]
        for target, path in files:
            volume = read_image(path)
            yield target, np.asarray(volume.array != 0), volume

    def image_file(self, image_id: str) -> tuple[Path, str | None]:
        """Return the file or folder that an image lies in, attached or made by a step, and which series of it."""
        if not image_id.startswith("s"):
            return self.attachment_path(image_id), self._attachment(image_id).series
        made = self.result(image_id, Image)
        return (self.step_folder(image_id) / made.file, None) if made.file else self.image_file(made.source)

    def dicom_headers(self, image_id: str) -> tuple[tuple[Dataset, ...], tuple[int, ...]]:
        """Return the DICOM headers that an image was read from; see `tools.imaging.read.dicom_headers`."""
        from tools.imaging.read import dicom_headers

        return dicom_headers(*self.image_file(image_id))

    def report_text(self, report_id: str) -> str:
        """Return the text of an attached report, whatever format it came in.

        Raises:
            NotFoundError: no such attachment.
            BadInputError: the id is of another kind, or the file holds no readable report, or several.
        """
        from knowledge.errors import KnowledgeError
        from knowledge.readers.formats import read_reports
        from knowledge.readers.incoming import Incoming
        from knowledge.report import Report

        if (kind := self.kind_of(report_id)) != "report" or report_id.startswith("s"):
            raise BadInputError(f"{report_id!r} is of kind {kind}, expected an attached report")
        path = self.attachment_path(report_id)
        try:
            records, _ = read_reports(path)
            found = [record.report if isinstance(record, Incoming) else record for record in records]
        except KnowledgeError as error:
            raise BadInputError(f"{report_id} ({path.name}) cannot be read as a report: {error}") from error
        reports = [record for record in found if isinstance(record, Report)]
        if len(reports) != 1:
            raise BadInputError(f"{report_id} ({path.name}) must hold one report with text, it holds {len(reports)}")
        return reports[0].text

    def image_of(self, mask_id: str) -> str:
        """Return the id of the image that a mask belongs to."""
        if mask_id.startswith("s"):
            return self.result(mask_id, Masks).image
        facts = self._attachment(mask_id).facts
        if not facts.of:
            raise BadInputError(f"{mask_id!r} does not say which image it belongs to")
        return facts.of


def _copy_files(source: Path, files: Sequence[Path], target: Path) -> None:
    for file in files:
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a full disk or a forbidden folder into one clear line."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UnavailableError(f"the disk is full: could not write {path}; free some space and resume") from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            raise UnavailableError(f"no permission to write {path}; choose another folder") from error
        raise


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a killed process or a full disk leaves the old one or the new one, never a half."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path):
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write JSON atomically, keys in their own order."""
    write_atomically(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def _natural(name: str) -> tuple[str, int]:
    letters: Literal[""] | str = name.rstrip("0123456789")
    digits = name[len(letters) :]
    return letters, int(digits or 0)
