"""What there is to see of results, without a browser: measured lines, and what a comparison drew."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agent.assistant import Assistant
from agent.attach import Attach, attach
from agent.settings import Settings
from tests.oriented_phantom import phantom_of
from tools.changes import CHANGE_MASKS, Change
from tools.imaging.nifti import write_nifti
from tools.measuring.size import diameter, volume
from tools.measuring.structure import Structure
from tools.results import Measurements, ToolResult
from tools.workspace import Artifact, Provenance
from ui.viewing.layers import Layers
from ui.viewing.pictures import Pictures, Preview
from ui.viewing.scene import scene_of


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Pictures, str]:
    settings = Settings(readings_dir=tmp_path / "readings", data_dir=tmp_path / "d", cache_dir=tmp_path / "c")
    assistant = Assistant(settings=settings)
    reading = assistant.begin()
    image, _ = phantom_of("PSR")
    write_nifti(tmp_path / "ct.nii.gz", image.array, image)
    attach(assistant.workspace(reading), Attach(tmp_path / "ct.nii.gz", modality="CT"))
    return Pictures(assistant), reading


def add(pictures: tuple[Pictures, str], step: str, result: ToolResult) -> None:
    made_by = Provenance(tool="any", tool_version="1", params={}, inputs=(), seconds=0.0)
    data = result.model_dump(mode="json")
    pictures[0].workspace(pictures[1]).add_artifact(
        Artifact(id=step, kind=result.kind, summary=result.summary, data=data, provenance=made_by)
    )


def test_what_waited_is_seen_once_under_its_id_in_the_reading(pictures: tuple[Pictures, str], tmp_path: Path) -> None:
    found, reading = pictures
    workspace = found.workspace(reading)
    waiting = [Preview(f"new{n}", f"{n}.nii.gz", tmp_path / "ct.nii.gz") for n in (1, 2, 3)]
    found.expect(reading, waiting)

    def seen() -> list[tuple[str, str, bool]]:
        images = scene_of(reading, workspace, found.previews(reading))["images"]
        return [(image["id"], image.get("was", ""), image.get("waits", False)) for image in images]

    assert seen() == [("img1", "", False), ("new1", "", True), ("new2", "", True), ("new3", "", True)]
    found.attaching(reading, {"new1": "img2", "new3": "img3"})  # new2 was not ticked
    assert seen() == [("img1", "", False), ("new1", "", True), ("new3", "", True)]
    found.expect(reading, ())  # the emptied upload says that nothing waits
    assert seen() == [("img1", "", False), ("new1", "", True), ("new3", "", True)]
    attach(workspace, Attach(tmp_path / "ct.nii.gz", modality="CT"))
    assert seen() == [("img1", "", False), ("img2", "new1", False), ("new3", "", True)]
    found.expect(reading, [replace(waiting[0], id="new4")])  # brought while the run goes on
    still = [("img1", "", False), ("img2", "new1", False), ("new3", "", True)]
    assert seen() == [*still, ("new4", "", True)]
    found.attaching(reading, {"new4": "img4"})
    assert seen() == [("img1", "", False), ("img2", "", False), ("new4", "", True)]


def test_measured_lengths_are_lines_and_other_values_are_not(pictures: tuple[Pictures, str]) -> None:
    image, _ = phantom_of("PSR")
    node = Structure("node", image.array > 50, image, "img1", "s1")
    rows = (*volume(node, []), *diameter(node, []))
    add(pictures, "s2", Measurements(summary="Measured.", rows=rows))
    longest, across = scene_of(pictures[1], pictures[0].workspace(pictures[1]))["lines"]
    assert (longest["id"], longest["image"]) == ("s2/1", "img1")
    assert longest["label"] == "longest diameter of node"
    assert longest["value"].startswith(f"{rows[1].value:.1f}")
    assert rows[1].where is not None
    assert longest["ends"] == rows[1].where.ends
    assert across["label"] == "perpendicular diameter of node"


def test_gained_and_lost_lie_over_the_later_study_in_the_colours_of_the_change_map(
    pictures: tuple[Pictures, str],
) -> None:
    image, _ = phantom_of("PSR")
    found, reading = pictures
    folder = found.workspace(reading).step_folder("s3")
    parts = {"gained": np.zeros(image.shape, bool), "lost": np.zeros(image.shape, bool)}
    parts["gained"][1:3, 2:4, 1] = True
    for name, file in CHANGE_MASKS.items():
        write_nifti(folder / file, parts[name], image)
    files = tuple(CHANGE_MASKS.values())
    change = Change(summary="Compared.", current="img1", prior="img2", prior_date="2025-06-01", rows=(), files=files)
    add(pictures, "s3", change)
    (mask,) = scene_of(reading, found.workspace(reading))["masks"]
    assert (mask["image"], mask["heading"]) == ("img1", "Change since img2, 2025-06-01")
    (layer,) = Layers(found).listed(reading, "s3")
    assert [(r["id"], r["voxels"], tuple(r["colour"])) for r in layer["regions"]] == [
        ("s3/gained", 4, (230, 159, 0)), ("s3/lost", 0, (0, 158, 115)),
    ]  # fmt: skip
    assert parts["gained"][tuple(layer["regions"][0]["at"])]


def test_a_comparison_of_films_has_no_masks(pictures: tuple[Pictures, str]) -> None:
    add(pictures, "s3", Change(summary="Compared.", current="img1", prior="img2", rows=(), files=("change-map.png",)))
    assert scene_of(pictures[1], pictures[0].workspace(pictures[1]))["masks"] == []
