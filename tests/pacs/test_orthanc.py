"""find, fetch, segment, send, find again, open: against a real Orthanc, over DICOMweb and over DIMSE."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydantic import SecretStr
from pydicom.uid import generate_uid
from scipy.spatial import cKDTree

from agent.assistant import Assistant
from agent.plan import Plan, Step
from agent.planner import PlanningResult
from agent.settings import Settings
from tests.pacs.conftest import PASSWORD, Orthanc
from tests.phantoms import oblique_affine, write_dicom_series
from tools.changes import Change
from tools.contract import ToolContext
from tools.errors import BadInputError, NotFoundError, UnavailableError, UnsupportedError
from tools.imaging.volume import Volume
from tools.pacs.client import StudyQuery, open_pacs
from tools.pacs.server import PacsServer
from tools.results import Image, Sent, Studies
from tools.testing import chest_phantom
from tools.verbs.fetch_study import fetch_study
from tools.verbs.find_studies import find_studies
from tools.verbs.send_results import send_results
from tools.workspace import Workspace

pytestmark = pytest.mark.server
PATIENT = "CANARY-PACS-77"


@pytest.fixture(scope="module")
def study(orthanc: Orthanc, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A chest phantom in an oblique grid and a scout beside it, stored on the server; returns its uid."""
    folder = tmp_path_factory.mktemp("study")
    uid, series, other, frame = (generate_uid() for _ in range(4))
    array, _ = chest_phantom()
    affine = oblique_affine((3.0, 3.0, 15.0), (4.0, -3.0, 6.0))
    volume = Volume(array[::-1, ::-1, ::3], affine, spacing_source="PixelSpacing", modality="CT", units="HU")

    def ours(dataset: pydicom.Dataset, _: int) -> None:
        dataset.PatientID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = PATIENT, uid, series
        dataset.FrameOfReferenceUID, dataset.StudyDescription = frame, "CHEST ROUTINE"
        dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20240301", "101500", "7"
        dataset.PatientSex = dataset.PositionReferenceIndicator = dataset.Manufacturer = ""

    def scout(dataset: pydicom.Dataset, number: int) -> None:
        ours(dataset, number)
        dataset.SeriesInstanceUID, dataset.SeriesNumber = other, 9
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    paths = write_dicom_series(folder / "ct", volume, edit=ours)
    paths += write_dicom_series(folder / "scout", replace(volume, array=volume.array[:, :, :1]), edit=scout)
    assert len(open_pacs({"main": orthanc.web}).send(paths).instances) == 21
    return str(uid)


@pytest.fixture(params=["dicomweb", "c-get", "c-move"])
def server(request: pytest.FixtureRequest, orthanc: Orthanc) -> PacsServer:
    return orthanc.web if request.param == "dicomweb" else orthanc.dimse(request.param)


@pytest.fixture
def make_ctx(tmp_path: Path) -> Callable[..., ToolContext]:
    workspace = Workspace(tmp_path / "reading")

    def make(server: PacsServer, step: str = "s1") -> ToolContext:
        servers = {"main": server}
        return ToolContext(workspace, step, None, None, None, open_pacs=lambda name: open_pacs(servers, name))

    return make


def test_a_study_is_found_by_patient_date_and_modality(study: str, server: PacsServer, make_ctx) -> None:
    ctx = make_ctx(server)
    found = find_studies(ctx, patient=PATIENT, date="2024-02/2024-03", modality="ct")
    (row,) = found.studies
    assert (row.study_uid, row.date, row.description, row.patient_id) == (study, "2024-03-01", "CHEST ROUTINE", PATIENT)
    assert "CT" in row.modalities
    assert PATIENT not in found.summary
    assert study not in found.summary
    assert find_studies(ctx, patient=PATIENT, date="2024-03-02/").studies == ()
    assert find_studies(ctx, patient=PATIENT, modality="MR").summary == "The PACS main holds no study that matches."
    assert find_studies(ctx, patient="CANARY-PACS-7").studies == ()  # an id is whole, not a beginning


