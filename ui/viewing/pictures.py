"""The images of a reading for the viewer: what was attached, what tools made, and what is about to be attached."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tools.errors import NotFoundError

if TYPE_CHECKING:
    from agent.assistant import Assistant
    from tools.imaging.volume import Volume
    from tools.workspace import Workspace
    from ui.page import StudyState

logger = logging.getLogger(f"readingroom.{__name__}")

MAX_OPEN_PREVIEWS = 3  # volumes; a chest CT is 70 MB
MAX_READINGS = 200  # readings whose uploads are remembered until they are attached


def is_waiting(image: str) -> bool:
    """Return whether an id is that of something that is not attached yet."""
    return image.startswith("new")


@dataclass(frozen=True)
class Preview:
    """A file or folder that waits for its request, or one series of it."""

    id: str
    """new1, new2.3: which upload, which series of it."""
    name: str
    path: Path
    series: str | None = None
    modality: str = ""
    """What the person says of it; empty: the file says."""
    prior: bool = False
    """Whether it is an earlier study."""
    goes: bool = True
    """Whether it goes with the next request: of several series only those that are ticked do."""
    becomes: str = ""
    """The id that it gets in the reading; empty until its request was made."""


class Pictures:
    """Finds voxels by the id of a reading and the id of an image in it."""

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant
        self._lock = threading.Lock()
        self._previews: OrderedDict[str, tuple[Preview, ...]] = OrderedDict()
        self._open: OrderedDict[tuple[Path, str | None], Volume] = OrderedDict()

    def workspace(self, reading: str) -> Workspace:
        """Return the reading's workspace.

        Raises:
            ReadingError: no such reading.
        """
        return self._assistant.workspace(reading)

    def expect(self, reading: str, previews: Sequence[Preview]) -> None:
        """Remember what is about to be attached, in place of what was remembered before.

        What goes with the request that was made stays: it may not be in the reading yet.
        """
        with self._lock:
            going = tuple(p for p in self._previews.get(reading, ()) if p.becomes)
            self._previews[reading] = (*going, *previews)
            self._previews.move_to_end(reading)
            while len(self._previews) > MAX_READINGS:
                self._previews.popitem(last=False)

    def attaching(self, reading: str, becomes: Mapping[str, str]) -> None:
        """Remember what goes with a request that was made; what did not go with it is forgotten.

        Args:
            reading: its id.
            becomes: the ids that images will have in the reading, by those of their previews.
        """
        with self._lock:
            known = self._previews.get(reading, ())
            self._previews[reading] = tuple(replace(p, becomes=becomes[p.id]) for p in known if p.id in becomes)

    def previews(self, reading: str) -> tuple[Preview, ...]:
        """Return what is about to be attached."""
        with self._lock:
            return self._previews.get(reading, ())

    def preview(self, reading: str, image: str) -> Preview:
        """Return one of the uploads.

        Raises:
            NotFoundError: none of this id waits in this reading.
        """
        for found in self.previews(reading):
            if found.id == image:
                return found
        raise NotFoundError(f"no upload {image!r} waits in this reading: attach it again")

    def volume(self, reading: str, image: str) -> Volume:
        """Return an image's voxels and geometry.

        Raises:
            ToolError: no such image, or its file cannot be read; says why.
        """
        if not is_waiting(image):
            return self.workspace(reading).volume(image)
        preview = self.preview(reading, image)
        key = (preview.path, preview.series)
        with self._lock:
            if key in self._open:
                self._open.move_to_end(key)
                return _as_said(self._open[key], preview)
        from tools.imaging.read import read_image

        volume = read_image(preview.path, series=preview.series)
        with self._lock:
            self._open[key] = volume
            while len(self._open) > MAX_OPEN_PREVIEWS:
                self._open.popitem(last=False)
        return _as_said(volume, preview)

    def folder(self, reading: str) -> Path:
        """Return (and make) the folder in which converted images of a reading lie."""
        from tools.workspace import writing

        folder = self.workspace(reading).root / "view"
        with writing(folder):
            folder.mkdir(exist_ok=True)
        return folder


def _as_said(volume: Volume, preview: Preview) -> Volume:
    from tools.imaging.nifti import looks_like_ct

    modality = volume.modality or preview.modality
    is_ct = modality == "CT" or (not modality and looks_like_ct(volume))
    units = "HU" if is_ct and not volume.modality else volume.units
    return replace(volume, modality=modality or ("CT" if is_ct else ""), units=units)


def previews_of(study: StudyState) -> tuple[Preview, ...]:
    """Return what can be looked at of what was brought: every series of every file that can be read."""
    from ui.choosing import id_of, readable, waiting

    stated, found = dict(study.modality_of), []
    priors = {w.id for w in waiting(study) if w.study in study.priors}
    for number, item in readable(study):
        if item.path.suffix.lower() in (".txt", ".md"):
            continue
        modality = stated.get(str(item.path), "")
        if not item.must_choose:
            found.append(Preview(id_of(number, None), item.name, item.path, modality=modality))
        for series in item.series if item.must_choose else ():
            name, kind = series.description or f"series {series.number}", series.modality or modality
            goes = (str(item.path), series.number) in study.chosen
            found.append(Preview(id_of(number, series), name, item.path, str(series.number), kind, goes=goes))
    return tuple(replace(preview, prior=preview.id in priors) for preview in found)
