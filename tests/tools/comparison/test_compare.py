"""compare: phantoms of known growth in two studies, moved against each other; reports; earlier results; refusals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from tests.phantoms import phantom_volume, write_dicom_series
from tools.changes import Change, ChangeRow
from tools.claims import claims_of
from tools.comparison.limits import judged
from tools.comparison.reported import report_date, stated_sizes
from tools.contract import ToolContext
from tools.errors import BadInputError, UnsupportedError
from tools.facts import AttachmentFacts
from tools.grounding import problem_with
from tools.grounding.lookup import of_artifact
from tools.imaging.nifti import read_nifti, write_nifti
from tools.imaging.volume import Volume
from tools.results import Measurement, Measurements
from tools.verbs.compare import compare
from tools.workspace import Artifact, Provenance, Workspace

SHAPE = (44, 40, 36)
SHIFT_MM = np.array([8.0, -6.0, 5.0])


def ball(centre: tuple[float, float, float], radius: float) -> np.ndarray:
    grid = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    return np.asarray(sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) <= radius**2)


def trunk(lesions: np.ndarray, moved: bool = False) -> Volume:
    """A textured trunk, 3 mm, with lesions; `moved`: the same, lying elsewhere in the scanner."""
    grid = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    body = sum(((g - n / 2) / r) ** 2 for g, n, r in zip(grid, SHAPE, (19, 16, 17), strict=True)) <= 1
    texture = gaussian_filter(np.random.default_rng(8).normal(size=SHAPE), 2)
    array = np.where(body, 40 + 60 * texture / texture.std(), -900)
    array[lesions] += 120
    affine = np.diag([3.0, 3, 3, 1])
    affine[:3, 3] = SHIFT_MM if moved else 0
    return Volume(np.rint(array).astype(np.int16), affine, "NIfTI header", "CT", units="HU")


MakeReading = Callable[..., ToolContext]


@pytest.fixture
def reading(tmp_path: Path) -> MakeReading:
    """Make a reading: img1 and mask1 are today's, img2 and mask2 the prior's."""

    def make(
        now: np.ndarray, before: np.ndarray, label: str = "lesion", masks: bool = True, **facts: object
    ) -> ToolContext:
        workspace = Workspace(tmp_path / "reading")
        for number, (mask, moved) in enumerate(((now, False), (before, True)), 1):
            volume = trunk(mask, moved)
            path = tmp_path / f"img{number}.nii.gz"
            write_nifti(path, np.asarray(volume.array), volume)
            known: dict[str, object] = {"id": f"img{number}", "modality": "CT", "modality_source": "header", "dims": 3}
            known |= {"has_spacing": True, "prior": moved}
            workspace.add_attachment(path, AttachmentFacts.model_validate(known | (facts if moved else {})))
            if masks:
                write_nifti(tmp_path / f"mask{number}.nii.gz", mask, volume)
                outlined = AttachmentFacts(id=f"mask{number}", kind="mask", dims=3, of=f"img{number}", label=label)
                workspace.add_attachment(tmp_path / f"mask{number}.nii.gz", outlined)
        return ToolContext(
            workspace=workspace,
            step_id="s5",
            hub=SimpleNamespace(cards=(), choose=_no_model),
            open_knowledge=lambda: None,
            open_llm=lambda: None,
        )

    return make


def _no_model(verb: str, facts: object, targets: object) -> None:
    raise UnsupportedError("no model card serves 'segment' in this installation")


def run(ctx: ToolContext, current: str = "img1", prior: str = "img2", targets: list[str] | None = None) -> Change:
    result = compare(ctx, current=current, prior=prior, targets=targets)
    assert isinstance(result, Change)
    assert all((ctx.folder / f).is_file() for f in result.files)
    return result


def rows(result: Change, quantity: str = "volume") -> dict[str, ChangeRow]:
    return {row.target: row for row in result.rows if row.quantity == quantity}


def kept(ctx: ToolContext, result: Change) -> Artifact:
    by = Provenance(tool="compare", tool_version="0", params={}, inputs=("img1", "img2"))
    data = result.model_dump(mode="json")
    return Artifact(id="s5", kind="change", summary=result.summary, data=data, files=result.files, provenance=by)


def test_lesions_that_grew_came_and_went_are_told_apart(reading: MakeReading) -> None:
    now = ball((14, 18, 18), 4) | ball((30, 22, 20), 3)  # the first grew, the second is new
    before = ball((14, 18, 18), 3) | ball((22, 28, 12), 3)  # the last is gone
    ctx = reading(now, before)
    result = run(ctx)
    found = rows(result)
    assert {t: r.status for t, r in found.items()} == {
        "lesion": "unchanged", "lesion_1": "changed", "lesion_2": "new", "lesion_3": "resolved",
    }  # fmt: skip
    grown = found["lesion_1"]
    assert grown.current == pytest.approx(np.count_nonzero(ball((14, 18, 18), 4)) * 0.027)
    assert grown.prior == pytest.approx(np.count_nonzero(ball((14, 18, 18), 3)) * 0.027, rel=0.15)
    assert "half a voxel" in grown.rule or "BTS" in grown.rule
    assert (grown.current_source, grown.prior_source) == ("img1", "img2")
    assert found["lesion_3"].prior is not None
    assert found["lesion_3"].current is None
    lost = read_nifti(ctx.folder / "lost.nii.gz").array
    assert lost[22, 28, 12] == 1
    assert lost[14, 18, 18] == 0
    assert read_nifti(ctx.folder / "gained.nii.gz").array[30, 22, 20] == 1
    assert result.figures == ("change-map.png", "bland-altman.png")[: len(result.figures)]


def test_an_organ_of_the_same_size_is_unchanged_and_both_sources_are_named(reading: MakeReading) -> None:
    ctx = reading(ball((22, 20, 18), 9), ball((22, 20, 18), 9), label="liver")
    result = run(ctx)
    row = rows(result)["liver"]
    assert (row.status, row.difference) == ("unchanged", 0)
    claims = claims_of(kept(ctx, result))
    assert claims[0].evidence == ("s5", "img1", "img2")
    assert "img1" in claims[0].text
    assert "img2" in claims[0].text
    assert "unchanged" in claims[0].text


def test_sentences_of_change_follow_and_the_other_direction_does_not(reading: MakeReading) -> None:
    ctx = reading(ball((22, 20, 18), 10), ball((22, 20, 18), 8), label="liver")
    result = run(ctx)
    row = rows(result)["liver"]
    assert row.status == "changed"
    assert row.percent == pytest.approx(100 * (row.current / row.prior - 1))
    artifact = kept(ctx, result)
    evidence = of_artifact(artifact, ctx.workspace.facts())
    for claim in claims_of(artifact):
        own = claim.model_copy(update={"evidence": ("s5",)})
        assert problem_with(own, lambda _: evidence) is None, claim.text
    first = claims_of(artifact)[0].model_copy(update={"evidence": ("s5",)})
    assert "increased by" in first.text
    for old, new in (("increased by", "decreased by"), (f"{row.difference:.1f}", "99.9")):
        wrong = first.model_copy(update={"text": first.text.replace(old, new)})
        assert wrong.text != first.text
        assert problem_with(wrong, lambda _: evidence) is not None, wrong.text


def test_the_wrong_order_is_turned_and_said(reading: MakeReading) -> None:
    ctx = reading(ball((22, 20, 18), 10), ball((22, 20, 18), 8), label="liver")
    result = run(ctx, "img2", "img1")
    assert (result.current, result.prior) == ("img1", "img2")
    assert any("compared the other way round" in note for note in result.notes)


def test_without_masks_and_models_it_says_what_to_do(reading: MakeReading) -> None:
    ctx = reading(ball((22, 20, 18), 10), ball((22, 20, 18), 8), masks=False)
    with pytest.raises(UnsupportedError, match="nothing was outlined in both studies"):
        run(ctx)


def test_two_modalities_and_the_same_study_are_refused(reading: MakeReading) -> None:
    ctx = reading(ball((22, 20, 18), 9), ball((22, 20, 18), 9), modality="MR")
    with pytest.raises(UnsupportedError, match="img1 is CT and img2 is MR"):
        run(ctx)
    with pytest.raises(BadInputError, match="it is img1 itself"):
        run(ctx, "img1", "img1")


def test_a_structure_at_the_edge_may_be_cut(reading: MakeReading) -> None:
    now = ball((22, 20, 33), 8)
    result = run(reading(now, now, label="liver"))
    assert any("reaches the edge of img1" in note for note in result.notes)


def test_two_patients_are_refused_before_anything_is_computed(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "reading")
    for number, patient in enumerate(("A-1", "B-2"), 1):
        source = tmp_path / f"series{number}"
        write_dicom_series(source, phantom_volume((8, 8, 6)), edit=lambda ds, _, p=patient: setattr(ds, "PatientID", p))
        facts = AttachmentFacts(id=f"img{number}", modality="CT", modality_source="header", dims=3)
        workspace.add_attachment(source, facts)
    ctx = ToolContext(workspace=workspace, step_id="s1", hub=None, open_knowledge=lambda: None, open_llm=lambda: None)
    with pytest.raises(UnsupportedError, match="different patients") as refused:
        run(ctx)
    assert "A-1" not in str(refused.value)
    assert "B-2" not in str(refused.value)


# --- reports and earlier results


def test_a_reports_sizes_are_read_and_nothing_is_guessed() -> None:
    text = (
        "Study of 12 March 2024. The liver has a volume of 1,450 ml. The spleen measures 11.2 cm in longest diameter.\n"
        "The left kidney is 10 cm, the right kidney 11 cm. No mass."
    )
    found = {(s.target, s.quantity): s for s in stated_sizes(text, ["liver", "spleen", "kidney_left", "kidney_right"])}
    assert set(found) == {("liver", "volume"), ("spleen", "longest_diameter")}
    assert found["liver", "volume"].value == 1450
    assert found["spleen", "longest_diameter"].value == pytest.approx(112)
    assert report_date(text) == "12 March 2024"


def test_a_report_is_compared_with_what_is_measured_now(reading: MakeReading, tmp_path: Path) -> None:
    ctx = reading(ball((22, 20, 18), 9), ball((22, 20, 18), 9), label="liver")
    size_ml = np.count_nonzero(ball((22, 20, 18), 9)) * 0.027
    (tmp_path / "old.txt").write_text(f"FINDINGS: The liver volume is {size_ml / 2:.0f} ml.\n", encoding="utf-8")
    ctx.workspace.add_attachment(tmp_path / "old.txt", AttachmentFacts(id="rep1", kind="report"))
    result = run(ctx, prior="rep1")
    (row,) = result.rows
    assert row.status == "changed"
    assert row.prior == round(size_ml / 2)
    assert (row.current_source, row.prior_source) == ("img1", "rep1")
    assert any("rep1 says: “" in note for note in result.notes)


def test_a_report_without_sizes_is_refused(reading: MakeReading, tmp_path: Path) -> None:
    ctx = reading(ball((22, 20, 18), 9), ball((22, 20, 18), 9), label="liver")
    (tmp_path / "old.txt").write_text("FINDINGS: The liver is normal.\n", encoding="utf-8")
    ctx.workspace.add_attachment(tmp_path / "old.txt", AttachmentFacts(id="rep1", kind="report"))
    with pytest.raises(UnsupportedError, match="rep1 states no volume or diameter of liver"):
        run(ctx, prior="rep1")


def test_a_report_that_states_change_in_words_is_quoted(reading: MakeReading, tmp_path: Path) -> None:
    text = "Study of 12 March 2024. The liver is unchanged in size. New nodule in the spleen. No new effusion.\n"
    ctx = reading(ball((22, 20, 18), 9), ball((22, 20, 18), 9), label="liver")
    (tmp_path / "old.txt").write_text(f"FINDINGS: {text}", encoding="utf-8")
    ctx.workspace.add_attachment(tmp_path / "old.txt", AttachmentFacts(id="rep1", kind="report"))
    result = run(ctx, prior="rep1")
    assert result.rows == ()
    assert [(q.says, q.sentence) for q in result.quoted] == [
        ("unchanged", "The liver is unchanged in size."),
        ("new", "New nodule in the spleen."),
        ("unchanged", "No new effusion."),
    ]
    assert result.prior_date == "12 March 2024"
    assert any("is up to its own study" in note for note in result.notes)
    assert any(note.startswith("img1: liver") and "ml" in note for note in result.notes)
    first, *quotes = claims_of(kept(ctx, result))
    assert first.text == "img1 against rep1: no size could be compared."
    assert all(q.kind == "quoted" and q.evidence == ("rep1",) for q in quotes)
    only_liver = run(ctx, prior="rep1", targets=["liver"])
    assert [q.sentence for q in only_liver.quoted] == ["The liver is unchanged in size."]


def test_an_earlier_result_is_compared(reading: MakeReading) -> None:
    ctx = reading(ball((22, 20, 18), 9), ball((22, 20, 18), 9), label="liver")
    row = Measurement(
        target="liver",
        quantity="volume",
        value=10.0,
        unit="ml",
        image="img2",
        mask="mask2",
        spacing_source="x",
        method="m",
    )
    table = Measurements(summary="Earlier.", rows=(row,))
    by = Provenance(tool="measure", tool_version="0", params={}, inputs=("mask2",))
    data = table.model_dump(mode="json")
    ctx.workspace.add_artifact(Artifact(id="s2", kind="measurements", summary="Earlier.", data=data, provenance=by))
    (found,) = run(ctx, prior="s2").rows
    assert (found.prior, found.prior_source, found.status) == (10.0, "s2", "changed")


# --- limits


def test_recist_needs_a_fifth_and_five_millimetres_to_grow_and_a_third_to_shrink() -> None:
    none = (0.0, 0.0)
    assert judged("tumor", "longest_diameter", (10, 14), none).status == "unchanged"  # 40 %, and only 4 mm
    assert judged("tumor", "longest_diameter", (40, 46), none).status == "unchanged"  # 6 mm, and only 15 %
    assert judged("tumor", "longest_diameter", (30, 37), none).status == "changed"
    assert judged("tumor", "longest_diameter", (30, 22), none).status == "unchanged"
    assert judged("tumor", "longest_diameter", (30, 20), none).status == "changed"
    assert "RECIST 1.1" in judged("tumor", "longest_diameter", (30, 37), none).rule
    assert judged("liver", "volume", (1000, 1030), (20, 20)).status == "changed"
    assert judged("liver", "volume", (1000, 1020), (20, 20)).status == "unchanged"
    assert judged("lung_nodule", "volume", (1.0, 1.2), none).status == "unchanged"
    coarse = judged("lung_nodule", "volume", (1.0, 1.4), (0.4, 0.4))
    assert (coarse.status, "half a voxel" in coarse.rule) == ("unchanged", True)