def test_a_fetched_study_becomes_attachments_once(study: str, server: PacsServer, make_ctx, orthanc: Orthanc) -> None:
    ctx = make_ctx(server)
    first = fetch_study(ctx, uid=study)
    facts = {a.id: a.facts for a in ctx.workspace.attachments()}

    assert (first.source, first.file, first.facts.id, first.facts.modality) == ("img1", "", "s1", "CT")
    assert (facts["img1"].dims, facts["img2"].dims) == (3, 2)  # the scout is no slice of the scan
    assert "img2" in first.summary
    array = chest_phantom()[0][:, :, ::3]
    got = ctx.workspace.volume("img1").array
    assert np.array_equal(np.sort(got.ravel()), np.sort(array.ravel()))
    assert not list(ctx.folder.iterdir())  # the objects lie in the attachments alone

    again = fetch_study(make_ctx(server, "s2"), uid=study)
    assert again.source == "img1"
    assert len(ctx.workspace.attachments()) == 2


@pytest.mark.parametrize("server", ["dicomweb", "c-get"], indirect=True)
def test_one_series_can_be_fetched_alone(study: str, server: PacsServer, make_ctx) -> None:
    ctx = make_ctx(server)
    fetch_study(ctx, uid=study)
    uid = str(ctx.workspace.dicom_headers("img2")[0][0].SeriesInstanceUID)
    other = ToolContext(Workspace(ctx.workspace.root.parent / "other"), "s1", None, None, None, open_pacs=ctx.open_pacs)
    assert fetch_study(other, uid=study, series=uid).facts.dims == 2
    assert len(other.workspace.attachments()) == 1


def test_an_unknown_study_is_said_to_be_unknown(orthanc: Orthanc, server: PacsServer, make_ctx) -> None:
    with pytest.raises((NotFoundError, UnavailableError), match=r"has no object of study|HTTP 404|may not have"):
        fetch_study(make_ctx(server), uid="1.2.3.4.5.6")


class OnePlan:
    """Plans what it is given."""

    planned_by = "script"

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def plan(self, *args: object, **more: object) -> PlanningResult:
        return PlanningResult(self._plan, "script")


@pytest.mark.parametrize("protocol", ["dicomweb", "dimse"])
def test_fetch_segment_measure_send_and_find_again(study: str, orthanc: Orthanc, tmp_path: Path, protocol: str) -> None:
    server = orthanc.web if protocol == "dicomweb" else orthanc.dimse()
    plan = Plan(
        steps=(
            Step(id="s1", tool="fetch_study", args={"uid": study}),
            Step(id="s2", tool="segment", args={"image": "@s1", "targets": ["lung_left", "lung_right"]}),
            Step(id="s3", tool="measure", args={"mask": "@s2", "quantities": ["volume"]}),
            Step(id="s4", tool="send_results", args={"artifacts": ["@s2", "@s3"]}),
        )
    )
    settings = Settings(readings_dir=tmp_path / "readings", pacs={"main": server})
    assistant = Assistant(settings=settings, planner=OnePlan(plan))

    waiting = assistant.ask("do it")
    assert waiting.outcome == "waiting"  # nothing is sent before a person agrees
    answer = assistant.resume(waiting.reading)

    workspace = assistant.workspace(waiting.reading)
    assert not answer.failures, answer.failures
    sent = workspace.result("s4", Sent)
    assert sent.files == ("s2-seg.dcm", "s3-sr.dcm")
    assert len(sent.instances) == 2

    pacs = open_pacs({"main": orthanc.web})
    (row,) = pacs.find(StudyQuery(patient_id=PATIENT), 10)
    assert {"CT", "SEG", "SR"} <= set(row.modalities)
    back = {d.Modality: d for d in _fetched(pacs, study, tmp_path) if str(d.SOPInstanceUID) in sent.instances}
    _same_voxels(back["SEG"], workspace)
    assert [float(v) for v in _numbers(back["SR"])] == pytest.approx(
        [row["value"] for row in workspace.artifact("s3").data["rows"]], rel=1e-6
    )


