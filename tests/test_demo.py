"""The main job on the real CT and the real reports, through the public door, with the embedded planner."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from readingroom import Answer, Assistant, Settings

REQUEST = (
    "Segment the lungs in this CT, measure their volume and mean density, find similar reports "
    "and draft findings and impression."
)
LUNGS = (10, 11, 12, 13, 14)  # TotalSegmentator's five lobes in the reference mask

pytestmark = [pytest.mark.samples, pytest.mark.llm]


@pytest.fixture(scope="module")
def done(sample, assets, tmp_path_factory) -> Answer:
    """The demo's answer over a store of the first 300 reports."""
    from itertools import islice

    from knowledge.readers.openi import read_openi

    folder = tmp_path_factory.mktemp("demo")
    settings = Settings(readings_dir=folder / "readings", data_dir=folder / "data", cache_dir=assets._cache_dir)
    ct = sample("chest-ct", "cxr.nii.gz")
    reports = sample("openi-reports", "reports.tgz")
    sample("minilm", "model.onnx")
    assistant = Assistant(settings=settings)
    assistant.open_knowledge().ingest(islice(read_openi(reports), 300))
    return assistant.ask(REQUEST, [ct])


def reference(sample) -> tuple[np.ndarray, np.ndarray]:
    ct = np.asarray(nibabel.load(sample("chest-ct", "cxr.nii.gz")).dataobj)
    labels = np.asarray(nibabel.load(sample("chest-ct", "mask.nii.gz")).dataobj)
    return ct, np.isin(labels, LUNGS)


def lungs_of(answer: Answer) -> nibabel.Nifti1Image:
    (path,) = [f for f in answer.files if f.endswith("lungs.nii.gz")]
    return nibabel.load(path)


def value(answer: Answer, quantity: str) -> float:
    rows = [r for a in answer.artifacts if a.kind == "measurements" for r in a.data["rows"]]
    (found,) = [r["value"] for r in rows if r["quantity"] == quantity]
    return found


def test_the_plan_is_the_four_steps(done) -> None:
    assert [s.tool for s in done.plan.steps] == ["segment", "measure", "search_reports", "draft_report"]
    assert done.failures == ()
    assert done.held_back == ()


def test_the_lungs_agree_with_the_reference_mask(done, sample) -> None:
    _, truth = reference(sample)
    lungs = np.asarray(lungs_of(done).dataobj) != 0
    dice = 2 * np.count_nonzero(lungs & truth) / (np.count_nonzero(lungs) + np.count_nonzero(truth))
    assert dice >= 0.97


def test_the_mask_lies_where_the_ct_lies(done, sample) -> None:
    ct = nibabel.load(sample("chest-ct", "cxr.nii.gz"))
    assert lungs_of(done).shape == ct.shape
    assert np.allclose(lungs_of(done).affine, ct.affine, atol=1e-4)


def test_the_volume_is_within_three_percent(done, sample) -> None:
    _, truth = reference(sample)
    voxel_ml = abs(np.linalg.det(nibabel.load(sample("chest-ct", "cxr.nii.gz")).affine[:3, :3])) / 1000
    assert value(done, "volume") == pytest.approx(np.count_nonzero(truth) * voxel_ml, rel=0.03)


def test_the_mean_density_equals_an_independent_computation(done, sample) -> None:
    ct, _ = reference(sample)
    lungs = np.asarray(lungs_of(done).dataobj) != 0
    assert value(done, "mean_intensity") == pytest.approx(ct[lungs].astype(np.float64).mean(), abs=1e-6)


def test_two_reports_are_cited_word_for_word(done, assets) -> None:
    quoted = [c for c in done.claims + done.draft.claims() if c.kind == "quoted"]
    assert len({c.evidence for c in quoted}) >= 2


def test_every_finding_of_the_draft_names_its_evidence(done) -> None:
    assert done.draft.findings
    assert all(c.evidence for c in done.draft.findings)


def test_mask_picture_draft_and_record_are_written(done) -> None:
    names = {Path(f).name for f in done.files}
    assert {"lungs.nii.gz", "key-image.png", "draft.md"} <= names
    assert (Path(done.folder) / "record.jsonl").stat().st_size > 1000
