"""The page over a scripted assistant whose masks and boxes are real files, for tests of the viewer.

python -m tests.browser.viewer_page FOLDER ct|film
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tests.served import served

SHAPE = (60, 44, 52)
LESION_RAS, RADIUS_MM, LESION_HU = np.array([-30.0, 22.0, 14.0]), 9.0, 300
STEP_MM = (2.0, 2.5, 3.0)
CUBES = {"gained": np.s_[36:46, 24:30, 10:18], "lost": np.s_[26:36, 24:30, 32:40]}


def affine() -> np.ndarray:
    """Axes towards posterior, superior, right: no flip or permutation of the usual ones hides here."""
    made = np.eye(4)
    made[:3, :3] = np.array([[0, 0, 1], [-1, 0, 0], [0, 1, 0]]) @ np.diag(STEP_MM)
    made[:3, 3] = -made[:3, :3] @ (np.array(SHAPE) - 1) / 2
    return made


def phantom():
    """A body of 40 HU in air with one lesion at the patient's left, in front, above the middle; and its mask."""
    from tools.imaging.volume import Volume

    grid = np.moveaxis(np.indices(SHAPE), 0, -1) @ affine()[:3, :3].T + affine()[:3, 3]
    body = (np.square(grid / np.array([70.0, 50.0, 60.0])).sum(-1)) < 1
    lesion = np.square(grid - LESION_RAS).sum(-1) < RADIUS_MM**2
    array = np.where(lesion, LESION_HU, np.where(body, 40, -1000)).astype(np.int16)
    volume = Volume(array, affine(), spacing_source="NIfTI header", modality="CT", units="HU")
    return volume, lesion


def write_ct(path: Path) -> Path:
    """Write the phantom as a file to upload."""
    from tools.imaging.nifti import write_nifti

    volume, _ = phantom()
    write_nifti(path, volume.array, volume)
    return path


def write_small_ct(path: Path) -> Path:
    """Write a volume of 8 × 7 × 6 whose values say where they are: 321 at 3, 2, 1."""
    from tools.imaging.nifti import write_nifti
    from tools.imaging.volume import Volume

    i, j, k = np.indices((8, 7, 6))
    array = (100 * i + 10 * j + k).astype(np.int16)
    write_nifti(path, array, Volume(array, np.eye(4), spacing_source="NIfTI header"))
    return path


def write_film(path: Path) -> Path:
    """Write a picture with a bright square in its upper left part."""
    from PIL import Image

    pixels = np.full((300, 240), 60, np.uint8)
    pixels[40:80, 30:90] = 220
    Image.fromarray(pixels).save(path)
    return path


