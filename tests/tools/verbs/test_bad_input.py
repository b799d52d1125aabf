"""Every verb that measures, compares, transforms, exports or learns, with bad input: one clear line, nothing lost."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tools.contract import ToolContext
from tools.errors import ToolError
from tools.facts import AttachmentFacts
from tools.imaging.nifti import write_nifti
from tools.imaging.volume import Volume
from tools.models.hub import Hub
from tools.preconditions import check_call
from tools.registry import Registry
from tools.testing import NoModel, chest_phantom
from tools.workspace import Workspace

AFFINE = np.diag([6.0, 6.0, 10.0, 1.0])
NAN = "not numbers (NaN or infinite)"
NO_CT = "CT is needed"
FLAT = "is 2-D, 3-D is needed"


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """img1 is good; img2 has NaN, img3 one slice, img4 is MR, img5 empty, img6 of no known modality.

    mask1 is good; mask2 empty, mask3 of another grid, mask4 of the image with NaN, mask5 of one slice.
    """
    folder = tmp_path_factory.mktemp("bad")
    workspace = Workspace(folder / "reading")
    chest, lungs = (np.ascontiguousarray(a[::2, ::2, ::2]) for a in chest_phantom())
    with_nan = chest.astype(np.float32)
    with_nan[5:9, 5:9, 5:9] = np.nan
    images: list[tuple[np.ndarray, dict[str, Any]]] = [
        (chest, {}), (with_nan, {}), (chest[:, :, 8:9], {}), (chest, {"modality": "MR"}), (np.zeros_like(chest), {}),
        (chest, {"modality": "", "modality_source": "", "body_part": ""}),
    ]  # fmt: skip
    for number, (array, said) in enumerate(images, 1):
        path = folder / f"img{number}.nii.gz"
        write_nifti(path, array, Volume(array, AFFINE, "NIfTI header"))
        known: dict[str, Any] = {"id": f"img{number}", "modality": "CT", "modality_source": "voxel values"}
        known |= {"body_part": "CHEST", "dims": 3 if array.shape[2] > 1 else 2, "has_spacing": True}
        workspace.add_attachment(path, AttachmentFacts.model_validate(known | said))
    masks = [(lungs, 1), (np.zeros_like(lungs), 1), (lungs[:-2], 1), (lungs, 2), (lungs[:, :, 8:9], 3)]
    for number, (inside, image) in enumerate(masks, 1):
        path = folder / f"mask{number}.nii.gz"
        write_nifti(path, inside.astype(np.uint8), Volume(inside.astype(np.uint8), AFFINE, "NIfTI header"))
        facts = AttachmentFacts(id=f"mask{number}", kind="mask", dims=3, of=f"img{image}", label="lungs")
        workspace.add_attachment(path, facts)
    return workspace


def enhance(operation: str, image: str, said: str) -> tuple[str, dict[str, Any], str]:
    more = {"spacing_mm": 4.0} if operation == "resample" else {}
    return "enhance", {"image": image, "operation": operation, **more}, said


CELLS: list[tuple[str, dict[str, Any], str]] = [
    ("register", {"fixed": "img1", "moving": "img2"}, NAN),
    ("register", {"fixed": "img1", "moving": "img3"}, FLAT),
    ("register", {"fixed": "img1", "moving": "img5"}, "holds the value 0 everywhere"),
    ("register", {"fixed": "img1", "moving": "img1"}, "it is img1 itself"),
    ("compare", {"current": "img1", "prior": "img2"}, NAN),
    ("compare", {"current": "img1", "prior": "img3"}, "img3 is a single image"),
    ("compare", {"current": "img1", "prior": "img4"}, "img1 is CT and img4 is MR"),
    ("compare", {"current": "img1", "prior": "img5"}, "holds the value 0 everywhere"),
    ("compare", {"current": "img1", "prior": "img6"}, "img6 is of unknown modality"),
    ("compare", {"current": "img1"}, "img1 does not say whose it is"),
    ("synthesize", {"image": "img2"}, NAN),
    ("synthesize", {"image": "img3"}, FLAT),
    ("synthesize", {"image": "img4"}, NO_CT),
    ("synthesize", {"image": "img5"}, "holds the value 0 everywhere"),
    ("synthesize", {"image": "img6"}, NO_CT),
    *(enhance(operation, "img2", NAN) for operation in ("denoise", "resample", "super_resolution")),
    *(enhance("bias_correction", image, "MR is needed") for image in ("img1", "img6")),
    enhance("bias_correction", "img4", "no magnitude image"),
    ("assess", {"image": "img2"}, NAN),
    ("assess", {"image": "img5"}, "every voxel has the same value"),
    ("assess", {"image": "img3", "target": "lungs"}, FLAT),
    ("assess", {"image": "img4", "target": "prostate"}, "prostate"),
    ("explain", {"image": "img1", "finding": "pneumonia"}, "CR or DX is needed"),
    ("explain", {"image": "img6", "finding": "pneumonia"}, "does not say its modality"),
    ("deidentify", {"image": "img2"}, NAN),
    ("deidentify", {"image": "img1", "face": "remove"}, "cannot be removed"),
    *(
        ("measure", {"mask": "mask2", "quantities": [q]}, "mask2 is empty")
        for q in ("volume", "diameter", "hu_classes")
    ),
    *(("measure", {"mask": "mask3", "quantities": [q]}, "lies on another grid") for q in ("volume", "surface_area")),
    ("measure", {"mask": "mask4", "quantities": ["intensity"]}, NAN),
    ("measure", {"mask": "mask5", "quantities": ["surface_area"]}, "a surface needs a 3-D image"),
    ("measure", {"mask": "mask1", "quantities": ["ratio"]}, "a ratio needs a mask with exactly two structures"),
    ("train", {"examples": ["mask2"], "target": "x"}, "is empty"),
    ("train", {"examples": ["mask3"], "target": "x"}, "does not lie on the grid"),
    ("train", {"examples": ["mask4"], "target": "x"}, NAN),
    ("train", {"examples": ["mask5"], "target": "x"}, "at least 8"),
    ("train", {"examples": ["img1", "img2"], "labels": ["a"]}, "2 images need as many labels"),
    ("train", {"examples": ["img1", "img4"], "labels": ["a", "a"]}, "at least two labels"),
    *(("export", {"artifacts": ["mask2"], "format": form}, "holds no voxel") for form in ("stl", "obj", "dicom-seg")),
    ("export", {"artifacts": ["mask3"], "format": "dicom-seg"}, "a DICOM segmentation needs the image's own grid"),
    ("export", {"artifacts": ["mask3"], "format": "png"}, "lies on another grid"),
    ("export", {"artifacts": ["mask5"], "format": "stl"}, "needs a volume"),
    ("export", {"artifacts": ["img2"], "format": "nifti"}, NAN),
    ("export", {"artifacts": ["img1"], "format": "csv"}, "is an attachment"),
]


def named(cell: tuple[str, dict[str, Any], str]) -> str:
    return f"{cell[0]}-{'-'.join(str(v) for v in cell[1].values())}"


@pytest.mark.parametrize("cell", CELLS, ids=named)
def test_a_bad_input_is_one_clear_line(cell: tuple[str, dict[str, Any], str], bad: Workspace, tmp_path: Path) -> None:
    verb, args, said = cell
    hub = Hub.installed(weights_dir=tmp_path / "weights")
    ctx = ToolContext(workspace=bad, step_id="s1", hub=hub, open_knowledge=SimpleNamespace, open_llm=NoModel)
    before = {f: f.read_bytes() for f in sorted((bad.root / "attachments").rglob("*")) if f.is_file()}
    tool = Registry.installed().get(verb)

    def called() -> None:
        valid = tool.validate_args(args)
        check_call(tool, valid, bad.every_facts(), hub)
        tool(ctx, **valid)

    with pytest.raises(ToolError) as refused:
        called()
    message = str(refused.value)
    assert said in message
    assert "\n" not in message
    assert before == {f: f.read_bytes() for f in sorted((bad.root / "attachments").rglob("*")) if f.is_file()}
    assert not bad.has_artifact("s1")


def test_four_dimensions_are_refused_when_they_are_attached(tmp_path: Path) -> None:
    import nibabel

    from agent.attach import attach
    from agent.errors import AttachmentError

    series = np.random.default_rng(0).normal(size=(8, 8, 4, 3)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(series, AFFINE), tmp_path / "series.nii.gz")
    with pytest.raises(AttachmentError, match=r"3 image series|volumes|4-D"):
        attach(Workspace(tmp_path / "reading"), tmp_path / "series.nii.gz")


def test_an_export_that_was_stopped_runs_again(bad: Workspace) -> None:
    ctx = ToolContext(workspace=bad, step_id="s2", hub=None, open_knowledge=SimpleNamespace, open_llm=NoModel)
    export = Registry.installed().get("export")
    first, again = (export(ctx, artifacts=["mask1"], format="dicom-seg") for _ in range(2))
    assert first.files == again.files
    assert all((ctx.folder / name).exists() for name in again.files)
