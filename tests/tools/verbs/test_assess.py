"""assess: quality alone, and the stability of the model behind a target."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.phantoms_ct import chest
from tools.contract import ToolContext
from tools.errors import UnsupportedError
from tools.facts import AttachmentFacts
from tools.imaging.nifti import write_nifti
from tools.models.card import Domain
from tools.models.hub import Hub
from tools.preconditions import check_call
from tools.quality.domain import outside
from tools.quality.stability import Outcome, try_stability, unstable
from tools.testing import NoModel
from tools.verbs.assess import assess
from tools.workspace import Workspace


@pytest.fixture
def ctx(tmp_path: Path) -> ToolContext:
    volume = chest().volume
    workspace = Workspace(tmp_path / "reading")
    write_nifti(tmp_path / "ct.nii.gz", np.asarray(volume.array), volume)
    facts = AttachmentFacts(id="img1", modality="CT", modality_source="voxel values", body_part="CHEST", dims=3)
    workspace.add_attachment(tmp_path / "ct.nii.gz", facts)
    return ToolContext(
        workspace=workspace, step_id="s1", hub=Hub.installed(), open_knowledge=SimpleNamespace, open_llm=NoModel
    )


def test_quality_alone_names_what_was_judged_and_what_was_not(ctx: ToolContext) -> None:
    made = assess(ctx, image="img1")
    assert {row.aspect for row in made.quality} == {"noise", "blur", "clipping", "cut_off", "slice_jumps"}
    assert made.stability == ()
    assert "no fault found in" in made.summary
    assert any("not judged" in note and "noise" in note for note in made.notes)


def test_a_target_is_tried_on_worse_copies(ctx: ToolContext) -> None:
    made = assess(ctx, image="img1", target="lungs")
    assert made.model is not None
    assert len(made.stability) == 16
    assert {row.severity for row in made.stability} == {1, 2, 3, 4, 5}
    assert (made.value_unit, made.abstain) == ("ml", "")
    both = chest()
    expected_ml = np.count_nonzero(both.left | both.right) * both.volume.voxel_volume_mm3 / 1000
    assert made.value == pytest.approx(expected_ml, rel=0.05)
    assert made.uncertainty is not None
    assert 0 < made.uncertainty < 0.05 * made.value
    assert (ctx.folder / "stability.png").is_file()


def test_a_target_that_no_model_serves_is_refused_before_anything_runs(ctx: ToolContext) -> None:
    args = assess.validate_args({"image": "img1", "target": "prostate"})
    with pytest.raises(UnsupportedError):
        check_call(assess, args, ctx.workspace.facts(), ctx.hub)


def test_a_result_that_falls_apart_is_said_not_to_hold() -> None:
    volume = chest().volume

    def fickle(seen: object) -> Outcome:
        mask = np.asarray(seen.array < -500)  # type: ignore[attr-defined]
        return Outcome(mask=mask if seen is volume else np.zeros_like(mask))

    rows, _ = try_stability(fickle, volume, 0, lambda done, what: None, mirror=False)
    assert {row.severity for row in unstable(rows, None)} == {1, 2}


def test_a_score_that_crosses_its_operating_point_does_not_hold() -> None:
    volume = chest().volume
    scores = iter([0.6, *[0.55] * 5, *[0.45] * 5, *[0.61] * 5])
    rows, uncertain = try_stability(
        lambda seen: Outcome(score=next(scores)), volume, 0, lambda done, what: None, mirror=False
    )
    assert {row.corruption for row in unstable(rows, 0.5)} == {"blur, sigma in pixels"}
    assert uncertain.sd == pytest.approx(np.std([0.6, 0.55, 0.55, 0.45, 0.45, 0.61, 0.61], ddof=1))


def test_what_lies_outside_a_cards_domain_is_named() -> None:
    volume = chest().volume
    card = Hub.installed().get("ct-chest-threshold")
    assert outside(card, volume) == ()
    narrow = card.model_copy(update={"domain": Domain(coarsest_mm=2.5, min_slices=200, values=(0, 100))})
    said = outside(narrow, volume)
    assert [line.split()[0] for line in said] == ["spacing", "90", "values"]