def story_of_ct(folder: Path):
    """Step s1 outlines the lesion in img1, s2 boxes it, s3 points into it, s4 explains it by a heat map.

    Step s5 measures its diameters, s6 compares img1 with an earlier study: a cube was gained, another lost.
    """
    from agent.plan import Step
    from tools.changes import CHANGE_MASKS, Change
    from tools.imaging.nifti import write_nifti
    from tools.measuring.size import diameter
    from tools.measuring.structure import Structure
    from tools.results import Box, Boxes, MaskEntry, Masks, Measurements, Point, Points

    volume, lesion = phantom()
    path = folder / "lesion.nii.gz"
    write_nifti(path, lesion, volume)
    mask = Masks(
        summary="Outlined the lesion", image="img1", files=("lesion.nii.gz",),
        masks=(MaskEntry(target="lesion", file="lesion.nii.gz", voxels=int(lesion.sum())),),
    )  # fmt: skip
    lower, upper = np.argwhere(lesion).min(0).tolist(), np.argwhere(lesion).max(0).tolist()
    boxes = Boxes(
        summary="Found one", image="img1", looked_for="lesion",
        boxes=(Box(label="lesion", score=0.9, lower=lower, upper=upper),),
    )  # fmt: skip
    middle = np.rint(np.argwhere(lesion).mean(0)).astype(int).tolist()
    points = Points(
        summary="Found the middle", image="img1",
        points=(Point(name="middle", voxel=middle, position_mm=tuple(LESION_RAS.tolist())),),
    )  # fmt: skip
    heat = np.where(lesion, 3.5, 0).astype(np.float32)
    write_nifti(folder / "grad-cam.nii.gz", heat, volume)
    explained = _explanation("lesion", (tuple(lower), tuple(upper)))
    measured = Measurements(
        summary="Measured", rows=tuple(diameter(Structure("lesion", lesion, volume, "img1", "s1"), []))
    )
    for name, cube in CUBES.items():
        inside = np.zeros(SHAPE, bool)
        inside[cube] = True
        write_nifti(folder / CHANGE_MASKS[name], inside, volume)
    change = Change(
        summary="Compared", current="img1", prior="img2", prior_date="2025-06-01", rows=(),
        files=tuple(CHANGE_MASKS.values()),
    )  # fmt: skip
    changed = {file: (folder / file).read_bytes() for file in CHANGE_MASKS.values()}
    return [
        (Step(id="s1", tool="segment", args={"image": "@img1", "targets": ["lesion"]}), mask,
         {path.name: path.read_bytes()}),
        (Step(id="s2", tool="detect", args={"image": "@img1", "target": "lesion"}), boxes, {}),
        (Step(id="s3", tool="landmarks", args={"image": "@img1", "targets": ["middle"]}), points, {}),
        (Step(id="s4", tool="explain", args={"image": "@img1", "finding": "lesion"}), explained,
         {"grad-cam.nii.gz": (folder / "grad-cam.nii.gz").read_bytes()}),
        (Step(id="s5", tool="measure", args={"mask": "@s1", "quantities": ["diameter"]}), measured, {}),
        (Step(id="s6", tool="compare", args={"current": "@img1", "prior": "@img1"}), change, changed),
    ]  # fmt: skip


def story_of_film(folder: Path):
    """Step s1 boxes the square of a film, s2 explains another place by a heat map."""
    from agent.plan import Step
    from tools.imaging.nifti import write_nifti
    from tools.imaging.volume import Volume
    from tools.results import Box, Boxes

    boxes = Boxes(
        summary="Found one", image="img1", looked_for="square",
        boxes=(Box(label="bright square", score=0.9, lower=(30, 40, 0), upper=(89, 79, 0)),),
    )  # fmt: skip
    heat = np.zeros((240, 300, 1), np.float32)
    heat[150:200, 130:180] = 3.5
    write_nifti(folder / "grad-cam.nii.gz", heat, Volume(heat, np.eye(4)))
    explained = _explanation("square", ((150, 130, 0), (199, 179, 0)))
    return [
        (Step(id="s1", tool="detect", args={"image": "@img1", "target": "square"}), boxes, {}),
        (Step(id="s2", tool="explain", args={"image": "@img1", "finding": "square"}), explained,
         {"grad-cam.nii.gz": (folder / "grad-cam.nii.gz").read_bytes()}),
    ]  # fmt: skip


def _explanation(finding: str, region):
    from tools.results import Explanation

    return Explanation(
        summary="Explained", image="img1", finding=finding, score=0.9, network_value=2.0, network_value_masked=1.0,
        network_value_elsewhere=2.0, network_value_filled_in=1.0, agreement_with_random_weights=0.1,
        region=region, files=("grad-cam.nii.gz",), marks=("opinion",),
    )  # fmt: skip


@contextmanager
def serving(folder: Path, story: str = "ct") -> Iterator[str]:
    """Yield the address of the page."""
    with served("tests.browser.viewer_page", folder, story) as address:
        yield address


def main() -> None:
    """Serve until terminated; the first line says where."""
    from agent.settings import Settings
    from tests.fake_assistant import FakeAssistant
    from ui.server import serve

    folder, story = Path(sys.argv[1]), {"ct": story_of_ct, "film": story_of_film}[sys.argv[2]]
    settings = Settings(readings_dir=folder / "readings", cache_dir=folder / "cache", data_dir=folder / "data")
    assistant = FakeAssistant(settings=settings, story=story(folder), claims=())
    serve(assistant, "127.0.0.1", 0, lambda address: print(address, flush=True))  # noqa: T201  its caller reads it


if __name__ == "__main__":
    main()
