"""A canary in header and file name is looked for in every export, in errors, and in what the page shows."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from agent.attach import Attach, attach
from knowledge.errors import NotFoundError
from tests.agent.llm.conftest import CANARIES, CanaryDicom, canary_dicom
from tests.agent.llm.test_canary import leaks
from tools.claims import claims_of
from tools.contract import ToolContext
from tools.errors import ToolError
from tools.facts import AttachmentFacts
from tools.imaging.nifti import write_nifti
from tools.results import MaskEntry, Masks
from tools.sources import sources_of
from tools.testing import NoModel, _keep
from tools.verbs.draft_report import draft_report
from tools.verbs.export import export
from tools.verbs.measure import measure
from tools.workspace import Workspace

__all__ = ["canary_dicom"]
TEXTS = {"s2": ("csv", "json", "pdf", "docx", "html", "fhir"), "s3": ("json", "pdf", "docx", "html", "fhir")}


def no_report(report_id: str) -> None:
    raise NotFoundError(f"no report {report_id!r}")


@pytest.fixture
def lend(tmp_path: Path, canary_dicom: CanaryDicom):
    """A reading of the canary's CT with a mask, measurements and a draft."""
    workspace = Workspace(tmp_path / "reading")
    facts = AttachmentFacts(id="img1", modality="CT", body_part="CHEST", dims=2, has_spacing=True)
    workspace.add_attachment(canary_dicom.path, facts)

    def context(step: str) -> ToolContext:
        return ToolContext(
            workspace=workspace, step_id=step, hub=SimpleNamespace(cards=()),
            open_knowledge=lambda: SimpleNamespace(report=no_report), open_llm=NoModel,
        )  # fmt: skip

    volume = workspace.volume("img1")
    inside = np.zeros(volume.shape, bool)
    inside[20:60, 30:70] = True
    write_nifti(workspace.step_folder("s1") / "liver.nii.gz", inside, volume)
    entry = MaskEntry(target="liver", file="liver.nii.gz", voxels=int(inside.sum()))
    _keep(workspace, "s1", Masks(summary="Outlined.", image="img1", masks=(entry,), files=("liver.nii.gz",)))
    _keep(workspace, "s2", measure(context("s2"), mask="s1"))
    _keep(workspace, "s3", draft_report(context("s3"), evidence=["s1", "s2"]))
    return context


def words_of(path: Path) -> str:
    """Return everything that a reader of a file could find in it, packed parts unpacked."""
    import gzip
    import zipfile

    from pypdf import PdfReader

    raw = path.read_bytes()
    parts = [raw]
    if path.suffix == ".docx":
        with zipfile.ZipFile(path) as file:
            parts += [file.read(name) for name in file.namelist()]
    if path.suffix == ".gz":
        parts.append(gzip.decompress(raw))
    if path.suffix == ".pdf":
        reader = PdfReader(path)
        parts += [str(reader.metadata).encode(), *(page.extract_text().encode() for page in reader.pages)]
    return " ".join(part.decode("utf-8", "replace") for part in parts)


def test_no_canary_in_any_export_for_reading(lend) -> None:
    written = 0
    for number, (artifact, forms) in enumerate(TEXTS.items(), 4):
        for form in forms:
            ctx = lend(f"s{number}{forms.index(form)}")
            for name in export(ctx, artifacts=[artifact], format=form).files:
                assert leaks(words_of(ctx.folder / name)) == [], name
                assert leaks(name) == []
                written += 1
    for artifact, form in (("s1", "nifti"), ("img1", "nifti"), ("img1", "png"), ("s2", "png")):
        ctx = lend("s90")
        for name in export(ctx, artifacts=[artifact], format=form).files:
            assert leaks(words_of(ctx.folder / name)) == [], name
            written += 1
    assert written >= 15


def test_no_canary_of_a_masks_name_in_what_is_measured_with_it(lend, tmp_path) -> None:
    ctx = lend("s6")
    source = ctx.workspace.root / "artifacts/s1/liver.nii.gz"
    brought = tmp_path / "CANARYNAME_FELICITAS_liver.nii.gz"
    brought.write_bytes(source.read_bytes())
    made = attach(ctx.workspace, Attach(brought, kind="mask"))
    assert leaks(made.facts.model_dump_json()) == []
    table = measure(ctx, mask=made.id)
    assert {row.target for row in table.rows} == {"mask1"}
    assert "what mask1 outlines was not stated" in " ".join(table.notes)
    _keep(ctx.workspace, "s6", table)
    shown = [claim.text for claim in claims_of(ctx.workspace.artifact("s6"))] + [table.model_dump_json()]
    for artifact, form in (("s6", "csv"), ("s6", "json"), ("s6", "html"), ("s6", "pdf"), ("mask1", "nifti")):
        for name in export(ctx, artifacts=[artifact], format=form).files:
            shown += [name, words_of(ctx.folder / name)]
    assert leaks(" ".join(shown)) == []


def test_dicom_carries_the_patient_because_it_belongs_to_the_study(lend) -> None:
    import pydicom

    ctx = lend("s91")
    names = export(ctx, artifacts=["s2"], format="dicom-sr").files
    assert {str(pydicom.dcmread(ctx.folder / name).PatientID) for name in names} == {CANARIES["PatientID"]}


def test_no_canary_on_the_page_and_behind_its_sentences(lend, tmp_path) -> None:
    from ui.components.citing import sentence_html
    from ui.components.files import files_tab_html
    from ui.components.measurements import measurements_tab_html

    workspace = lend("s92").workspace
    artifacts = workspace.artifacts()
    shown = [measurements_tab_html(artifacts), files_tab_html(artifacts, workspace.root, lambda path: path.name)]
    for artifact in artifacts:
        for claim in claims_of(artifact):
            shown += [sentence_html(claim), *(source.line for source in sources_of(claim, workspace))]
    assert len(shown) > 5
    assert leaks(" ".join(shown)) == []


def test_no_canary_in_what_refuses(lend) -> None:
    ctx = lend("s93")
    said = []
    for artifacts, form in ((["img1"], "csv"), (["s2"], "nifti"), (["img9"], "json"), (["img1"], "fhir")):
        with pytest.raises(ToolError) as refused:
            export(ctx, artifacts=artifacts, format=form)
        said.append(str(refused.value))
    (ctx.workspace.root / "artifacts/s1/liver.nii.gz").write_bytes(b"broken")
    with pytest.raises(ToolError) as refused:
        measure(ctx, mask="s1")
    said.append(str(refused.value))
    assert leaks(" ".join(said)) == []
