"""A reading with one image and its masks, for the quantities of `measure`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tools.contract import ToolContext
from tools.facts import AttachmentFacts
from tools.imaging.nifti import write_nifti
from tools.imaging.volume import Volume
from tools.results import MaskEntry, Masks, Measurement, Measurements
from tools.verbs.measure import measure
from tools.workspace import Artifact, Provenance, Workspace

Measure = Callable[..., Measurements]


def context(folder: Path, volume: Volume, masks: dict[str, np.ndarray], **facts: object) -> ToolContext:
    workspace = Workspace(folder / "reading")
    write_nifti(folder / "img.nii.gz", np.asarray(volume.array), volume)
    known = {"modality": "CT", "modality_source": "voxel values", "dims": volume.dims, "has_spacing": True} | facts
    workspace.add_attachment(folder / "img.nii.gz", AttachmentFacts.model_validate({"id": "img1"} | known))
    entries = []
    for target, mask in masks.items():
        write_nifti(workspace.step_folder("s1") / f"{target}.nii.gz", mask, volume)
        entries.append(MaskEntry(target=target, file=f"{target}.nii.gz", voxels=int(mask.sum())))
    made = Masks(summary="Masks.", image="img1", masks=tuple(entries))
    by = Provenance(tool="segment", tool_version="0", params={}, inputs=("img1",))
    data = made.model_dump(mode="json")
    workspace.add_artifact(Artifact(id="s1", kind="mask", summary=made.summary, data=data, provenance=by))
    return ToolContext(workspace=workspace, step_id="s2", hub=None, open_knowledge=lambda: None, open_llm=lambda: None)


@pytest.fixture
def measured(tmp_path: Path) -> Measure:
    """Measure masks on an image: `measured(volume, {"lungs": mask}, "hu_classes")`."""

    def run(volume: Volume, masks: dict[str, np.ndarray], *quantities: str, **facts: object) -> Measurements:
        ctx = context(tmp_path, volume, masks, **facts)
        result = measure(ctx, mask="s1", quantities=list(quantities) or None)
        assert isinstance(result, Measurements)
        for file in result.files:
            assert (ctx.folder / file).stat().st_size > 1000
        return result

    return run


def rows_of(result: Measurements, target: str) -> dict[str, Measurement]:
    return {row.quantity: row for row in result.rows if row.target == target}
