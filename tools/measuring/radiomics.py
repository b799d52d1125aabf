"""IBSI radiomics by mirp, in a process of its own.

mirp writes to stdout and sets the root logger up; a child process keeps that away from ours, and can be stopped.
Settings: isotropic 2 mm, trilinear; CT in bins of 25 HU (configuration C of the IBSI reference, Zwanenburg et al.,
Radiology 295 (2020) 328, without its re-segmentation, which would change the mask), other images in 32 bins.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from tools.errors import UnavailableError, UnsupportedError
from tools.imaging.nifti import write_nifti

if TYPE_CHECKING:
    from tools.contract import ToolContext
    from tools.measuring.structure import Structure
    from tools.results import Measurement


SPACING_MM = 2.0
BIN_HU = 25.0
BINS = 32
MIN_VOXELS = 8  # fewer give no texture: mirp leaves most features empty
_POLL_S = 0.2
FAMILIES = (
    "morphological", "statistical", "intensity_histogram", "intensity_volume_histogram", "glcm", "glrlm", "glszm",
    "gldzm", "ngtdm", "ngldm",
)  # fmt: skip
_LENGTH_UNITS = {
    "ibsi_morph_volume": ("ml", 1e-3), "ibsi_morph_vol_approx": ("ml", 1e-3), "ibsi_morph_area_mesh": ("cm2", 1e-2),
    "ibsi_morph_diam": ("mm", 1.0), "ibsi_morph_com": ("mm", 1.0), "ibsi_morph_pca_maj_axis": ("mm", 1.0),
    "ibsi_morph_pca_min_axis": ("mm", 1.0), "ibsi_morph_pca_least_axis": ("mm", 1.0),
}  # fmt: skip
"""Unit of our table and factor from mirp's (mm, mm², mm³); other features have the image's unit or none."""
_IMAGE_UNITS = frozenset(
    f"ibsi_stat_{n}"
    for n in ("mean", "median", "min", "max", "p10", "p90", "iqr", "range", "mad", "rmad", "medad", "rms")
)


def radiomics(
    ctx: ToolContext, structures: Sequence[Structure], notes: list[str]
) -> tuple[list[Measurement], list[str]]:
    """Return the IBSI features of structures of one image, and why one has none.

    One child process does them all: starting mirp takes longer than the features of a small structure.

    Raises:
        UnavailableError: mirp is not installed.
        UnsupportedError: no spacing, a single image, or colour.
    """
    release = _installed()
    volume = structures[0].volume
    if volume.dims == 2 or volume.is_colour:
        raise UnsupportedError(
            f"radiomics here needs a 3-D gray image, got {structures[0].image}: measure area or intensity"
        )
    _ = volume.spacing_mm
    refused = [
        f"radiomics needs {MIN_VOXELS} voxels or more, {one.target} has {one.voxels}"
        for one in structures
        if one.voxels < MIN_VOXELS
    ]
    large = [one for one in structures if one.voxels >= MIN_VOXELS]
    if not large:
        return [], refused
    is_ct = volume.units == "HU"
    binning = f"bins of {BIN_HU:g} HU" if is_ct else f"{BINS} bins"
    method = f"mirp {release}, IBSI, 3-D, resampled to {SPACING_MM:g} mm, {binning}"
    with tempfile.TemporaryDirectory(prefix="readingroom-radiomics-") as folder:
        _write(large, Path(folder))
        found = _in_child(ctx, Path(folder), is_ct)
    rows = []
    for structure, features in zip(large, found, strict=True):
        if not features:
            refused.append(f"mirp found no feature that is a number in {structure.target}: the mask is too small")
        for name, value in features.items():
            unit, factor = _LENGTH_UNITS.get(name, (volume.units if name in _IMAGE_UNITS else "", 1.0))
            rows.append(structure.row(name, value * factor, unit, method))
    if rows:
        notes.append(f"radiomics: {method}; features of another resolution or binning cannot be compared with these")
    return rows, refused


def _installed() -> str:
    try:
        return version("mirp")
    except PackageNotFoundError:
        raise UnavailableError(
            "quantities: radiomics needs the package mirp; install it with pip install 'readingroom[radiomics]'"
        ) from None


def _write(structures: Sequence[Structure], folder: Path) -> None:
    """Write image and masks whole: mirp lays its grid on the image's middle, so a cut-out's features would differ."""
    volume = structures[0].volume
    write_nifti(folder / "image.nii", volume.array, volume)
    for number, structure in enumerate(structures):
        write_nifti(folder / f"mask-{number}.nii", structure.inside, volume)


def _in_child(ctx: ToolContext, folder: Path, is_ct: bool) -> list[dict[str, float]]:
    """Run mirp in a child process; stops it when the step is cancelled."""
    settings = {"is_ct": is_ct, "spacing_mm": SPACING_MM, "bin_hu": BIN_HU, "bins": BINS, "families": list(FAMILIES)}
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    log = folder / "log.txt"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "tools.measuring.mirp_child", str(folder)]
        child = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)  # noqa: S603
        try:
            while child.poll() is None:
                ctx.progress(0.5, "computing radiomics features")
                try:
                    child.wait(_POLL_S)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
    if child.returncode != 0:
        raise RuntimeError(f"mirp ended with {child.returncode}: {log.read_text(errors='replace')[-2000:]}")
    features: list[dict[str, float]] = json.loads((folder / "features.json").read_text(encoding="utf-8"))
    return features
