"""Finding the prior: attached, in an earlier reading, as a report; the same patient is proved, never guessed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from tests.phantoms import CANARY_ID, CANARY_NAME, phantom_volume, write_dicom_series
from tools.claims import claims_of
from tools.comparison.prior import Prior, find_prior
from tools.contract import ToolContext
from tools.errors import BadInputError, NotFoundError, UnsupportedError
from tools.facts import AttachmentFacts
from tools.imaging.nifti import write_nifti
from tools.pacs.client import Stored, StudyQuery
from tools.pacs.server import PacsServer
from tools.registration.patient import Patient, patient_of
from tools.results import StudyRow
from tools.verbs.compare import compare
from tools.verbs.fetch_study import fetch_study
from tools.workspace import Artifact, Provenance, Workspace

SHAPE = (10, 9, 6)


def series(folder: Path, date: str, **changes: str) -> Path:
    """A CT series of the canary patient, of a date; returns its folder."""
    uids = generate_uid(), generate_uid()

    def edit(dataset: pydicom.Dataset, _: int) -> None:
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uids
        dataset.StudyDate, dataset.StudyTime = date, "101500"
        for key, value in changes.items():
            setattr(dataset, key, value)

    write_dicom_series(folder, phantom_volume(SHAPE), edit=edit)
    return folder


def attach(workspace: Workspace, path: Path, **more: object) -> str:
    known: dict[str, object] = {"id": workspace.next_id("image"), "modality": "CT", "modality_source": "header"}
    facts = AttachmentFacts.model_validate(known | {"dims": 3, "body_part": "CHEST", "has_spacing": True} | more)
    return workspace.add_attachment(path, facts).id


def context(workspace: Workspace, earlier: Sequence[Path] = (), **more: object) -> ToolContext:
    return ToolContext(
        workspace=workspace,
        step_id="s1",
        hub=None,
        open_knowledge=lambda: None,
        open_llm=lambda: None,
        earlier_readings=lambda: earlier,
        **more,
    )


@pytest.fixture
def today(tmp_path: Path) -> Workspace:
    """A reading with the canary's CT of 2026-03-01 as img1."""
    workspace = Workspace(tmp_path / "readings" / "today")
    attach(workspace, series(tmp_path / "now", "20260301"))
    return workspace


def earlier_reading(tmp_path: Path, name: str, date: str, **changes: str) -> Path:
    workspace = Workspace(tmp_path / "readings" / name)
    attach(workspace, series(tmp_path / f"series-{name}", date, **changes))
    return workspace.root


def test_the_newest_earlier_study_that_is_attached_is_the_prior(today: Workspace, tmp_path: Path) -> None:
    attach(today, series(tmp_path / "older", "20240101"))
    attach(today, series(tmp_path / "old", "20250101"))
    attach(today, series(tmp_path / "later", "20260401"))
    found = find_prior(context(today), "img1")
    assert found.id == "img3"
    assert "study of 2025-01-01" in found.why


def test_what_a_person_marked_is_the_prior_whatever_its_header_lacks(today: Workspace, tmp_path: Path) -> None:
    volume = phantom_volume(SHAPE)
    write_nifti(tmp_path / "old.nii.gz", np.asarray(volume.array), volume)
    attach(today, tmp_path / "old.nii.gz", prior=True)
    assert find_prior(context(today), "img1").id == "img2"


def test_an_image_that_says_nothing_is_not_guessed_to_be_the_prior(today: Workspace, tmp_path: Path) -> None:
    volume = phantom_volume(SHAPE)
    write_nifti(tmp_path / "old.nii.gz", np.asarray(volume.array), volume)
    attach(today, tmp_path / "old.nii.gz")
    with pytest.raises(NotFoundError, match="no earlier study of the same patient"):
        find_prior(context(today), "img1")


