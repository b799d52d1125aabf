"""What an image is, from header and voxels."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from PIL import Image

from agent.attach import attach
from tools.contract import ToolContext
from tools.testing import NoModel
from tools.verbs.describe import describe


def test_a_ct_volume_is_described_with_size_spacing_and_range(make_ctx) -> None:
    ctx = make_ctx()
    result = describe(ctx, image="img1")
    assert result.summary == (
        "img1 is a 3-D computed tomography of the chest, 110 × 90 × 60 voxels, "
        "3.00 × 3.00 × 5.00 mm (NIfTI header), values from −1000 to 700 HU."
    )
    assert result.facts["geometry"]["orientation"] == "RAS"
    assert result.notes == ("The file does not name its modality; its values are those of a CT in Hounsfield units.",)
    assert (ctx.folder / "key-image.png").stat().st_size > 1000


def test_a_png_has_no_millimetres_and_says_so(tmp_path, workspace) -> None:
    array = (np.arange(64 * 48, dtype=np.uint16) * 20).reshape(64, 48)
    Image.fromarray(array).save(tmp_path / "film.png")
    attach(workspace, tmp_path / "film.png")
    ctx = ToolContext(
        workspace=workspace, step_id="s9", hub=SimpleNamespace(cards=()), open_knowledge=lambda: None, open_llm=NoModel
    )
    result = describe(ctx, image="img2")
    assert "48 × 64 voxels, no physical spacing" in result.summary
    assert "image of unknown modality" in result.summary
    assert "No physical spacing: nothing can be measured in millimetres." in result.notes
    assert result.facts["intensity"]["maximum"] == float(array.max())
