"""Readings with two images that a known transform lays on each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from scipy.ndimage import gaussian_filter

from tools.contract import ToolContext
from tools.facts import AttachmentFacts
from tools.imaging.nifti import write_nifti
from tools.imaging.volume import Volume
from tools.registration.grid import from_itk, to_itk
from tools.workspace import Workspace

SHAPE = (44, 40, 36)
MakeReading = Callable[..., ToolContext]


def head(affine: np.ndarray | None = None, seed: int = 0) -> Volume:
    """A head of smooth texture, 4 × 4 × 4.5 mm, int16: no symmetry, nothing outside it."""
    grid = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    inside = sum(((g - c) / r) ** 2 for g, c, r in zip(grid, (22, 20, 18), (15, 13, 12), strict=True)) <= 1
    texture = gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 1.8)
    array = np.where(inside, 500 + 900 * texture / texture.std() / 4, 0).astype(np.int16)
    affine = np.diag([-4, -4, 4.5, 1.0]) if affine is None else affine
    return Volume(array, affine, spacing_source="NIfTI header", modality="MR")


def moved_by(volume: Volume, known: Any) -> Volume:
    """The volume as a second scan would show it, so that `known` maps points of the first to points of the second."""
    image = to_itk(volume)
    there = sitk.Resample(image, image, known.GetInverse(), sitk.sitkLinear, 0.0)
    return volume.with_array(np.rint(from_itk(there)).astype(np.int16))


def turned(degrees: tuple[float, float, float], shift_mm: tuple[float, float, float], centre: Any) -> Any:
    known = sitk.Euler3DTransform()
    known.SetCenter([float(c) for c in centre])
    known.SetRotation(*(float(np.radians(d)) for d in degrees))
    known.SetTranslation(shift_mm)
    return known


@pytest.fixture
def reading(tmp_path: Path) -> MakeReading:
    """Make a reading with images img1, img2, …; facts can be given per image."""

    def make(*volumes: Volume, facts: tuple[dict[str, object], ...] = ()) -> ToolContext:
        workspace = Workspace(tmp_path / "reading")
        for number, volume in enumerate(volumes):
            path = tmp_path / f"image{number}.nii.gz"
            write_nifti(path, np.asarray(volume.array), volume)
            known: dict[str, object] = {
                "id": f"img{number + 1}", "modality": volume.modality, "modality_source": "header",
                "dims": volume.dims, "has_spacing": True,
            }  # fmt: skip
            known |= facts[number] if number < len(facts) else {}
            workspace.add_attachment(path, AttachmentFacts.model_validate(known))
        return ToolContext(
            workspace=workspace,
            step_id="s1",
            hub=SimpleNamespace(cards=()),
            open_knowledge=lambda: None,
            open_llm=lambda: None,
        )

    return make