@pytest.mark.parametrize(
    "changes",
    [
        {"PatientID": "OTHER-1"},
        {"PatientBirthDate": "19991231"},  # the same id at another hospital
        {"StudyDate": "20260301"},
        {"StudyDate": "20260801"},
    ],
    ids=["patient", "birth date", "same time", "later"],
)
def test_another_patient_or_no_earlier_date_is_no_prior(
    today: Workspace, tmp_path: Path, changes: dict[str, str]
) -> None:
    attach(today, series(tmp_path / "old", "20250101", **changes))
    earlier = earlier_reading(tmp_path, "before", "20250101", **changes)
    with pytest.raises(NotFoundError, match="no earlier study of the same patient") as refused:
        find_prior(context(today, [earlier]), "img1")
    assert not any(word in str(refused.value) for word in ("CANARY", "OTHER-1", "1999"))


def test_another_part_of_the_body_or_modality_is_no_prior(today: Workspace, tmp_path: Path) -> None:
    attach(today, series(tmp_path / "head", "20250101"), body_part="HEAD")
    attach(today, series(tmp_path / "mr", "20250101"), modality="MR")
    with pytest.raises(NotFoundError):
        find_prior(context(today), "img1")


def test_an_earlier_reading_lends_its_image_as_a_copy(today: Workspace, tmp_path: Path) -> None:
    folders = [earlier_reading(tmp_path, "b", "20250601"), earlier_reading(tmp_path, "a", "20230601"), today.root]
    found = find_prior(context(today, folders), "img1")
    assert found.id == "img2"
    assert "img1 of the earlier reading b" in found.why
    assert "birth date agree, study of 2025-06-01" in found.why
    assert today.facts()["img2"].prior
    assert np.array_equal(today.volume("img2").array, Workspace(folders[0]).volume("img1").array)
    assert find_prior(context(today, folders), "img1").id == "img2"  # again: the copy, no second one
    assert len(today.attachments()) == 2


