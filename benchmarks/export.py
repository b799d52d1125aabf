"""DICOM SEG by size: seconds and bytes, beside highdicom called directly with the same frames, as a ratio.

    python benchmarks/export.py

Each size is a CT with two masks that fill a third of it. The peer is highdicom alone on headers and voxels that are in
memory; ours reads the masks from their files, checks their grid, sorts them into the slices' order and codes them.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import numpy as np

from tools.contract import ToolContext
from tools.exporting.segmentation import write_segmentation
from tools.exporting.source import source_of
from tools.facts import AttachmentFacts
from tools.imaging.dicom_write import write_series
from tools.imaging.nifti import write_nifti
from tools.imaging.volume import BoolArray, Volume
from tools.results import MaskEntry, Masks
from tools.verbs.export import export
from tools.workspace import Artifact, Provenance, Workspace

SIZES = ((128, 128, 40), (256, 256, 100), (512, 512, 133))


def reading(folder: Path, shape: tuple[int, int, int]) -> tuple[Workspace, dict[str, BoolArray]]:
    """Make a reading with a CT as DICOM and two masks of it."""
    array = np.random.default_rng(1).integers(-1000, 1500, shape, dtype=np.int16)
    affine = np.diag([-0.7, -0.7, 2.5, 1.0])
    volume = Volume(array, affine, spacing_source="PixelSpacing", modality="CT", body_part="CHEST", units="HU")
    (folder / "ct").mkdir(parents=True)
    write_series(volume, folder / "ct", description="benchmark")
    workspace = Workspace(folder / "reading")
    workspace.add_attachment(folder / "ct", AttachmentFacts(id="img1", modality="CT", body_part="CHEST", dims=3))
    x = np.arange(shape[0])[:, None, None] / shape[0]
    masks = {
        "lung_left": np.broadcast_to((x > 0.1) & (x < 0.4), shape).copy(),
        "lung_right": np.broadcast_to((x > 0.6) & (x < 0.9), shape).copy(),
    }
    own = workspace.volume("img1")
    for name, inside in masks.items():
        write_nifti(workspace.step_folder("s1") / f"{name}.nii.gz", inside, own)
    entries = tuple(MaskEntry(target=n, file=f"{n}.nii.gz", voxels=int(m.sum())) for n, m in masks.items())
    data = Masks(summary="Masks.", image="img1", masks=entries).model_dump(mode="json")
    made = Provenance(tool="benchmark", tool_version="1", params={}, inputs=("img1",))
    workspace.add_artifact(Artifact(id="s1", kind="mask", summary="Masks.", data=data, provenance=made))
    return workspace, masks


def by_highdicom(workspace: Workspace, masks: dict[str, BoolArray], path: Path) -> float:
    """The peer: one call with what is in memory already."""
    from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    source = source_of(workspace, "img1", path.parent)
    frames = np.stack([m.transpose(2, 1, 0) for m in masks.values()], axis=-1)
    started = time.perf_counter()
    described = [
        SegmentDescription(n, name, codes.SCT.Organ, codes.SCT.Lung, SegmentAlgorithmTypeValues.MANUAL)
        for n, name in enumerate(masks, 1)
    ]
    Segmentation(
        list(source.headers), frames, SegmentationTypeValues.BINARY, described, generate_uid(), 1, generate_uid(), 1,
        "peer", "peer", "1", "1",
    ).save_as(path)  # fmt: skip
    return time.perf_counter() - started


def main() -> None:
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print("shape              ours s   peer s   ours ÷ peer   file MB")
    for shape in SIZES:
        with tempfile.TemporaryDirectory(prefix="readingroom-bench-") as name:
            workspace, masks = reading(Path(name), shape)
            ctx = ToolContext(workspace, "s9", None, None, None)  # type: ignore[arg-type]
            write_segmentation(workspace, "s1", source_of(workspace, "img1", ctx.folder), ctx.folder / "warm.dcm")
            started = time.perf_counter()
            export(ctx, artifacts=["s1"], format="dicom-seg")
            ours = time.perf_counter() - started
            peer = by_highdicom(workspace, masks, ctx.folder / "peer.dcm")
            size = (ctx.folder / "s1-seg.dcm").stat().st_size / 1e6
            print(f"{shape!s:18} {ours:7.2f}  {peer:7.2f}  {ours / peer:12.2f}  {size:8.1f}")


if __name__ == "__main__":
    main()