def test_the_answer_lists_what_was_found_and_no_planner_sees_it(study: str, orthanc: Orthanc, tmp_path: Path) -> None:
    from agent.nodes.plan import prior_result
    from agent.planner.ask_llm import _made

    plan = Plan(steps=(Step(id="s1", tool="find_studies", args={"patient": PATIENT}),))
    settings = Settings(readings_dir=tmp_path / "readings", pacs={"main": orthanc.web})
    answer = Assistant(settings=settings, planner=OnePlan(plan)).ask("what is there?")
    assert any(study in claim.text and "CHEST ROUTINE" in claim.text for claim in answer.claims)
    assert not answer.held_back
    found = Assistant(settings=settings).workspace(answer.reading).artifact("s1")
    assert _made(prior_result(found)) == "- s1: studies by find_studies"


def test_a_replay_does_not_send_again(study: str, orthanc: Orthanc, tmp_path: Path) -> None:
    from agent.replay import replay

    plan = Plan(
        steps=(
            Step(id="s1", tool="fetch_study", args={"uid": study}),
            Step(id="s2", tool="send_results", args={"artifacts": ["@s1"]}),
        )
    )
    settings = Settings(readings_dir=tmp_path / "readings", pacs={"main": orthanc.web})
    assistant = Assistant(settings=settings, planner=OnePlan(plan))
    answer = assistant.resume(assistant.ask("do it").reading)
    assert not answer.failures
    before = orthanc.get("/changes?limit=1&last")
    report = replay(assistant, answer.reading)
    assert (report.steps, report.same) == (1, True), report.differences
    assert orthanc.get("/changes?limit=1&last") == before


def _fetched(pacs, study: str, tmp_path: Path) -> list[pydicom.Dataset]:
    folder = tmp_path / "back"
    folder.mkdir()
    return [pydicom.dcmread(path) for path in pacs.fetch(study, None, folder)]


def _same_voxels(seg: pydicom.Dataset, workspace: Workspace) -> None:
    """Compare world points, computed from the fetched file by pydicom alone, with those of the masks."""
    from tests.tools.verbs.test_export_dicom import expected_points, world_points

    for number, (target, inside, volume) in enumerate(workspace.masks("s2"), 1):
        assert seg.SegmentSequence[number - 1].SegmentLabel == target
        assert inside.sum() > 500
        there, here = (
            np.array(sorted(p)) for p in (world_points(seg, number), expected_points(inside, volume.affine_ras))
        )
        assert len(there) == len(here)
        assert cKDTree(there).query(here)[0].max() < 0.02


def _numbers(item: pydicom.Dataset) -> list[str]:
    if item.get("ValueType") == "NUM":  # below it only the range by which it may be off
        return [item.MeasuredValueSequence[0].NumericValue]
    return [n for child in item.get("ContentSequence", []) for n in _numbers(child)]


def test_a_result_without_patient_is_not_sent(orthanc: Orthanc, make_ctx, tmp_path: Path) -> None:
    from tools.testing import phantom_reading

    workspace = phantom_reading(tmp_path)  # a NIfTI: nobody's
    ctx = replace(make_ctx(orthanc.web), workspace=workspace, step_id="s7")
    with pytest.raises(UnsupportedError, match=r"s1 is of img1, which came without DICOM: it belongs to no patient"):
        send_results(ctx, artifacts=["s1"])
    with pytest.raises(UnsupportedError, match="img1 holds no DICOM file"):
        send_results(ctx, artifacts=["img1"])


def test_wrong_credentials_are_one_line_without_them(orthanc: Orthanc, make_ctx) -> None:
    server = orthanc.web.model_copy(update={"password": SecretStr("canary-wrong")})
    with pytest.raises(UnavailableError, match=r"refuses these credentials \(HTTP 401\)") as caught:
        find_studies(make_ctx(server), patient="1")
    assert "canary" not in str(caught.value)
    assert PASSWORD not in repr(orthanc.web)


def test_an_unknown_title_is_one_line(orthanc: Orthanc, make_ctx) -> None:
    server = orthanc.dimse().model_copy(update={"own_ae_title": "NOBODY", "retrieve": "c-move"})
    with pytest.raises(UnavailableError, match=r"did not answer C-MOVE within 20 s, or broke off|refuses us"):
        fetch_study(make_ctx(server), uid="1.2.3")