def test_the_answer_says_where_the_prior_came_from(today: Workspace, tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("FINDINGS: The nodule is unchanged.\n")
    today.add_attachment(tmp_path / "old.txt", AttachmentFacts(id="rep1", kind="report"))

    def no_model(*_: object) -> None:
        raise UnsupportedError("no model card serves 'segment'")

    made = compare(replace(context(today), hub=SimpleNamespace(choose=no_model)), current="img1")
    assert made.found == made.notes[0] == "rep1 was taken as the prior: no earlier images are here."
    by = Provenance(tool="compare", tool_version="0", params={}, inputs=("img1",))
    kept = Artifact(id="s1", kind="change", summary=made.summary, data=made.model_dump(mode="json"), provenance=by)
    assert made.found in [claim.text for claim in claims_of(kept)]


def test_a_placeholder_and_an_id_alone_prove_nothing() -> None:
    def header(**said: str) -> Patient:
        dataset = pydicom.Dataset()
        for key, value in said.items():
            setattr(dataset, key, value)
        return patient_of(dataset)

    anonymous = header(PatientID="ANONYMOUS", PatientName="ANONYMOUS")
    assert not anonymous.is_surely(anonymous)
    alone = header(PatientID="4711")
    assert not alone.is_surely(alone)
    assert alone.may_be(alone)
    named = header(PatientID="4711", PatientName="DOE^JANE")
    assert named.is_surely(header(PatientID="4711", PatientName="Doe Jane"))
    assert not named.is_surely(header(PatientID="4711", PatientName="ROE^JIM"))
    assert named.differs_from(header(PatientID="4712", PatientName="DOE^JANE")) == "PatientID"


def test_a_damaged_earlier_reading_is_passed_over(today: Workspace, tmp_path: Path) -> None:
    broken = tmp_path / "readings" / "broken"
    (broken / "attachments" / "img1").mkdir(parents=True)
    (broken / "attachments" / "img1" / "attachment.json").write_text("{")
    good = earlier_reading(tmp_path, "b", "20250601")
    assert find_prior(context(today, [broken, good]), "img1").id == "img2"


def test_a_single_report_stands_where_no_images_are(today: Workspace, tmp_path: Path) -> None:
    (tmp_path / "old.txt").write_text("FINDINGS: The nodule is unchanged.\n")
    today.add_attachment(tmp_path / "old.txt", AttachmentFacts(id="rep1", kind="report"))
    assert find_prior(context(today), "img1") == Prior(
        "rep1", "rep1 was taken as the prior: no earlier images are here."
    )


# --- from a PACS


class Archive:
    """A PACS in this process: studies as folders, asked like any other."""

    name = "main"
    server = PacsServer(host="127.0.0.1", port=104)

    def __init__(self, studies: Sequence[Path]) -> None:
        self.studies = [(pydicom.dcmread(next(folder.iterdir())), folder) for folder in studies]
        self.asked: list[StudyQuery] = []
        self.sent: list[str] = []

    def find(self, query: StudyQuery, limit: int) -> list[StudyRow]:
        self.asked.append(query)
        rows = []
        for header, _ in self.studies:
            day = str(header.StudyDate)
            date = f"{day[:4]}-{day[4:6]}-{day[6:]}"
            rows.append(StudyRow(study_uid=header.StudyInstanceUID, date=date, patient_id=header.PatientID))
        return rows[:limit]

    def fetch(self, study_uid: str, series_uid: str | None, folder: Path) -> Iterator[Path]:
        self.sent.append(study_uid)
        source = next(source for header, source in self.studies if header.StudyInstanceUID == study_uid)
        for file in sorted(source.iterdir()):
            (folder / file.name).write_bytes(file.read_bytes())
            yield folder / file.name

    def send(self, files: Sequence[Path]) -> Stored:
        raise AssertionError("nothing is sent")


def test_the_prior_is_fetched_from_the_pacs_by_patient_and_modality(today: Workspace, tmp_path: Path) -> None:
    archive = Archive([series(tmp_path / "a", "20240101"), series(tmp_path / "b", "20250101")])
    made = fetch_study(context(today, open_pacs=lambda name: archive), prior_of="img1")
    assert archive.asked == [StudyQuery(CANARY_ID, "-20260301", "CT")]
    assert archive.sent == [archive.studies[1][0].StudyInstanceUID]
    assert today.facts()[made.source].prior
    assert "the newest study before 2026-03-01 of the same patient and modality, of 2025-01-01" in made.notes[0]
    assert not any(word in f"{made.summary} {made.notes}" for word in (CANARY_ID, CANARY_NAME))
    assert find_prior(context(today), "img1").id == made.source


def test_another_person_under_the_same_id_is_not_taken_in(today: Workspace, tmp_path: Path) -> None:
    archive = Archive([series(tmp_path / "b", "20250101", PatientBirthDate="19991231")])
    with pytest.raises(NotFoundError, match="do not say the same name or birth date"):
        fetch_study(context(today, open_pacs=lambda name: archive), prior_of="img1")
    assert [a.id for a in today.attachments()] == ["img1"]


def test_a_pacs_without_an_earlier_study_says_so(today: Workspace, tmp_path: Path) -> None:
    archive = Archive([series(tmp_path / "later", "20270101"), series(tmp_path / "o", "20250101", PatientID="X-2")])
    with pytest.raises(NotFoundError, match="has no earlier CT study of the patient of img1"):
        fetch_study(context(today, open_pacs=lambda name: archive), prior_of="img1")
    assert archive.sent == []


def test_the_prior_of_what_has_no_patient_cannot_be_asked_for(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "r")
    volume = phantom_volume(SHAPE)
    write_nifti(tmp_path / "x.nii.gz", np.asarray(volume.array), volume)
    attach(workspace, tmp_path / "x.nii.gz")
    ctx = context(workspace, open_pacs=lambda name: Archive([]))
    with pytest.raises(UnsupportedError, match="does not say its PatientID or StudyDate"):
        fetch_study(ctx, prior_of="img1")
    with pytest.raises(BadInputError, match="or by prior_of"):
        fetch_study(ctx)
    with pytest.raises(NotFoundError, match=r"does not say whose it is.*fetch the prior from the PACS"):
        find_prior(ctx, "img1")
