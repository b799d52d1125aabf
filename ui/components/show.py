"""What a click shows in the viewer, as the attribute that ui/static/bus.js reads."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from tools.results import Boxes, Masks, Points
from ui.components.html import element, text

if TYPE_CHECKING:
    from tools.places import Position, Region
    from tools.workspace import Workspace


@dataclass(frozen=True)
class Show:
    """A place in an image; everything but the image may be left out."""

    volume: str
    """Id of an image of the reading: img1, s3."""
    mask: str = ""
    """step/target, for instance s1/lungs; only the step: all of its masks."""
    world: Position | None = None
    """RAS+ mm."""
    voxel: Position | None = None
    """0-based, as stored."""
    box: tuple[Position, Position] | None = None
    """Two corners, in the frame of `frame`."""
    frame: str = "voxel"

    @property
    def attribute(self) -> str:
        """The value of `data-show`; not escaped yet."""
        return json.dumps({name: value for name, value in asdict(self).items() if value}, ensure_ascii=False)


def show_button(words: str, show: Show, css: str = "rr-id") -> str:
    """Return a small button that shows a place in the viewer."""
    return element("button", text(words), css=css, type="button", data_show=show.attribute, title="Show in the viewer")


def show_of_region(region: Region) -> Show:
    """Return what shows the place of a sentence."""
    mask = f"{region.mask}/{region.target}" if region.mask and region.target else region.mask
    is_box = region.lower is not None and region.upper is not None and not region.mask
    box = (region.lower, region.upper) if is_box and region.lower and region.upper else None
    return Show(region.image, mask, voxel=region.voxel, box=box)


def show_of_evidence(workspace: Workspace, evidence: str) -> Show | None:
    """Return what shows an attachment or a step's result; None where there is nothing to see in an image.

    Args:
        workspace: the reading's.
        evidence: the id.
    """
    if evidence in (facts := workspace.facts()):
        return Show(evidence) if facts[evidence].kind == "image" else None
    if not workspace.has_artifact(evidence):
        return None
    artifact = workspace.artifact(evidence)
    if artifact.kind == "image":
        return Show(evidence)
    if artifact.kind == "measurements":
        rows = artifact.data.get("rows") or [{}]
        row = next((r for r in rows if r.get("mask")), rows[0])
        mask = f"{row['mask']}/{row['target']}" if row.get("mask") else ""
        return Show(str(row["image"]), mask) if row.get("image") else None
    image = str(artifact.data.get("image") or "")
    return _in_image(artifact.kind, artifact.data, evidence, image) if image else None


def _in_image(kind: str, data: dict[str, object], step: str, image: str) -> Show:
    if kind == "mask" and (masks := Masks.model_validate(data).masks):
        largest = max(masks, key=lambda m: m.voxels)
        return Show(image, f"{step}/{largest.target}")
    if kind == "boxes" and (boxes := Boxes.model_validate(data).boxes):
        best = max(boxes, key=lambda b: b.score or 0.0)
        return Show(image, box=(best.lower, best.upper))
    if kind == "points" and (points := Points.model_validate(data).points):
        return Show(image, voxel=points[0].voxel)
    return Show(image)