@pytest.mark.parametrize("server", ["dicomweb", "c-get"], indirect=True)
def test_no_patient_is_logged(study: str, server: PacsServer, make_ctx, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    found: Studies = find_studies(make_ctx(server), patient=PATIENT)
    fetched: Image = fetch_study(make_ctx(server), uid=study)
    assert found.studies
    assert fetched.source
    assert PATIENT not in caplog.text
    assert PASSWORD not in caplog.text


def test_several_servers_are_told_apart_by_name(orthanc: Orthanc) -> None:
    servers = {"main": orthanc.web, "old": orthanc.dimse()}
    assert open_pacs(servers, "old").server.protocol == "DIMSE"
    with pytest.raises(BadInputError, match="several PACS are set up, name one of main, old"):
        open_pacs(servers)
    with pytest.raises(BadInputError, match="no PACS is called 'new'; there is main, old"):
        open_pacs(servers, "new")


@pytest.fixture(scope="module")
def two_studies(orthanc: Orthanc, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a current study that is not on the server, and the uid of its prior that is, with a decoy."""
    folder = tmp_path_factory.mktemp("two")
    affine = oblique_affine((3.0, 3.0, 15.0), (4.0, -3.0, 6.0))

    def written(name: str, patient: str, date: str, born: str, right_scale: float = 1.0) -> tuple[Path, str]:
        uid, series, frame = generate_uid(), generate_uid(), generate_uid()
        array = chest_phantom(right_scale=right_scale)[0][::-1, ::-1, ::3]

        def ours(dataset: pydicom.Dataset, _: int) -> None:
            dataset.PatientID, dataset.PatientBirthDate, dataset.PatientName = patient, born, "CANARY^PRIOR"
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = uid, series, frame
            dataset.StudyDate, dataset.StudyTime, dataset.BodyPartExamined = date, "101500", "CHEST"

        write_dicom_series(folder / name, Volume(array, affine, "PixelSpacing", "CT", units="HU"), edit=ours)
        return folder / name, str(uid)

    current, _ = written("current", "CANARY-PRIOR-1", "20240901", "19500101")
    earlier, uid = written("earlier", "CANARY-PRIOR-1", "20230801", "19500101", right_scale=0.85)
    decoy, _ = written("decoy", "CANARY-PRIOR-12", "20240801", "19610202")  # newer, of an id that begins the same
    paths = [*earlier.iterdir(), *decoy.iterdir()]
    assert len(open_pacs({"main": orthanc.web}).send(paths).instances) == 40
    return current, uid


@pytest.mark.parametrize("protocol", ["dicomweb", "c-get", "c-move"])
def test_a_prior_is_fetched_and_compared(
    two_studies: tuple[Path, str], orthanc: Orthanc, tmp_path: Path, protocol: str
) -> None:
    current, uid = two_studies
    plan = Plan(
        steps=(
            Step(id="s1", tool="fetch_study", args={"prior_of": "@img1"}),
            Step(id="s2", tool="compare", args={"current": "@img1", "prior": "@s1", "targets": ["lung_right"]}),
        )
    )
    server = orthanc.web if protocol == "dicomweb" else orthanc.dimse(protocol)
    settings = Settings(readings_dir=tmp_path / "readings", pacs={"main": server})
    assistant = Assistant(settings=settings, planner=OnePlan(plan))
    answer = assistant.ask("compare with the prior", [current])
    assert not answer.failures, answer.failures

    workspace = assistant.workspace(answer.reading)
    fetched = workspace.result("s1", Image)
    assert any("of 2023-08-01" in note for note in fetched.notes)
    assert str(workspace.dicom_headers("s1")[0][0].StudyInstanceUID) == uid
    (row,) = [r for r in workspace.result("s2", Change).rows if r.quantity == "volume"]
    assert row.target == "lung_right"
    assert row.current is not None
    assert row.prior is not None
    assert row.prior / row.current == pytest.approx(0.85**2, abs=0.12)  # the lung's radius was 0.85² of now's
    assert row.status == "changed"
    assert "CANARY" not in answer.model_dump_json()
