from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tools.contract import ToolContext
from tools.errors import UnavailableError, UnsupportedError
from tools.facts import AttachmentFacts
from tools.imaging.geometry import to_orientation
from tools.imaging.nifti import write_nifti
from tools.imaging.volume import Volume
from tools.models.card import ModelCard
from tools.models.hub import Hub
from tools.models.runtimes.base import FoundBox, Progress
from tools.results import Boxes
from tools.verbs.detect import detect
from tools.workspace import Workspace


def _never() -> None:
    raise AssertionError("detect needs neither reports nor a language model")


def scan() -> Volume:
    affine = np.diag([0.8, 0.8, 2.0, 1.0])
    affine[:3, 3] = (-30, 12, 200)
    return Volume(np.zeros((40, 36, 30), np.int16), affine, spacing_source="NIfTI header", modality="CT", units="HU")


@pytest.fixture
def reading(tmp_path: Path) -> Callable[..., ToolContext]:
    def make(volume: Volume, hub: Hub, **known: object) -> ToolContext:
        workspace = Workspace(tmp_path / "reading")
        write_nifti(tmp_path / "img.nii.gz", np.asarray(volume.array), volume)
        facts: dict[str, object] = {
            "id": "img1",
            "modality": "CT",
            "modality_source": "voxel values",
            "body_part": "CHEST",
            "dims": 3,
        }
        facts |= known
        workspace.add_attachment(tmp_path / "img.nii.gz", AttachmentFacts.model_validate(facts))
        return ToolContext(workspace=workspace, step_id="s1", hub=hub, open_knowledge=_never, open_llm=_never)

    return make


class TwoNodules:
    """A detector with a known answer."""

    operating_point = 0.4
    boxes: tuple[FoundBox, ...] = (
        FoundBox("nodule", (4.0, 6.0, 8.0), (9.0, 11.0, 10.0), 0.91),
        FoundBox("nodule", (20.5, 6.0, 8.0), (24.0, 11.0, 10.0), 0.42),
    )

    def detect(self, volume: Volume, target: str, progress: Progress) -> tuple[FoundBox, ...]:
        assert target == "nodule"
        progress(0.5, "looking")
        return self.boxes


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setattr("tools.models.runtimes.hu_threshold.load", lambda loading: TwoNodules())
    card: dict[str, Any] = {
        "name": "nodules", "title": "A nodule detector", "verb": "detect", "runtime": "hu_threshold", "version": "1",
        "targets": ["nodule"], "aliases": {"lung_nodules": "nodule"}, "modality": ["CT"], "requires": "it is CT",
        "seconds": 1, "licence": "MIT", "source": "test", "limits": ["Only nodules of 3 mm and more."],
        "body_part": ["CHEST"],
    }  # fmt: skip
    return Hub([ModelCard.model_validate(card)])


def run(ctx: ToolContext, target: str = "nodule") -> Boxes:
    result = detect(ctx, image="img1", target=target)
    assert isinstance(result, Boxes)
    return result


@pytest.mark.parametrize("codes", ["RAS", "LPS"])
def test_boxes_come_in_voxels_and_mm_with_a_picture(reading: Callable[..., ToolContext], hub: Hub, codes: str) -> None:
    volume = to_orientation(scan(), codes)
    ctx = reading(volume, hub)
    result = run(ctx, "lung nodules")
    first = result.boxes[0]
    assert (first.lower, first.upper) == ((4.0, 6.0, 8.0), (9.0, 11.0, 10.0))
    expected = volume.affine_ras[:3, :3] @ np.array(first.lower) + volume.affine_ras[:3, 3]
    assert first.lower_mm == pytest.approx(tuple(expected), abs=0.01)
    assert result.operating_point == 0.4
    assert result.looked_for == "nodule"
    assert result.summary == (
        "Found 2 × nodule with A nodule detector at or above the operating point 0.4; the best score is 0.91."
    )
    assert "Only nodules of 3 mm and more." in result.notes
    assert (ctx.folder / result.figures[0]).read_bytes().startswith(b"\x89PNG")


def test_what_the_guard_took_as_given_stands_in_the_notes(reading: Callable[..., ToolContext], hub: Hub) -> None:
    result = run(reading(scan(), hub, body_part="", doubts=("img1 is called CT and holds few bright voxels.",)))
    assert "img1 does not name its body part; that it shows the chest was taken as given." in result.notes
    assert "img1 is called CT and holds few bright voxels." in result.notes


def test_nothing_above_the_operating_point_is_a_result(
    reading: Callable[..., ToolContext], hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TwoNodules, "boxes", ())
    result = run(reading(scan(), hub))
    assert result.boxes == ()
    assert "found none at or above the operating point 0.4; this is no proof" in result.summary
    assert result.figures


def test_missing_weights_and_unknown_targets_say_what_to_do(reading: Callable[..., ToolContext]) -> None:
    ctx = reading(scan(), Hub.installed())
    with pytest.raises(UnavailableError, match="lung_nodule_ct_detection"):
        run(ctx)
    with pytest.raises(UnsupportedError, match="can detect 'nodle'; nearest: nodule"):
        run(ctx, "nodle")
