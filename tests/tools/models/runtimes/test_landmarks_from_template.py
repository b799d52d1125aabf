"""Commissures from the template: a copy of it, turned, scaled, moved and recoloured, has them at known places."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tools.errors import UnsupportedError
from tools.imaging.geometry import to_orientation, voxel_to_world
from tools.imaging.nifti import read_nifti
from tools.models.runtimes.base import silent
from tools.models.runtimes.landmarks_from_template import POINTS_MM, LandmarksFromTemplate

if TYPE_CHECKING:
    from tests.conftest import SampleGetter


@pytest.mark.samples
def test_the_commissures_of_a_moved_brain_are_found(sample: SampleGetter) -> None:
    from scipy.spatial.transform import Rotation

    template = read_nifti(sample("brain-t1", "t1.nii.gz"))
    move = np.eye(4)
    turn = Rotation.from_euler("xyz", [8, -5, 10], degrees=True).as_matrix()
    move[:3, :3] = turn @ np.diag([1.06, 0.95, 1.03])
    move[:3, 3] = [12, -9, 20]
    values = np.asarray(template.array, np.float64) ** 0.8
    values += np.random.default_rng(0).normal(0, 0.05 * values.std(), values.shape)
    moved = replace(template, array=values.astype(np.float32), affine_ras=move @ template.affine_ras, modality="MR")
    volume = to_orientation(moved, "LSP")

    found = LandmarksFromTemplate(template).landmarks(volume, (), silent)

    assert [point.name for point in found] == list(POINTS_MM)
    for point in found:
        expected = move[:3, :3] @ np.array(POINTS_MM[point.name]) + move[:3, 3]
        assert np.linalg.norm(voxel_to_world(volume, np.array(point.voxel)) - expected) < 1.0


@pytest.mark.samples
def test_an_image_that_shows_no_brain_is_refused(sample: SampleGetter) -> None:
    template = read_nifti(sample("brain-t1", "t1.nii.gz"))
    noise = np.random.default_rng(1).normal(100, 10, (64, 64, 64)).astype(np.float32)
    volume = replace(template, array=noise, affine_ras=np.diag([3.0, 3.0, 3.0, 1.0]), modality="MR")
    with pytest.raises(UnsupportedError):
        LandmarksFromTemplate(template).landmarks(volume, ("anterior_commissure",), silent)
