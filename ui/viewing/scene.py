"""What there is to see in a reading: images, masks, boxes, points, heat maps, lines; names and addresses, no voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.changes import CHANGE_MASKS, Change
from tools.claims import readable
from tools.results import Boxes, Explanation, Image, Masks, Measurements, Points
from ui.render import clean, quantity_text, target_text, value_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tools.results import Measurement
    from tools.workspace import Artifact, Workspace
    from ui.viewing.pictures import Preview

PREFIX = "view"
"""Under which images are served. A browser finds it from the page, in whatever folder of a site that lies."""


def scene_of(reading: str, workspace: Workspace, previews: tuple[Preview, ...] = ()) -> dict[str, Any]:
    """Return the scene of a reading as JSON data.

    Args:
        reading: its id.
        workspace: its workspace.
        previews: what is about to be attached.
    """
    kinds = ("images", "masks", "boxes", "points", "heats", "lines")
    scene: dict[str, Any] = {"reading": reading, **{kind: [] for kind in kinds}}
    waited = {preview.becomes: preview.id for preview in previews if preview.becomes}
    attached = set()
    for attachment in workspace.attachments():
        facts = attachment.facts
        if facts.kind == "image":
            attached.add(facts.id)
            image = _image(reading, facts.id, attachment.file, facts.modality, prior=facts.prior)
            scene["images"].append(image | {"was": waited.get(facts.id, "")})
        elif facts.kind == "mask" and facts.of:
            scene["masks"].append(_mask(reading, facts.id, facts.of, facts.label or facts.id))
    for preview in (p for p in previews if p.becomes not in attached):
        image = _image(reading, preview.id, preview.name, preview.modality, prior=preview.prior)
        scene["images"].append(image | {"waits": True, "goes": preview.goes})
    for artifact in workspace.artifacts():
        _add_result(scene, reading, artifact)
    return scene


def _image(reading: str, image: str, name: str, modality: str, *, prior: bool = False) -> dict[str, Any]:
    return {
        "id": image, "name": clean(name), "modality": clean(modality), "prior": prior, "marks": [], "of": "",
        "address": f"{PREFIX}/{reading}/{image}",
    }  # fmt: skip


def _mask(reading: str, mask: str, image: str, name: str, marks: tuple[str, ...] = ()) -> dict[str, Any]:
    address = f"{PREFIX}/{reading}/{mask}/layers.json"
    return {"id": mask, "image": image, "name": name, "marks": list(marks), "address": address}


def _add_result(scene: dict[str, Any], reading: str, artifact: Artifact) -> None:
    step, marks = artifact.id, artifact.marks
    match artifact.kind:
        case "mask":
            masks = Masks.model_validate(artifact.data)
            name = ", ".join(readable(m.target) for m in masks.masks[:3])
            scene["masks"].append(_mask(reading, step, masks.image, name, marks))
        case "image":
            made = Image.model_validate(artifact.data)
            name = f"{step} {artifact.provenance.tool} of {made.source}"
            image = _image(reading, step, name, made.facts.modality)
            scene["images"].append(image | {"of": made.source, "marks": list(marks)})
        case "measurements":
            scene["lines"] += _lines(step, Measurements.model_validate(artifact.data).rows)
        case "change":
            scene["masks"] += _changes(reading, artifact)
        case "figure" if "finding" in artifact.data:
            scene["heats"] += _heats(reading, artifact)
        case "boxes":
            boxes = Boxes.model_validate(artifact.data)
            scene["boxes"] += [
                _mark(step, n, boxes.image, box.label, box.score) | {"lower": box.lower, "upper": box.upper}
                for n, box in enumerate(boxes.boxes)
            ]
        case "points":
            points = Points.model_validate(artifact.data)
            scene["points"] += [
                _mark(step, n, points.image, point.name, point.score) | {"at": point.voxel}
                for n, point in enumerate(points.points)
            ]


def _heats(reading: str, artifact: Artifact) -> list[dict[str, Any]]:
    """Return the maps of an explanation; a flat one marks nothing and is left out."""
    made = Explanation.model_validate(artifact.data)
    if made.region is None:
        return []
    lower, upper = made.region
    at = [(a + b) // 2 for a, b in zip(lower, upper, strict=True)]
    heats = []
    for file in made.files:
        if file.endswith(".nii.gz"):
            name = f"{file.removesuffix('.nii.gz')} of {clean(readable(made.finding))}"
            address = f"{PREFIX}/{reading}/{artifact.id}/heat"  # .json, .png, .nii
            mark = {"id": f"{artifact.id}/{file}", "image": made.image, "name": name, "at": at, "file": file}
            heats.append(mark | {"address": address, "marks": list(artifact.marks)})
    return heats


def _lines(step: str, rows: Iterable[Measurement]) -> list[dict[str, Any]]:
    """Return the lines along which lengths were measured."""
    return [
        {"id": f"{step}/{n}", "image": row.where.image, "ends": row.where.ends, "at": row.where.voxel,
         "label": f"{quantity_text(row)} of {target_text(row.target)}", "value": value_text(row)}
        for n, row in enumerate(rows)
        if row.where and row.where.ends
    ]  # fmt: skip


def _changes(reading: str, artifact: Artifact) -> list[dict[str, Any]]:
    """Return what a comparison of volumes drew on the later study; of films there are no masks."""
    change = Change.model_validate(artifact.data)
    if not set(CHANGE_MASKS.values()) <= set(change.files):
        return []
    earlier = f"{change.prior}, {change.prior_date}" if change.prior_date else change.prior
    mask = _mask(reading, artifact.id, change.current, "gained, lost", artifact.marks)
    return [mask | {"heading": f"Change since {clean(earlier)}"}]


def _mark(step: str, number: int, image: str, label: str, score: float | None) -> dict[str, Any]:
    return {"id": f"{step}/{number}", "image": image, "label": clean(readable(label)), "score": score}
